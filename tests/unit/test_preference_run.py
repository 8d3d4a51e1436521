"""`mint prefer` on a small random model: log-probabilities, task, files, a run and its resume."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import make_small
from transformers import AutoModelForCausalLM

from mint import prefer
from mint.evaluation.options import EvaluateSettings
from mint.policy.warm_start import Example
from mint.preference.dpo import PairLogProbs, dpo
from mint.preference.files import read_pairs
from mint.preference.log_probs import Computing, all_log_probs, load_reference, save_reference
from mint.preference.settings import DpoSettings
from mint.preference.task import Control, DpoTask, EncodedPair
from mint.rundir.directory import RunDir
from mint.shell import cli
from mint.tuning.settings import BatchSettings
from rewards.errors import DataError

pytestmark = pytest.mark.slow

GOOD, BAD = "you are not alone", "tell me more about it"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model with a tokenizer."""
    return make_small(tmp_path_factory.mktemp("model"), [f"hello {GOOD}, {BAD}"] * 4)


def computing(folder: Path, temperature: float = 1.0, **batch: Any) -> Computing:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Computing(model, CPU, torch.float32, temperature, BatchSettings(**batch))


SAMPLES = (Example([5, 6, 7], [8, 9]), Example([10, 11], [12, 13, 14]), Example([20], [4]))


@pytest.mark.parametrize("packing", [False, True])
def test_log_probabilities_are_the_models_own_at_the_temperature(
    folder: Path, packing: bool
) -> None:
    asked = computing(folder, 0.7, packing=packing, tokens=12)
    found = all_log_probs(asked, SAMPLES)
    expected = []
    for prompt, reply in SAMPLES:
        with torch.no_grad():
            logits = asked.model(input_ids=torch.tensor([prompt + reply])).logits[0] / 0.7
        rows = logits.log_softmax(dim=-1)[len(prompt) - 1 : -1]
        expected.append(rows.gather(1, torch.tensor(reply)[:, None])[:, 0])
    assert torch.allclose(found.tokens_T, torch.cat(expected), atol=1e-4)
    assert torch.allclose(found.sums_S, torch.stack([e.sum() for e in expected]), atol=1e-4)


def pairs_of(asked: Computing, count: int) -> list[EncodedPair]:
    chosen = [Example([5, 6, 7 + i], [8, 9]) for i in range(count)]
    rejected = [Example([5, 6, 7 + i], [12, 13, 14]) for i in range(count)]
    first, second = (all_log_probs(asked, own).sums_S.tolist() for own in (chosen, rejected))
    return [EncodedPair(*one) for one in zip(chosen, rejected, first, second, strict=True)]


def test_the_loss_of_a_step_does_not_depend_on_its_pieces(folder: Path) -> None:
    whole, split = computing(folder), computing(folder, tokens=13)
    reference = [p._replace(reference_chosen=p.reference_chosen - 1) for p in pairs_of(whole, 4)]
    losses = []
    for one in (whole, split):
        task = DpoTask(one, reference, reference, Control([], torch.empty(0)), DpoSettings(), 0)
        shares = list(task.shares(reference))
        losses.append(sum(float(share.loss.detach()) for share in shares))
        # Every chosen reply is 1 nat likelier than "its reference": beta * 1 = 0.1.
        assert sum(s.metrics["margin"] for s in shares) == pytest.approx(0.1, abs=1e-4)
        assert sum(s.metrics["accuracy"] for s in shares) == 1.0
    by_hand = dpo(
        PairLogProbs(torch.tensor([1.0]), torch.tensor([0.0])),
        PairLogProbs(torch.tensor([0.0]), torch.tensor([0.0])),
        0.1,
    )
    assert losses == pytest.approx([by_hand.loss.item()] * 2, abs=1e-4)


def test_a_step_raises_the_margin_and_leaves_the_reference(folder: Path) -> None:
    asked = computing(folder)
    asked.model.eval()
    pairs = pairs_of(asked, 4)
    control = [Example([5, 6], [9, 10, 11])]
    reference_T = all_log_probs(asked, control).tokens_T
    task = DpoTask(asked, pairs, pairs, Control(control, reference_T), DpoSettings(), 0)
    with torch.no_grad():
        before = task.measure()
    assert before.metrics["margin"] == pytest.approx(0, abs=1e-5)
    assert before.metrics["kl"] == pytest.approx(0, abs=1e-6)
    assert before.score == pytest.approx(-0.6931, abs=1e-3)
    optimizer = torch.optim.AdamW(task.module.parameters(), lr=1e-3)
    for _ in range(5):
        for share in task.shares(pairs):
            share.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        after = task.measure()
    assert after.metrics["accuracy"] == 1.0
    assert (after.metrics["margin"] or 0) > 0.1
    assert (after.metrics["kl"] or 0) > 1e-4
    assert after.score > before.score


