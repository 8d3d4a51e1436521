"""The files of docs/examples do what the pages that show them say."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from rewards.build import JudgeConfig, build_judge
from rewards.errors import ConfigError
from rewards.types import Failure, Message, Reply, ScalarRating


def example(root: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, root / f"docs/examples/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reward_model(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence classifier with one output and a chat template."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("reward-model")
    config = BertConfig.from_pretrained(tiny_encoder, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_reward_model_is_a_judge_by_two_keys(
    root: Path, reward_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (root / "docs/examples/reward_model_judge.py").read_text(encoding="utf-8")
    edited = text.replace("PATH/TO/REWARD_MODEL", str(reward_model))
    assert edited != text
    (tmp_path / "my_judge.py").write_text(edited, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    judge = build_judge(JudgeConfig(kind="custom", factory="my_judge:judge"), pytest.fail)
    assert (judge.identity.kind, judge.identity.name) == ("custom", str(reward_model))
    history = (Message("seeker", "i am tired of my job"),)
    texts = ["it sounds hard", "try a walk", "tired " * 5000]
    answers = asyncio.run(judge.rate([Reply(history=history, text=t) for t in texts]))
    first, second, long = answers
    assert isinstance(first, ScalarRating)
    assert isinstance(second, ScalarRating)
    assert first.value != second.value
    assert isinstance(long, Failure)
    assert long.kind == "too_long"


@pytest.mark.slow
def test_a_reward_model_that_is_none_is_one_line(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"reward model '.*' cannot be loaded"):
        example(root, "reward_model_judge").RewardModelJudge(str(tmp_path))


@pytest.mark.slow
def test_a_judge_is_asked_pair_by_pair(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (root / "data/bad_replies/pairs_a.jsonl").read_text(encoding="utf-8").splitlines()
    few = tmp_path / "pairs.jsonl"
    few.write_text("\n".join(lines[:2] + lines[-1:]) + "\n", encoding="utf-8")
    example(root, "fool_the_judge").main([str(few)])
    counts = [line.split()[-3:] for line in capsys.readouterr().out.splitlines()]
    assert [row[1:] for row in counts] == [["of", "2"], ["of", "1"], ["of", "3"]]
