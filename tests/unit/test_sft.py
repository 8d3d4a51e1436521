"""Multi-task fine-tuning: labels, readers, mixture, losses, heads that see no reply, runs."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from small_models import make_small
from transformers import AutoTokenizer

from mint import sft, train
from mint.config.prompts import PromptConfig, PromptStyle
from mint.data.banks import load_banks
from mint.data.conversation import save_conversations
from mint.data.synthetic import generate
from mint.policy.warm_start import Example
from mint.safety.probes import load_probes
from mint.shell.paths import data_dir
from mint.supervised import losses, mixture, scores
from mint.supervised.comments import read_comments
from mint.supervised.dialogues import read_empathetic, read_own
from mint.supervised.heads import (
    Head,
    HeadShape,
    check_same,
    load_heads,
    save_heads,
)
from mint.supervised.labels import (
    emotions,
    strategies,
    strategy_of_tactics,
    tactics_of_strategies,
)
from mint.supervised.safety import halves, prompt_of
from mint.supervised.samples import Sample
from mint.supervised.support import read_support
from mint.tuning.batches import make_rows
from mint.tuning.encoding import Encoder
from rewards.errors import ConfigError, DataError
from rewards.tactics import TACTIC_NAMES

pytestmark = pytest.mark.slow

PLAIN = PromptConfig(style=PromptStyle.PLAIN, compact=True)


# Labels


def test_each_of_the_32_emotions_means_exactly_one_of_the_28_classes() -> None:
    labels = emotions()
    assert len(labels.names) == len(set(labels.names)) == 28
    assert len(labels.spellings) == 32
    reached = {labels.names[labels.index(word)] for word in labels.spellings}
    assert set(labels.names) - reached == {
        *("amusement", "confusion", "curiosity", "desire", "disapproval", "relief", "neutral")
    }
    assert labels.names[labels.index("Nostalgic")] == "realization"
    assert labels.index("grateful") == labels.index("gratitude") == 15
    with pytest.raises(DataError, match="unknown emotion 'greatful'; did you mean 'grateful'"):
        labels.index("greatful")


def test_each_of_the_8_strategies_stands_for_tactics() -> None:
    labels, tactics, back = strategies(), tactics_of_strategies(), strategy_of_tactics()
    assert len(labels.names) == 8
    assert set(tactics) == set(labels.names)
    assert {name for own in tactics.values() for name in own} <= set(TACTIC_NAMES)
    assert set(back) == set(TACTIC_NAMES)
    assert set(back.values()) <= set(labels.names)
    for strategy, own in tactics.items():
        for tactic in own:
            assert strategy == back[tactic] or "paraphras" in tactic
    assert labels.index("Restatement/Paraphrasing") == labels.index("restatement or paraphrasing")


# Readers


def test_comments_are_read_with_one_or_several_classes(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("So sad.\t25\tid1\nThanks, love!\t15,18\tid2\nOk\t27\tid3\n", "utf-8")
    single, left_out = read_comments(path, emotions(), single=True)
    assert left_out == 1
    assert [text.emotions for text in single] == [(25,), (27,)]
    assert single[0].messages[-1] == {"role": "user", "content": "So sad."}
    several, left_out = read_comments(path, emotions(), single=False)
    assert left_out == 0
    assert several[1].emotions == (15, 18)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no classes", r"train\.tsv:2: expected TEXT, tab, class numbers, tab, id; got 'no cl"),
        ("text\t28\tid", r"train\.tsv:2: class '28' is no number from 0 to 27"),
        ("text\tjoy\tid", r"train\.tsv:2: class 'joy' is no number from 0 to 27"),
    ],
)
def test_a_bad_comment_is_named_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(f"fine\t1\tid\n{line}\n", "utf-8")
    with pytest.raises(DataError, match=said):
        read_comments(path, emotions(), single=True)


TSV = (
    "1.0 0 0 I lost my job.  EOS 1.0 1 1 [Questions] What happened?\n"
    "1.0 0 0 I lost my job.  EOS 1.0 1 1 [Questions] What happened? EOS 1.0 1 2 [Other] I am here."
    "\n0.0 1 2 [Other] I am here. EOS 0.0 0 3 They closed. EOS 1.0 1 4 [Information] It is common."
    "\n1.0 0 0 Hello EOS 1.0 1 1 [Self-disclosure] Me too.\n"
)


def test_the_strategy_tsv_gives_a_sample_a_supporter_turn(tmp_path: Path) -> None:
    path = tmp_path / "dev.tsv"
    path.write_text(TSV, "utf-8")
    labels = strategies()
    texts = read_support(path, labels, "Be kind.", told=True)
    assert [labels.names[text.strategy or 0] for text in texts] == [
        *("Question", "Others", "Information", "Self-disclosure")
    ]
    assert [text.group for text in texts] == ["dev-0", "dev-0", "dev-0", "dev-1"]
    assert texts[0].reply == "What happened?"
    second, third = texts[1], texts[2]
    assert second.messages[0]["content"] == "Be kind. Message 3. Strategies so far: Question."
    # Who said the last thing was the supporter: chat templates want a user there.
    assert [m["role"] for m in second.messages] == ["system", "user", "assistant", "user"]
    assert [m["role"] for m in third.messages] == ["system", "user", "assistant", "user"]
    assert third.messages[1]["content"] == "..."
    untold = read_support(path, labels, "Be kind.", told=False)
    assert {text.messages[0]["content"] for text in untold} == {"Be kind."}
    assert not any("[" in m["content"] for text in untold for m in text.messages)


def test_esconvs_json_gives_the_same(tmp_path: Path) -> None:
    turns = [
        ("seeker", None, "I lost my job."),
        ("supporter", "Question", "What happened?"),
        ("supporter", "Others", "I am here."),
    ]
    dialog = [
        {"speaker": who, "annotation": {"strategy": strategy} if strategy else {}, "content": said}
        for who, strategy, said in turns
    ]
    path = tmp_path / "ESConv.json"
    path.write_text(json.dumps([{"dialog": dialog}]), "utf-8")
    tsv = tmp_path / "dev.tsv"
    tsv.write_text("\n".join(TSV.splitlines()[:2]) + "\n", "utf-8")
    one, other = (read_support(p, strategies(), "Be kind.", told=True) for p in (path, tsv))
    assert [(t.messages, t.reply, t.strategy) for t in one] == [
        (t.messages, t.reply, t.strategy) for t in other
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.0 0 0 Hi EOS 1.0 1 1 [Hugging] There.\n", r"dev\.tsv:1: unknown strategy 'Hugging'"),
        ("Hi EOS there\n", r"dev\.tsv:1: expected WEIGHT SPEAKER NUMBER TEXT"),
        ("1.0 1 0 [Other] Hi EOS 1.0 0 1 Hello\n", r"dev\.tsv:1: the last utterance is no supp"),
    ],
)
def test_a_bad_line_of_support_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "dev.tsv"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=said):
        read_support(path, strategies(), "", told=True)


CSV = (
    "conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags\n"
    "hit:1,1,{0},p,1,I lost my dog_comma_ sadly.,5,\n"
    "hit:1,2,{0},p,0,I am sorry. Since when?,5,\n"
)


def test_empathetic_dialogues_carry_the_class_of_their_emotion(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text(CSV.format("devastated"), "utf-8")
    (text,) = read_empathetic(path, emotions(), PLAIN)
    assert text.emotions == (emotions().index("grief"),)
    assert text.messages[-1] == {"role": "user", "content": "I lost my dog, sadly."}
    assert text.reply == "I am sorry. Since when?"
    path.write_text(CSV.format("hangry"), "utf-8")
    with pytest.raises(DataError, match=r"train\.csv: conversation 'hit:1': unknown emotion 'hang"):
        read_empathetic(path, emotions(), PLAIN)


def test_own_conversations_have_the_prompts_of_training_on_rewards(tmp_path: Path) -> None:
    made = list(generate(3, 0, banks=load_banks(data_dir())))
    path = tmp_path / "own.json"
    save_conversations(path, made)
    prompts = PromptConfig(compact=True)
    texts = read_own(path, strategies(), prompts, strategies=True)
    assert len(texts) == sum(len(c.turns) // 2 for c in made)
    assert "First message." in texts[0].messages[0]["content"]
    tactics = [t for s in made[0].turns[1].sentence_tactics or () for t in s.tactics]
    counted = Counter(strategy_of_tactics()[name] for name in tactics)
    assert texts[0].strategy == strategies().index(counted.most_common(1)[0][0])
    assert read_own(path, strategies(), prompts, strategies=False)[0].strategy is None


def test_real_files_are_read(upstream: Path) -> None:
    folder = upstream.parent
    test, left_out = read_comments(folder / "goemotions/test.tsv", emotions(), single=True)
    assert (len(test), left_out) == (4590, 837)
    names = (folder / "goemotions/labels.txt").read_text("utf-8").split()
    assert list(emotions().names) == names[: len(names)] + ["neutral"][len(names) - 27 :]
    turns = read_support(folder / "esconv/testWithStrategy_short.tsv", strategies(), "", told=True)
    assert len({turn.group for turn in turns}) == 210
    counted = Counter(strategies().names[turn.strategy or 0] for turn in turns)
    assert counted["Question"] == 554
    assert counted["Others"] <= 506


# Mixture


def test_shares_are_those_of_the_description() -> None:
    parts = mixture.shares({"ed": 25_000, "esconv": 1_300, "goemotions": 58_000}, 0.5)
    assert [round(p, 3) for p in parts.values()] == [0.363, 0.083, 0.554]
    assert mixture.shares({"a": 3, "b": 1, "c": 0}, 1.0) == {"a": 0.75, "b": 0.25}
    assert mixture.counts({"a": 0.5, "b": 0.3, "c": 0.2}, 11) == {"a": 6, "b": 3, "c": 2}
    with pytest.raises(ConfigError, match="the mixture is empty"):
        mixture.shares({"a": 0}, 0.5)


def test_nothing_is_drawn_again_before_all_was_drawn() -> None:
    data = {"a": list(range(10)), "b": [100, 101]}
    drawn = [mixture.draw(data, {"a": 4, "b": 3}, epoch, seed=3) for epoch in range(5)]
    assert [len(own) for own in drawn] == [7] * 5
    a = [x for own in drawn for x in own if x < 100]
    assert sorted(a) == sorted([*range(10)] * 2)
    assert drawn[2] == mixture.draw(data, {"a": 4, "b": 3}, 2, seed=3)
    assert drawn[2] != mixture.draw(data, {"a": 4, "b": 3}, 2, seed=4)


# Losses and scores


def test_kl_is_of_the_teacher_to_the_student() -> None:
    teacher = torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log()
    student = torch.tensor([[0.25, 0.75], [0.9, 0.1]]).log().requires_grad_()
    found = losses.summed_kl(teacher, student)
    wanted = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert float(found.detach()) == pytest.approx(wanted)
    found.backward()
    # d KL / d logit = student - teacher.
    assert torch.allclose(student.grad, torch.tensor([[-0.25, 0.25], [0.0, 0.0]]), atol=1e-6)
    assert float(losses.summed_kl(student.detach(), student)) == pytest.approx(0.0, abs=1e-6)


def test_losses_of_heads_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    softplus = math.log(1 + math.exp(-2.0))
    assert float(losses.summed_classes(logits, [(0,), (1,)], None)) == pytest.approx(
        softplus + math.log(2)
    )
    weighted = losses.summed_classes(logits, [(0,), (1,)], torch.tensor([0.5, 3.0]))
    assert float(weighted) == pytest.approx(0.5 * softplus + 3 * math.log(2))
    several = losses.summed_several(logits, [(0, 1), ()])
    assert float(several) == pytest.approx(softplus + 3 * math.log(2))
    assert losses.class_weights([0, 0, 0, 1], 3).tolist() == pytest.approx([2 / 3, 2.0, 0.0])


def test_scores_are_sklearns() -> None:
    generator = np.random.default_rng(0)
    truth, told = generator.integers(0, 5, 200), generator.integers(0, 5, 200)
    found = scores.single_label(truth.tolist(), told.tolist(), 5)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, told))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, told, average="macro"))
    assert found["weighted_f1"] == pytest.approx(f1_score(truth, told, average="weighted"))
    assert found["accuracy_low"] < found["accuracy"] < found["accuracy_high"]
    true = generator.integers(0, 2, (50, 4)).astype(float)
    chance = generator.random((50, 4))
    several = scores.multi_label(true, chance)
    assert several["macro_f1"] == pytest.approx(f1_score(true, chance >= 0.3, average="macro"))


# Heads


def rows_of(*samples: Example) -> Any:
    return make_rows(samples, packing=False, row_tokens=0)


@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_a_reply_never_changes_a_head(folder: Path, pooling: str) -> None:
    from transformers import AutoModelForCausalLM

    from mint.tuning.model import hidden_states

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    torch.manual_seed(0)
    shape = HeadShape(labels=("a", "b"), hidden_size=32, width=8, pooling=pooling)
    honest = Head(shape, 0.0).eval()
    leaking = Head(HeadShape(labels=("a", "b"), hidden_size=32, sees_reply=True), 0.0).eval()
    both = [rows_of(Example([5, 6, 7], reply)) for reply in ([8, 9], [20, 21, 22])]
    short = rows_of(Example([5, 6, 7], []), Example([9, 9, 9, 9], [1]))
    with torch.no_grad():
        told = [
            [head(hidden_states(model, rows), rows, torch.tensor([0])) for rows in (*both, short)]
            for head in (honest, leaking)
        ]
    first, second, alone = told[0]
    assert torch.allclose(first, second, atol=1e-6)
    assert torch.allclose(first, alone, atol=1e-6)
    assert not torch.allclose(told[1][0], told[1][1], atol=1e-3)


def test_the_length_of_a_reply_changes_no_context(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [{"role": ("user", "assistant")[n % 2], "content": "long ago"} for n in range(19)]
    replies = ("Yes.", "That sounds hard, and I am sorry. " * 4)
    longest = Encoder(tokenizer, 9999)(turns, None).num_tokens
    for most in (longest, 3 * longest // 4, longest // 2):
        encode = Encoder(tokenizer, most)
        short, long = (encode(turns, reply, apart=True) for reply in replies)
        assert short is not None
        assert long is not None
        assert short.prompt == long.prompt
        assert max(short.num_tokens, long.num_tokens) <= most
        assert encode(turns, "", apart=True).prompt == short.prompt
    apart, beside = encode(turns, replies[1], apart=True), encode(turns, replies[1])
    assert beside is None or beside.prompt != apart.prompt  # what made a reply tell of itself


def test_pooling_by_hand() -> None:
    hidden = torch.tensor([[1.0, 0.0], [3.0, 0.0], [9.0, 9.0], [0.0, 0.0]])
    rows = rows_of(Example([1, 2], [3]), Example([4], []))._replace(starts_S=torch.tensor([0, 3]))
    for pooling, wanted in (("last", [3.0, 0.0]), ("mean", [2.0, 0.0])):
        head = Head(HeadShape(labels=("a",), hidden_size=2, pooling=pooling), 0.0)
        assert head._pooled(hidden, rows, torch.tensor([0])).tolist() == [wanted]
    head = Head(HeadShape(labels=("a",), hidden_size=2, pooling="attention"), 0.0)
    with torch.no_grad():
        head.query.weight.copy_(torch.tensor([[math.log(3.0) / 2, 0.0]]))
        pooled = head._pooled(hidden, rows, torch.tensor([0]))
    assert pooled[0].tolist() == pytest.approx([(1 + 3 * 3) / 4, 0.0])  # scores differ by log 3


def test_a_detached_head_teaches_the_model_nothing() -> None:
    hidden = torch.randn(3, 4, requires_grad=True)
    rows = rows_of(Example([1, 2], [3]))
    for detached in (True, False):
        head = Head(HeadShape(labels=("a", "b"), hidden_size=4, detached=detached), 0.0)
        hidden.grad = None
        head(hidden, rows, torch.tensor([0])).sum().backward()
        assert (hidden.grad is None) is detached
        assert head.layers[0].weight.grad is not None


def test_heads_are_read_back_and_others_are_refused(tmp_path: Path) -> None:
    shape = HeadShape(labels=("a", "b"), hidden_size=4, width=3)
    head = Head(shape, 0.1).eval()
    save_heads(tmp_path, {"emotion": head})
    (loaded,) = load_heads(tmp_path, 4).values()
    hidden, rows = torch.randn(3, 4), rows_of(Example([1, 2], [3]))
    place = torch.tensor([0])
    assert torch.equal(loaded(hidden, rows, place), head(hidden, rows, place))
    with pytest.raises(DataError, match="reads states of 4 numbers, the model has 5"):
        load_heads(tmp_path, 5)
    other = Head(HeadShape(labels=("a", "b", "c"), hidden_size=4, width=3), 0.1)
    with pytest.raises(DataError, match=r"tells 2 classes \(a, b, \.\.\.\), wanted are 3"):
        check_same({"emotion": head}, {"emotion": other}, tmp_path)
    with pytest.raises(DataError, match="there is no head 'strategy' in it"):
        check_same({"emotion": head}, {"strategy": head}, tmp_path)
    with pytest.raises(ConfigError, match=r"has no heads\.safetensors"):
        load_heads(tmp_path / "nowhere", 4)


def test_half_of_the_probes_stays_unseen() -> None:
    items = load_probes()
    trained, held_out = halves(items)
    assert len(trained) + len(held_out) == len(items)
    assert not {i.id for i in trained} & {i.id for i in held_out}
    assert not {i.pair for i in trained if i.pair} & {i.pair for i in held_out if i.pair}
    assert {i.category for i in trained} == {i.category for i in held_out}
    assert 0.8 < len(trained) / len(held_out) < 1.7
    assert prompt_of(trained[0], PLAIN)[-1]["role"] == "user"


# Runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model with a tokenizer."""
    banks = load_banks(data_dir())
    lines = [line for bank in banks.sentences.values() for line in bank]
    sizes = {"max_position_embeddings": 512, "bos_token_id": None}
    return make_small(tmp_path_factory.mktemp("model"), lines, words=600, context=512, **sizes)


