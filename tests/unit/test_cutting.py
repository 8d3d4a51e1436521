"""A run that goes on from an earlier step: each step stands once, in every file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mint.rundir.cutting import cut_after
from mint.rundir.directory import RunDir
from mint.rundir.manifest import RunFacts, resume_manifest, start_manifest
from mint.shell.files import append_json_lines, read_json_lines, write_json
from rewards.errors import ConfigError


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """Stopped after step 7."""
    run = RunDir.create(tmp_path / "run")
    run.validation_path.mkdir()
    for step in range(1, 8):
        run.append_metrics(step, {"a": step})
        run.append_samples([{"step": step, "rank": rank} for rank in ("best", "worst")])
        append_json_lines(run.quarantine_path, [{"stage": "train", "step": step}])
        append_json_lines(run.validations_path, [{"step": step}])
        for what in ("replies", "probes"):
            append_json_lines(run.validated_path(step, what), [{}]) if step > 1 else None
    write_json(run.best_path, {"step": 7})
    return run


def steps(path: Path) -> list[int]:
    return [row["step"] for row in read_json_lines(path)]


def test_every_file_is_cut_to_the_step(run: RunDir) -> None:
    kept_samples = run.samples_path.read_text().splitlines()[:10]
    assert cut_after(run, 5) == {
        "metrics.jsonl": 2,
        "samples.jsonl": 4,
        "quarantine.jsonl": 2,
        "validation.jsonl": 2,
    }
    for path in (run.metrics_path, run.quarantine_path, run.validations_path):
        assert steps(path) == [1, 2, 3, 4, 5]
    assert run.samples_path.read_text().splitlines() == kept_samples
    names = {path.name for path in run.validation_path.iterdir()}
    assert names == {f"step_{s}_{w}.jsonl" for s in range(2, 6) for w in ("replies", "probes")}
    assert not run.best_path.exists()
    assert cut_after(run, 5) == {}


def test_a_torn_tail_goes_too(run: RunDir) -> None:
    with run.samples_path.open("a") as file:
        file.write('{"step": 8, "re')
    assert run.left_out() == {"samples.jsonl": 1}
    assert cut_after(run, 7) == {"samples.jsonl": 1}
    assert run.left_out() == {}
    assert run.best_path.exists()


@pytest.mark.slow
def test_tensorboard_shows_each_step_once(run: RunDir) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    def write(first: int, last: int, value: float) -> None:
        with SummaryWriter(str(run.tensorboard_path)) as writer:
            for step in range(first, last + 1):
                writer.add_scalar("reward", value, step)

    write(1, 7, 0.0)
    cut_after(run, 5)
    write(6, 6, 1.0)
    seen = EventAccumulator(str(run.tensorboard_path)).Reload().Scalars("reward")
    assert [(event.step, event.value) for event in seen] == [
        *((step, 0.0) for step in range(1, 6)),
        (6, 1.0),
    ]


def test_of_an_older_runs_repeated_step_the_later_samples_are_read(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "old")
    for step, words in ((1, "one"), (3, "first"), (3, "second"), (5, "five")):
        run.append_metrics(step, {"a": 1})
        run.append_samples([{"step": step, "reply": words, "rank": r} for r in ("best", "worst")])
    said = [row["reply"] for row in run.read_samples()]
    assert said == ["one", "one", "second", "second", "five", "five"]


def test_two_trainings_cannot_share_a_folder(run: RunDir) -> None:
    with (
        run.claimed(),
        pytest.raises(ConfigError, match="another process is training in"),
        run.claimed(),
    ):
        pass
    with run.claimed():
        pass


@pytest.mark.slow
def test_the_report_tells_of_attempts_and_of_half_rows(run: RunDir) -> None:
    from mint.reporting import facts
    from mint.reporting.data import load

    for path in (run.validations_path, run.quarantine_path, run.best_path, run.samples_path):
        path.unlink()
    start_manifest(run, RunFacts(command=["train", "kl=0.5"]))
    assert "The starts of this run" not in facts.facts_section(load(run))
    resume_manifest(run, ["train", "resume=R"], from_step=5, config_diff={"a.b": (1, 2)})
    with run.metrics_path.open("a") as file:
        file.write('{"step": 8, "re')
    data = load(run)
    page = facts.facts_section(data)
    assert "The starts of this run" in page
    for said in ("train kl=0.5", "train resume=R", "a.b: 1 -&gt; 2", "killed, or the machine"):
        assert said in page
    assert "The last line of metrics.jsonl is half a row" in facts.notes_section(data)
