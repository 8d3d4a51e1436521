from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fake_graders import FakeJudge, FakeTagger
from omegaconf import OmegaConf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from mint.config.evaluation import GenerationConfig
from mint.data.dataset import SCHEMA
from mint.evaluate import EvaluateSettings, main
from mint.evaluation.generate import ReplyGenerator, choose_tokens, reply_uniforms
from mint.evaluation.generation import Prompt
from mint.evaluation.protocols.held_out import evaluate_model, evaluate_run, format_results
from mint.evaluation.records import read_replies
from mint.rundir.directory import RunDir
from mint.rundir.manifest import RunFacts, start_manifest
from mint.rundir.quarantine import read_quarantine
from mint.shell.files import read_json_if_there
from rewards.build import Graders
from rewards.errors import ConfigError, DataError
from rewards.formula import RewardWeights
from rewards.types import (
    DIMENSIONS,
    Failure,
    GraderIdentity,
    ScalarRating,
)

pytestmark = pytest.mark.slow

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking %}<think>\n{% endif %}{% endif %}"
)
TEXTS = [
    "I feel tired and alone after the long shift at work.",
    "What was the hardest part of the day for you?",
    "That sounds really hard, anyone would be worn out.",
    "You could ask for a short break tomorrow morning.",
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads cost more than they save on so small a model."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory) -> Path:
    """A random Qwen3 small enough for a test; it ends replies now and then."""
    path = tmp_path_factory.mktemp("model")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(path)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.4,
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, 7, 9]
    model.save_pretrained(path)
    return path


def prompts(num: int = 5) -> list[Prompt]:
    return [
        Prompt(
            f"c{i}/0",
            (
                {"role": "system", "content": "You listen."},
                {"role": "user", "content": " ".join(TEXTS[: 1 + i % 4])},
            ),
        )
        for i in range(num)
    ]


def generate(model_path: Path, asked: list[Prompt], **settings):
    settings = {"max_new_tokens": 12, "samples_per_prompt": 3, **settings}
    with ReplyGenerator(model_path, GenerationConfig(**settings)) as generator:
        return generator.generate(asked)


def test_greedy_replies_are_those_of_transformers(model_path):
    asked = prompts()
    settings = GenerationConfig(max_new_tokens=12, samples_per_prompt=1, temperature=0.0)
    with ReplyGenerator(model_path, settings) as generator:
        found = generator.generate(asked)
        model = AutoModelForCausalLM.from_pretrained(model_path).eval()
        for prompt, (reply,) in zip(asked, found, strict=True):
            ids = generator.tokenizer(
                generator.render(prompt), add_special_tokens=False, return_tensors="pt"
            )["input_ids"]
            output = model.generate(ids, do_sample=False, max_new_tokens=12, pad_token_id=0)
            tokens = output[0, ids.shape[1] :].tolist()
            ended = tokens[-1] in generator.eos_ids
            text = generator.tokenizer.decode(
                tokens[:-1] if ended else tokens, skip_special_tokens=True
            )
            assert reply.raw == text
            assert reply.truncated == (not ended)
    assert len({reply.raw for (reply,) in found}) > 1


def test_a_reply_does_not_depend_on_its_batch(model_path):
    asked = prompts()
    together = generate(model_path, asked)
    assert together == generate(model_path, asked, batch_size=3)
    assert together[::-1] == generate(model_path, asked[::-1])
    assert together[2:3] == generate(model_path, asked[2:3])


def test_samples_differ_and_follow_the_seed(model_path):
    first = generate(model_path, prompts())
    assert all(len(own) == 3 for own in first)
    assert len({reply.raw for own in first for reply in own}) > 10
    assert first != generate(model_path, prompts(), seed=7)
    assert first == generate(model_path, prompts())


def test_truncation_means_no_end_token(model_path):
    replies = [reply for own in generate(model_path, prompts(8)) for reply in own]
    assert {reply.truncated for reply in replies} == {True, False}
    short = generate(model_path, prompts(3), max_new_tokens=1)
    for own in short:
        for reply in own:
            assert reply.truncated == (reply.raw != "")


def test_a_thinking_block_opened_by_the_template_is_seen(model_path):
    for own in generate(model_path, prompts(3), enable_thinking=True):
        for reply in own:
            assert reply.raw.startswith("<think>")
            assert reply.num_tokens == 0


