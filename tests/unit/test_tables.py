"""Named settings of tuned models as tables of the dev split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mint import sweep
from mint.rundir.directory import RunDir
from mint.supervised.settings import SftSettings
from mint.sweeping import tables
from mint.tuning import command


def finished(folder: Path, score: float, **metrics: float) -> None:
    """A finished run whose step 4 was the best."""
    run = RunDir.create(folder)
    run.manifest_path.write_text(json.dumps({"status": "finished"}))
    run.best_path.write_text(json.dumps({"step": 4, "score": score, "since": 1}))
    values = {f"dev/{name}": value for name, value in metrics.items()}
    run.append_metrics(4, {**values, "dev/score": score, "train/loss": 9.0})
    run.append_metrics(8, {"dev/score": -9.0})


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines that would have trained; they leave a finished run whose score is told by the
    weight of the emotion loss and the seed."""
    asked: list[list[str]] = []

    def train(command: list[str]) -> int:
        arguments = command[command.index("mint.sft") + 1 :]
        asked.append(arguments)
        values = dict(one.split("=", 1) for one in arguments if "=" in one)
        weight = float(values.get("weights.emotion", 0.2))
        if weight == 0.5:
            return 1
        seed = int(values.get("run.seed", 0))
        finished(Path(values["run.dir"]), 1.0 - weight, lm_loss=2.0 + weight + 0.1 * seed)
        return 0

    monkeypatch.setattr(tables, "run_guarded", train)
    return asked


def run(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    status = sweep.main(["+recipe=sft_tiny", "--tables", "ablations", f"--dir={folder}", *more])
    return status, json.loads((folder / "tables.json").read_text())["tables"]


@pytest.mark.slow
def test_each_setting_is_trained_once_and_measured_at_its_chosen_step(
    tmp_path: Path, trainings: list[list[str]]
) -> None:
    status, found = run(tmp_path)
    assert status == 1  # the setting with weights of 0.5 has failed
    # Five ablations and four weights; the recipe's own weights are the first ablation.
    assert len(trainings) == 9
    assert list(found) == ["Ablations", "Weights of the heads"]
    first = found["Ablations"]["all four losses"]
    loss = first["lm_loss"]
    assert (loss["mean"], loss["low"], loss["high"]) == (2.2, None, None)
    assert "score" not in first  # settings have different parts of it
    assert found["Weights of the heads"]["as the recipe"]["lm_loss"]["mean"] == loss["mean"]
    (weak,) = [one for one in trainings if "weights.emotion=0.2" in one]  # whatever the recipe has
    assert "weights.strategy=0.2" in weak
    held_out = {f"data.{s}.test=null" for s in ("goemotions", "esconv", "conversations")}
    assert all(held_out <= set(one) for one in trainings)  # tables are of the dev split
    gain = found["Ablations"]["without emotion"]["lm_loss"]["to_first"]["mean"]
    assert gain == pytest.approx(-0.2)
    assert found["Weights of the heads"]["0.5"]["runs"] == 0
    text = (tmp_path / "tables.md").read_text()
    assert "| all four losses | 1 | 2.200 |" in text
    assert "| without emotion | 1 | 2.000 (-0.200) |" in text
    assert "| 0.5 | 0 | - |" in text
    assert "One seed: differences may be noise" in text


@pytest.mark.slow
def test_no_setting_looks_at_a_test_file(tmp_path: Path, trainings: list[list[str]]) -> None:
    comments = tmp_path / "mine.tsv"
    comments.write_text("fine\t1\tid\n")
    status, _ = run(tmp_path / "out", f"data.goemotions.test={comments}")
    assert (status, len(trainings)) == (1, 9)
    for arguments in trainings:
        read = command.read("sft", SftSettings, arguments)
        assert read.settings.data.goemotions.train is not None
        assert read.settings.data.goemotions.test is None


@pytest.mark.slow
def test_preferences_are_not_evaluated_on_held_out_conversations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(tables, "run_guarded", lambda line: asked.append(line) or 1)
    mine = tmp_path / "mine.yaml"
    mine.write_text("Table:\n  weak: [dpo.beta=0.1]\n  strong: [dpo.beta=0.5]\n")
    place = f"--dir={tmp_path}/out"
    assert sweep.main(["+recipe=prefer_tiny", f"--tables={mine}", place]) == 1
    assert ["evaluate=false" in one for one in asked] == [True, True]


@pytest.mark.slow
def test_seeds_give_intervals_that_are_paired(tmp_path: Path, trainings: list[list[str]]) -> None:
    _, found = run(tmp_path, "run.seed=0,1,2")
    assert len(trainings) == 27
    loss = found["Ablations"]["all four losses"]["lm_loss"]
    # 2.2, 2.3, 2.4: mean 2.3, deviation 0.1, t(2) = 4.3027: 2.3 -+ 4.3027 * 0.1 / sqrt(3)
    assert loss["mean"] == pytest.approx(2.3)
    assert loss["low"] == pytest.approx(2.3 - 0.24841, abs=1e-4)
    gain = found["Ablations"]["without emotion"]["lm_loss"]["to_first"]
    assert [gain["low"], gain["high"]] == pytest.approx([-0.2, -0.2])


@pytest.mark.slow
def test_a_sweep_that_is_started_again_trains_what_is_missing(
    tmp_path: Path, trainings: list[list[str]]
) -> None:
    run(tmp_path)
    trainings.clear()
    run(tmp_path)
    assert [one[1:3] for one in trainings] == [["weights.emotion=0.5", "weights.strategy=0.5"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["+recipe=mint_tiny", "--tables=ablations"], "--tables needs +recipe= of sft or prefer"),
        (["+recipe=sft_tiny", "--tables=none.yaml"], "none.yaml cannot be read"),
        (["+recipe=sft_tiny", "--tables=ablations", "loop.lr=1,2"], "only run.seed takes several"),
        (["+recipe=sft_tiny", "--tables=ablations", "loop.lrr=1"], "unknown key 'loop.lrr'"),
        (["+recipe=sft_tiny", "--tables=ablations", "--dri"], "unknown option '--dri'"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main([*arguments, f"--dir={tmp_path}/out"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_file_that_holds_no_tables_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("Table:\n  setting: weights.lm=0\n")
    assert sweep.main(["+recipe=sft_tiny", f"--tables={path}"]) == 2
    assert "Table: expected table -> setting -> list of overrides" in capsys.readouterr().err