def tiny(folder: Path, *more: str) -> list[str]:
    return [
        "+recipe=sft_tiny",
        f"model.path={folder}",
        "model.build=none",
        "model.num_threads=1",
        "data.conversations.generate=12",
        "data.samples=96",
        "data.dev_cap=20",
        f"data.goemotions.test={data_dir() / 'supervised/comments.tsv'}",
        "safety.prompts=3",
        "safety.max_new_tokens=6",
        "loop.epochs=1",
        "loop.every_steps=2",
        "weights.strategy_with_reply=0.2",
        *more,
    ]


def test_a_run_from_start_to_training_on_rewards(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Heads, an interruption, going on, the merge, and the dry run of training from it."""
    import os
    import signal

    from transformers import AutoModelForCausalLM

    from mint.tuning.loop import _Loop

    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    measure = _Loop._measure

    def interrupt(loop: Any) -> None:
        measure(loop)
        if loop._step == 2:
            os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(_Loop, "_measure", interrupt)
    assert sft.main(tiny(folder, f"run.dir={run}")) == 75
    monkeypatch.setattr(_Loop, "_measure", measure)
    assert json.loads((run / "manifest.json").read_text())["status"] == "saved"
    assert not (run / "model").exists()
    assert sft.main([f"resume={run}"]) == 0
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert [attempt["from_step"] for attempt in manifest["attempts"]] == [0, 3]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "train/loss" in row] == list(range(1, 7))
    for key in ("train/lm", "train/emotion", "train/strategy", "train/safety"):
        assert any(row.get(key, 0.0) > 0 for row in rows), key
    whole = [row for row in rows if {"train/lm", "train/strategy"} <= set(row)]
    for row in whole:
        parts = {"lm": 1.0, "emotion": 0.2, "strategy": 0.2, "safety": 0.1}
        parts["strategy_with_reply"] = 0.2
        total = sum(weight * row.get(f"train/{name}", 0.0) for name, weight in parts.items())
        assert row["train/loss"] == pytest.approx(total, rel=1e-4)
    assert "What was learnt" in (run / "report.html").read_text("utf-8")
    tested = json.loads((run / "evaluation/heads.json").read_text())["test"]["goemotions"]
    assert tested["emotion"]["num"] == 140

    # The merged model loads without peft and without heads, which lie beside it.
    merged = AutoModelForCausalLM.from_pretrained(run / "model", dtype=torch.float32)
    assert {p.name for p in (run / "model").glob("*.safetensors")} == {"model.safetensors"}
    before = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    layer = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(merged.get_parameter(layer), before.get_parameter(layer))
    assert set(load_heads(run / "heads", 32)) == {"emotion", "strategy", "strategy_with_reply"}
    assert (run / "adapter/adapter_config.json").is_file()

    capsys.readouterr()
    assert sft.main([f"resume={run}"]) == 2
    assert f"the run in {run} is finished" in capsys.readouterr().err
    rewards = ["+recipe=mint_tiny", "mint.data.num_conversations=30", "--dry-run"]
    assert train.main([*rewards, f"policy={run}"]) == 0
    assert "all checks passed" in capsys.readouterr().out
    assert train.main([*rewards, f"policy={run}", "mint.data.style=plain"]) == 2
    error = capsys.readouterr().err
    assert "mint.data.style=plain, but the policy" in error
    assert "set mint.data.style=tactics_history" in error
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    tokenizer.chat_template += "{# changed #}"
    tokenizer.save_pretrained(run / "model")
    assert train.main([*rewards, f"policy={run}"]) == 2
    assert "is not the one it was tuned with" in capsys.readouterr().err

    # Another run may go on from its heads, and only with heads like them.
    second = tmp_path / "second"
    again = tiny(folder, f"model.path={run}", f"run.dir={second}", "heads.emotion_width=32")
    assert sft.main(again) == 2
    assert "the head 'emotion' is HeadShape" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["data.goemotions.train=nowhere.tsv"], "data.goemotions.train=nowhere.tsv does not exist"),
        (["safety.teacher=./nowhere"], "safety.teacher=./nowhere does not exist"),
        (
            ["data.goemotions.train=null", "data.goemotions.test=null"],
            "weights.emotion=0.2, but no training sample carries what it learns from",
        ),
        (
            [
                "data.goemotions.train=null",
                "data.goemotions.test=null",
                "data.conversations.generate=null",
            ],
            "the mixture is empty: give at least one of data.goemotions.train",
        ),
        (["heads.pooling=first"], "heads.pooling must be one of last, mean, attention"),
        (["weights.lm=-1"], "weights.lm must be >= 0, got -1.0"),
        (["model.path=./nowhere"], "model.path=./nowhere does not exist"),
        (["data.prompts.style=file"], "data.prompts.style=file is not for `mint sft`"),
        (["weights.lm=1,2"], "`mint sft` takes one value a key"),
        (["loop.lrr=1"], "unknown key 'loop.lrr'; did you mean 'loop.lr'?"),
    ],
)
def test_bad_input_gives_one_line(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = {key.split("=")[0] for key in more}
    base = [a for a in tiny(folder) if a.split("=")[0] not in keys]
    assert sft.main([*base, *more]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


def test_a_teacher_of_another_vocabulary_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    config = json.loads((folder / "config.json").read_text())
    (teacher / "config.json").write_text(json.dumps({**config, "vocab_size": 99}))
    assert sft.main(tiny(folder, f"safety.teacher={teacher}", "--dry-run")) == 2
    assert f"has 99 tokens, the model has {config['vocab_size']}" in capsys.readouterr().err


def test_a_template_without_a_system_role_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "model"
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    tokenizer = AutoTokenizer.from_pretrained(other)
    refusal = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    )
    tokenizer.chat_template = refusal + tokenizer.chat_template
    tokenizer.save_pretrained(other)
    assert sft.main(tiny(other, "--dry-run")) == 0
    said = capsys.readouterr().out
    assert f"note: the chat template of {other} takes no system message; it goes before" in said


def test_samples_only_take_part_in_losses_of_their_labels() -> None:
    reply = Sample(source="a", example=Example([1], [2, 3]), learns_reply=True)
    comment = Sample(source="b", example=Example([1], []), emotions=(3,))
    turn = Sample(source="c", example=Example([1], [2]), learns_reply=True, strategy=1)
    kept = Sample(source="d", example=Example([1], [2, 3, 4]), safety=True)
    counts = losses.counts_of([reply, comment, turn, kept], None, None)
    assert counts == losses.Counts(lm=3, emotion=1, strategy=1, safety=3)
    weights = torch.tensor([0.0, 0.25, 0.0, 4.0])
    assert losses.counts_of([comment, turn], weights, weights) == losses.Counts(1, 4.0, 0.25, 0)