def test_sampled_tokens_follow_the_distribution():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    uniforms = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = logits.expand(len(uniforms), 4)

    def shares(**settings):
        tokens = choose_tokens(rows, uniforms, GenerationConfig(**settings))
        return (torch.bincount(tokens, minlength=4) / len(tokens)).tolist()

    assert shares() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.01)
    cold = [p**2 / 0.365 for p in (0.5, 0.3, 0.15, 0.05)]
    assert shares(temperature=0.5) == pytest.approx(cold, abs=0.01)
    assert shares(top_p=0.7) == pytest.approx([0.625, 0.375, 0, 0], abs=0.01)
    assert shares(top_p=0.01) == [1.0, 0, 0, 0]
    assert shares(temperature=0.0, samples_per_prompt=1) == [1.0, 0, 0, 0]


def test_impossible_tokens_are_never_sampled():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf]]).expand(3, 3)
    edges = torch.tensor([0.0, 0.5, 1 - 1e-16], dtype=torch.float64)
    assert choose_tokens(logits, edges, GenerationConfig()).tolist() == [1, 1, 1]


def test_random_numbers_belong_to_prompt_and_sample():
    settings = GenerationConfig(samples_per_prompt=2, max_new_tokens=5)
    both = reply_uniforms(["a/0", "b/1"], settings)
    assert both.shape == (4, 5)
    assert torch.equal(reply_uniforms(["b/1"], settings), both[2:])
    assert not torch.equal(both[0], both[1])


def test_a_model_that_cannot_be_loaded_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be loaded"):
        ReplyGenerator(tmp_path, GenerationConfig())


def rows_file(path: Path, num: int = 3) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for i in range(num * 2):
        turn = i % 2
        history = [{"role": "seeker", "content": TEXTS[0]}]
        if turn:
            history += [
                {"role": "supporter", "content": TEXTS[2]},
                {"role": "seeker", "content": f"Well, number {i}."},
            ]
        chat = [
            {"role": {"seeker": "user", "supporter": "assistant"}[m["role"]], **_content(m)}
            for m in history
        ]
        rows.append(
            {
                "data_source": "mint",
                "prompt": [{"role": "system", "content": "You listen."}, *chat],
                "ability": "empathy",
                "reward_model": {"style": "rule", "ground_truth": ""},
                "extra_info": {
                    "index": i,
                    "split": "val",
                    "conversation_id": f"c{i // 2}",
                    "turn": turn,
                    "previous_counts": [0, 0, 0, turn] + [0] * 6,
                    "history_tactics": json.dumps([[["validation"]]] * turn),
                    "history": json.dumps(history),
                },
            }
        )
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return path


def _content(message: dict[str, str]) -> dict[str, str]:
    return {"content": message["content"]}


JUDGE = FakeJudge(advice_giving=1.0)
GRADERS = Graders(FakeTagger(fail_on="x"), JUDGE)
SETTINGS = GenerationConfig(max_new_tokens=16, samples_per_prompt=2, resamples=200)


class TaggerWithATimeout(FakeTagger):
    """Fails on the first reply it gets."""

    async def tag(self, replies):
        return [Failure("timeout", "60 s"), *(await super().tag(replies))[1:]]


def test_failed_replies_are_kept_to_be_graded_again(model_path, tmp_path):
    result = evaluate_model(
        model_path,
        rows_file(tmp_path / "val.parquet"),
        graders=Graders(TaggerWithATimeout(fail_on="x"), JUDGE),
        weights=RewardWeights(),
        settings=SETTINGS,
        label="before",
        out_dir=tmp_path / "evaluation",
    )
    failed = next(reply for reply in result.replies if reply.status == "failed")
    row = read_quarantine(tmp_path / "evaluation" / "before_quarantine.jsonl")[0]
    assert (row.stage, row.conversation_id, row.turn) == ("before", failed.conversation_id, 0)
    assert row.failures == {"tagger": Failure("timeout", "60 s")}
    assert row.request.history[-1].content == failed.seeker


class RewardModel:
    """Gives every reply the same logit."""

    identity = GraderIdentity(kind="fake", name="reward model", revision="1")

    async def rate(self, replies):
        return [ScalarRating(value=-2.5) for _ in replies]


def test_a_reward_model_has_no_empathy_ratings_and_none_become_0(model_path, tmp_path):
    result = evaluate_model(
        model_path,
        rows_file(tmp_path / "val.parquet"),
        graders=Graders(FakeTagger(fail_on="x"), RewardModel()),
        weights=RewardWeights(kl=0.0),
        settings=SETTINGS,
        label="before",
        out_dir=tmp_path / "evaluation",
    )
    metrics = result.metrics
    assert metrics["judge_logit"].mean == pytest.approx(-2.5)
    assert 0 < metrics["composite"].mean < 0.2, "1 / (1 + e^2.5), scaled by length"
    for name in ("empathy", *DIMENSIONS):
        assert (metrics[name].mean, metrics[name].n) == (None, 0)