def test_an_epoch_has_every_pair_once_in_an_order_of_its_own(folder: Path) -> None:
    asked = computing(folder, size=2)
    pairs = pairs_of(asked, 4)
    task = DpoTask(asked, pairs, pairs, Control([], torch.empty(0)), DpoSettings(), 1)
    epochs = [[pair for step in task.steps(number) for pair in step] for number in range(6)]
    for own in epochs:
        assert sorted(p.chosen.prompt for p in own) == sorted(p.chosen.prompt for p in pairs)
    assert len({tuple(tuple(p.chosen.prompt) for p in own) for own in epochs}) > 1
    assert epochs[0] == [pair for step in task.steps(0) for pair in step]


def test_a_reference_of_other_pairs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reference.safetensors"
    save_reference(path, {"chosen_P": torch.zeros(3)})
    assert load_reference(path, {"chosen_P": 3})["chosen_P"].tolist() == [0, 0, 0]
    with pytest.raises(DataError, match=r"chosen_P has 3 values, the pairs need 4"):
        load_reference(path, {"chosen_P": 4})


def row(number: int, **values: Any) -> dict[str, Any]:
    return {
        "conversation_id": f"c{number}",
        "messages": [{"role": "user", "content": f"hello {number}"}],
        "chosen": GOOD,
        "rejected": BAD,
        **values,
    }


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chosen": " "}, "2: chosen must be a text"),
        ({"rejected": GOOD}, "2: chosen and rejected are the same reply"),
        ({"messages": []}, "2: messages must be a list"),
        ({"messages": [{"role": "seeker", "content": "a"}]}, "2: message 0 needs a role of"),
        ({"messages": [{"role": "user", "content": 1}]}, "2: message 0 needs a text"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "must be the user's"),
    ],
)
def test_a_bad_pair_is_named_by_its_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = write(tmp_path / "pairs.jsonl", [row(1), row(2, **change)])
    with pytest.raises(DataError, match=said):
        read_pairs(path)


def test_a_run_saves_goes_on_and_writes_a_model(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = write(tmp_path / "pairs.jsonl", [row(number) for number in range(20)])
    arguments = [
        "+recipe=prefer_tiny",
        f"model.path={folder}",
        "model.build=none",
        "model.adapter=lora",
        f"data.pairs={pairs}",
        "evaluate=false",
        "loop.every_steps=2",
        "loop.lr=0.01",
        "batch.size=4",
    ]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert prefer.main([*arguments, f"run.dir={whole}"]) == 0
    metrics = RunDir(whole).read_metrics()
    assert metrics[0]["dev/margin"] == pytest.approx(0, abs=1e-4)
    assert metrics[-1]["dev/accuracy"] == 1.0
    assert metrics[-1]["train/margin"] > 0.05
    assert metrics[-1]["dev/kl"] is None  # ready pairs have no plain sample of the reference
    trained = AutoModelForCausalLM.from_pretrained(whole / "model")
    start = AutoModelForCausalLM.from_pretrained(folder)
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(trained.state_dict()[name], start.state_dict()[name])
    assert (whole / "report.html").is_file()
    assert (whole / "adapter" / "adapter_config.json").is_file()

    # A run that ended early goes on from its checkpoint, with the pairs and reference it has.
    assert prefer.main([*arguments, f"run.dir={cut}", "loop.max_steps=2"]) == 0
    config = (cut / "config.yaml").read_text().replace("max_steps: 2", "max_steps: null")
    (cut / "config.yaml").write_text(config)
    manifest = json.loads((cut / "manifest.json").read_text())
    (cut / "manifest.json").write_text(json.dumps({**manifest, "status": "running"}))
    capsys.readouterr()
    assert prefer.main([f"resume={cut}"]) == 0
    assert "going on from step 2 of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("data.pairs=none.jsonl", "none.jsonl cannot be read"),
        ("data.dir=nowhere", "nowhere/train.parquet does not exist"),
        ("dpo.beta=0", "dpo.beta must be > 0, got 0"),
        ("dpo.label_smoothing=0.5", r"dpo.label_smoothing must be in [0, 0.5), got 0.5"),
        ("pairs.samples=1", "pairs.samples must be >= 2, got 1"),
        ("dpo.betta=1", "unknown key 'dpo.betta'; did you mean 'dpo.beta'?"),
        ("model.path=nowhere/at/all", "nowhere/at/all does not exist"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_written(
    argument: str, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["+recipe=prefer_tiny", "model.build=none", "data.source=prepared"]
    if not argument.startswith("model.path"):
        arguments.append(f"model.path={folder}")
    out = tmp_path / "run"
    assert prefer.main([*arguments, argument, f"run.dir={out}"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_run_of_another_command_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir.create(tmp_path / "run")
    run.config_path.write_text("mint: {prefer: {dpo: {beta: 0.1}}}\n")
    main = importlib.import_module("mint.evaluate").main  # the package's own name is a function
    assert cli.run(EvaluateSettings, main, [f"run={run.path}"]) == 2
    assert "this is a run of `mint prefer`, not of `mint train`; give its model" in (
        capsys.readouterr().err
    )
