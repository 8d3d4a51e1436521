"""The tiny policy: tokenizer, chat template, warm start, files."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from mint.data.banks import load_banks
from mint.data.conversation import save_conversations
from mint.data.synthetic import generate, split_scenarios
from mint.policy.settings import TinySettings
from mint.policy.text import dialogues, encode_turns, gather, load_material
from mint.policy.tiny import build_tiny
from mint.policy.tokenizer import END, START, train_tokenizer
from mint.policy.warm_start import (
    Example,
    batch_loss,
    make_batches,
    mean_loss,
    train,
)
from mint.shell import cli
from mint.shell.paths import data_dir
from mint.tiny import TinyConfig, main
from rewards.errors import ConfigError, DataError

pytestmark = pytest.mark.slow

SMALL = TinySettings(
    reply_tokens=4000,
    turn_tokens=6000,
    vocab_size=700,
    hidden_size=64,
    num_layers=1,
    dtype="float32",
)
TRAINING = TinySettings(batch_tokens=64, learning_rate=0.01, weight_decay=0.0, dtype="float32")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "policy"
    build_tiny(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    banks = load_banks(data_dir())
    lines = [line for bank in banks.sentences.values() for line in bank]
    return train_tokenizer(lines, 1000, 256)


def small_model() -> Any:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=50,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            tie_word_embeddings=True,
        )
    )


def examples(count: int) -> list[Example]:
    rng = random.Random(0)
    return [
        Example([1] * rng.randint(1, 9), [rng.randrange(2, 50) for _ in range(rng.randint(1, 9))])
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    "text",
    ["I hear you.", "naïve — 日本語 🙂", "  two  spaces\n\nand lines\t", "\x00\x7f", "<|im_end|>x"],
)
def test_any_text_survives_encoding(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_special_tokens_are_single_and_thinking_stays_visible(tokenizer: Any) -> None:
    for mark in (START, END, "<|endoftext|>", "<think>", "</think>"):
        assert len(tokenizer(mark, add_special_tokens=False)["input_ids"]) == 1
    assert (tokenizer.eos_token, tokenizer.pad_token) == (END, "<|endoftext|>")
    ids = tokenizer(f"{START}<think>a</think>b{END}", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>a</think>b"


def test_the_chat_format_is_that_of_qwen3(tokenizer: Any) -> None:
    chat = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi {{ x }}"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Oh"},
    ]
    expected = (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi {{ x }}<|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nOh<|im_end|>\n"
    )
    render = tokenizer.apply_chat_template
    assert render(chat, tokenize=False) == expected
    prompt = render(chat, tokenize=False, add_generation_prompt=True)
    assert prompt == expected + "<|im_start|>assistant\n"
    for thinking in (True, False):
        options = {"add_generation_prompt": True, "enable_thinking": thinking}
        assert render(chat, tokenize=False, **options) == prompt


def test_an_unknown_role_is_refused(tokenizer: Any) -> None:
    with pytest.raises(Exception, match="unknown role tool"):
        tokenizer.apply_chat_template([{"role": "tool", "content": "x"}], tokenize=False)


def test_the_folder_is_a_model_that_loads_and_answers(built: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(built)
    model = AutoModelForCausalLM.from_pretrained(built)
    config = json.loads((built / "config.json").read_text())
    assert config["architectures"] == ["Qwen3ForCausalLM"]
    assert config["vocab_size"] == len(tokenizer) <= 700
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.decode([tokenizer.eos_token_id]) == END
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "My day was long."}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    reply = model.generate(**prompt, max_new_tokens=5)
    assert reply.shape[1] > prompt["input_ids"].shape[1]


def test_the_tokenizer_is_the_same_after_loading(built: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(built)
    texts = ["I'm 42, isn't that odd?", "über 日本", f"a{END}\n{START}assistant\nb"]
    again = AutoTokenizer.from_pretrained(built, use_fast=True)
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == again(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text
    banks = load_banks(data_dir())
    pool = gather(load_material(None, SMALL.seed).train, 4000 + 3000)
    trained = train_tokenizer(
        (t for d in pool for t in (*(m["content"] for m in d.messages), d.reply)), 700, 1024
    )
    lines = banks.sentences["advice"]
    assert trained(list(lines))["input_ids"] == tokenizer(list(lines))["input_ids"]


def test_the_card_says_what_was_done(built: Path) -> None:
    card = json.loads((built / "tiny.json").read_text())
    assert card["settings"]["seed"] == 0
    assert card["data"]["sha256"] == load_banks(data_dir()).sha256
    assert 9000 < card["tokens"] < 11000
    assert card["steps"] > 5
    assert 1 < card["loss"] < 7
    assert len(card["samples"]) == 8
    assert all(s["tokens"] <= 80 for s in card["samples"])


def test_the_same_seed_gives_the_same_weights(built: Path, tmp_path: Path) -> None:
    build_tiny(tmp_path / "again", SMALL)
    weights = [
        AutoModelForCausalLM.from_pretrained(folder).state_dict()
        for folder in (built, tmp_path / "again")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_an_interrupted_build_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mint.policy.tiny.sample_replies", stop)
    with pytest.raises(KeyboardInterrupt):
        build_tiny(tmp_path / "policy", SMALL)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_kept_unless_overwritten(built: Path, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty; choose another folder, or add --overwrite"):
        build_tiny(tmp_path, SMALL)
    assert (tmp_path / "old.txt").read_text() == "mine"


def test_the_command_trains_on_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    banks = load_banks(data_dir())
    save_conversations(tmp_path / "c.json", generate(40, 0, banks=banks))
    arguments = [
        f"output={tmp_path / 'policy'}",
        f"data={tmp_path / 'c.json'}",
        "reply_tokens=0",
        "turn_tokens=2000",
        "vocab_size=400",
        "hidden_size=64",
        "num_layers=1",
    ]
    assert cli.run(TinyConfig, main, arguments) == 0
    assert "parameters" in capsys.readouterr().out
    card = json.loads((tmp_path / "policy/tiny.json").read_text())
    assert card["data"]["name"] == "c.json"
    assert cli.run(TinyConfig, main, [*arguments, "--overwrite"]) == 0


def test_unusable_text_is_refused(tmp_path: Path) -> None:
    conversation = {"role": "seeker", "content": "a"}, {"role": "supporter", "content": "b"}
    records = [{"conversation_id": str(i), "conversation": conversation} for i in range(2)]
    (tmp_path / "c.json").write_text(json.dumps(records))
    with pytest.raises(DataError, match=r"conversation '0' has untagged supporter turns"):
        load_material(str(tmp_path / "c.json"), 0)
    banks = load_banks(data_dir())
    save_conversations(tmp_path / "one.json", generate(1, 0, banks=banks))
    with pytest.raises(DataError, match="need at least 2 conversations, got 1"):
        load_material(str(tmp_path / "one.json"), 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"turn_tokens": 0}, "turn_tokens must be >= 1, got 0"),
        ({"reply_tokens": -1}, "reply_tokens must be >= 0, got -1"),
        ({"hidden_size": 100}, "hidden_size must be a multiple of 64, got 100"),
        ({"vocab_size": 100}, "vocab_size must be >= 300"),
        ({"dtype": "int8"}, "dtype must be auto, float32, bfloat16, got 'int8'"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        TinySettings(**change)


def test_training_text_leaves_out_the_held_out_scenarios() -> None:
    held_out = {s.id for s in split_scenarios(load_banks(data_dir()).scenarios)[1]}
    material = load_material(None, 0)
    seen = {next(material.train).conversation_id.rpartition("-")[0] for _ in range(300)}
    assert not seen & held_out
    assert {c.conversation_id.rpartition("-")[0] for c in material.val} <= held_out


def test_dialogues_condition_on_the_previous_tactics() -> None:
    conversation = generate(1, 0, banks=load_banks(data_dir()))[0]
    first, second = dialogues([conversation])[:2]
    tags = conversation.turns[1].sentence_tactics
    assert tags is not None
    assert "First message" in first.messages[0]["content"]
    assert tags[0].tactics[0] in second.messages[0]["content"].split("Not yet")[0]
    assert second.reply == conversation.turns[3].message.content


def test_examples_end_with_the_end_token(tokenizer: Any) -> None:
    pool = dialogues(generate(3, 0, banks=load_banks(data_dir())))
    for example, dialogue in zip(encode_turns(tokenizer, pool), pool, strict=True):
        assert example.reply[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(example.reply[:-1]) == dialogue.reply
        assert tokenizer.decode(example.prompt).endswith("<|im_start|>assistant\n")


def test_batches_hold_every_example_once_and_fit() -> None:
    pool = examples(100)
    batches = list(make_batches(pool, 64, 1))
    assert sorted(e for batch in batches for e in batch) == sorted(pool)
    assert all(len(b) * max(e.num_tokens for e in b) <= 64 for b in batches)
    assert list(make_batches(pool, 64, 1)) == batches
    assert list(make_batches([], 64, 1)) == []


def test_loss_is_that_of_the_reply_tokens_alone() -> None:
    model, pool = small_model(), examples(3)
    expected = []
    for prompt, reply in pool:
        ids = torch.tensor([prompt + reply])
        labels = torch.tensor([[-100] * len(prompt) + reply])
        expected.append((model(input_ids=ids, labels=labels).loss.item(), len(reply)))
    mean = sum(loss * n for loss, n in expected) / sum(n for _, n in expected)
    assert batch_loss(model, pool, torch.float32).item() == pytest.approx(mean, rel=1e-4)
    assert mean_loss(model, pool, TRAINING) == pytest.approx(mean, rel=1e-4)


def test_training_lowers_the_loss_over_all_phases() -> None:
    model, pool = small_model(), examples(60)
    before = mean_loss(model, pool, TRAINING)
    seen: list[float] = []
    result = train(model, [pool, pool], TRAINING, lambda done, _: seen.append(done))
    assert mean_loss(model, pool, TRAINING) < before
    assert result.tokens == 2 * sum(e.num_tokens for e in pool)
    assert len(seen) == result.steps
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)