def test_evaluate_model_writes_metrics_and_replies(model_path, tmp_path):
    result = evaluate_model(
        model_path,
        rows_file(tmp_path / "val.parquet"),
        graders=GRADERS,
        weights=RewardWeights(),
        settings=SETTINGS,
        label="before",
        out_dir=tmp_path / "evaluation",
    )
    summary = json.loads((tmp_path / "evaluation" / "before.json").read_text())
    assert (summary["num_conversations"], summary["num_turns"]) == (3, 6)
    assert summary["num_replies"] == len(result.replies) == 12
    assert summary["graders"]["tagger"]["name"] == "tagger"
    assert summary["settings"]["reward"]["mode"] == "add"
    assert summary["metrics"]["failed"]["mean"] == summary["num_failed"] / 12
    graded = [reply for reply in result.replies if reply.graded]
    assert graded
    assert summary["metrics"]["empathy"] == {
        "mean": pytest.approx(graded[0].empathy),
        "ci_low": pytest.approx(graded[0].empathy),
        "ci_high": pytest.approx(graded[0].empathy),
        "n": len(graded),
    }
    written = read_replies(tmp_path / "evaluation" / "before_replies.jsonl")
    assert list(written) == result.replies
    assert [(r.conversation_id, r.turn, r.sample) for r in result.replies[:4]] == [
        ("c0", 0, 0),
        ("c0", 0, 1),
        ("c0", 1, 0),
        ("c0", 1, 1),
    ]
    assert "composite" in format_results([result])


def test_no_rows_is_an_error(model_path, tmp_path):
    with pytest.raises(DataError, match="no rows"):
        evaluate_model(
            model_path,
            rows_file(tmp_path / "val.parquet", num=0),
            graders=GRADERS,
            weights=RewardWeights(),
            settings=SETTINGS,
            label="before",
            out_dir=tmp_path,
        )


@pytest.fixture
def run(model_path, tmp_path, monkeypatch) -> RunDir:
    """A run before its training, with the fake graders."""
    monkeypatch.setattr("mint.evaluation.protocols.held_out.ready_graders", lambda *_: GRADERS)
    run = RunDir.create(tmp_path / "run")
    config = {
        "mint": {
            "evaluation": {"max_new_tokens": 16, "samples_per_prompt": 2, "resamples": 200},
            "reward": {"kl": 2.0},
            "data": {"train_file": "train.parquet", "val_file": "val.parquet"},
        },
        "actor_rollout_ref": {"model": {"path": str(model_path)}},
        "data": {"val_files": str(rows_file(tmp_path / "val.parquet"))},
    }
    OmegaConf.save(OmegaConf.create(config), run.config_path)
    identities = {"tagger": GRADERS.tagger.identity, "judge": GRADERS.judge.identity}
    start_manifest(run, RunFacts(command=["x"], graders=identities))
    return run


def test_evaluate_run_before_and_after(run, model_path, capsys):
    evaluate_run(run.path, "before")
    assert read_json_if_there(run.before_path)["settings"]["reward"]["kl"] == 2.0
    assert read_json_if_there(run.comparison_path) is None
    with pytest.raises(ConfigError, match="no trained model"):
        evaluate_run(run.path, "after")
    run.model_path.symlink_to(model_path)
    main(EvaluateSettings(run=str(run.path)))
    assert "after: 12 replies" in capsys.readouterr().out
    comparison = read_json_if_there(run.comparison_path)
    # The same model with the same random numbers says the same.
    assert comparison["composite"]["difference"] == 0.0
    assert comparison["composite"]["ci_low"] == comparison["composite"]["ci_high"] == 0.0
    assert comparison["composite"]["num_turns"] == 6


def test_other_graders_than_in_training_are_refused(run, monkeypatch):
    other = Graders(FakeTagger(revision="2"), FakeJudge())
    monkeypatch.setattr("mint.evaluation.protocols.held_out.ready_graders", lambda *_: other)
    with pytest.raises(ConfigError, match=r"tagger is not the one.*fake/tagger/1.*fake/tagger/2"):
        evaluate_run(run.path, "before")


def test_wrong_runs_are_clear_errors(run, tmp_path):
    with pytest.raises(ConfigError, match="which must be"):
        evaluate_run(run.path, "later")
    run.config_path.write_text("mint: [")
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        evaluate_run(run.path, "before")
    run.config_path.unlink()
    with pytest.raises(ConfigError, match=r"config\.yaml is missing"):
        evaluate_run(run.path, "before")
