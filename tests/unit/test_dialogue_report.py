"""The run page of a run on dialogues."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import demo_run
import pytest

from mint.config.evaluation import EvaluationConfig
from mint.dialogue.protocol import Ended, Lost, Who
from mint.dialogue.record import TalkRecord, TurnRecord
from mint.evaluation.metrics.talks import SECOND, talk_differences, talk_estimates
from mint.evaluation.options import HELD_OUT
from mint.evaluation.protocols import talkers
from mint.evaluation.protocols.held_out import write_comparison
from mint.evaluation.protocols.talks import read_talks, write_talks
from mint.reporting.comparison.contestants import load_contestants, systems_of
from mint.reporting.comparison.tables import estimates, protocol_section
from mint.reporting.data import load
from mint.reporting.run import render
from mint.rundir.directory import RunDir
from mint.shell.files import append_json_lines, read_json_if_there, write_json
from mint.training.lines import format_step

SETTINGS = EvaluationConfig(resamples=200)


def talk(person: str, emotion: float, lost: bool = False) -> TalkRecord:
    turn = TurnRecord(
        raw="I see <b>.",
        visible="I see <b>.",
        well_formed=True,
        tokens=4,
        complete=True,
        emotion=emotion,
        change=emotion - 30,
        reason="heard",
        message="Hm.",
    )
    return TalkRecord(
        person=person,
        intention="deep_empathy",
        seed=1,
        seeker="x",
        start=30.0,
        opening="It hurts.",
        turns=(turn,),
        ended=None if lost else Ended.SATISFIED if emotion == 100 else Ended.TURNS,
        lost=Lost(Who.SEEKER, "hear", "timeout", "") if lost else None,
    )


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """The demo's run directory with dialogues on top."""
    made = demo_run.make_run(tmp_path / "run")
    sides = {
        "before": {f"p{n}/0": talk(f"p{n}", 20.0 + n) for n in range(6)},
        "after": {f"p{n}/0": talk(f"p{n}", 60.0 + n) for n in range(5)}
        | {"p5/0": talk("p5", 50, lost=True)},
    }
    for label, talks in sides.items():
        write_talks(made.evaluation_path, label, talks)
        file = made.evaluation_path / f"{label}.json"
        summary = read_json_if_there(file)
        more = {name: asdict(value) for name, value in talk_estimates(talks, SETTINGS).items()}
        metrics = {**summary["metrics"], **more}
        write_json(file, {**summary, "metrics": metrics, "num_dialogues": len(talks)})
    rows = {
        name: asdict(value) for name, value in talk_differences(*sides.values(), SETTINGS).items()
    }
    write_json(made.comparison_path, {**read_json_if_there(made.comparison_path), **rows})
    for step in (demo_run.NUM_STEPS + 1, demo_run.NUM_STEPS + 2):
        row = {"dialogue/num": 32, "dialogue/emotion/mean": 40.0, "dialogue/lost_frac": 0.25}
        made.append_metrics(step, row)
    made.samples_path.unlink()
    sample = {"step": 1, "uid": "a", "reward": 0.6, "dialogue": talk("p9", 60).as_json()}
    append_json_lines(made.samples_path, [{**sample, "rank": r} for r in ("best", "worst")])
    return made


@pytest.fixture
def run_with_second(run: RunDir) -> RunDir:
    """The same, with dialogues held with a second seeker: 10 points gained where the first gives
    40, and the same replies said."""
    folder = run.evaluation_path
    for label, emotion in (("before", 20.0), ("after", 30.0)):
        talks = {f"p{n}/0": talk(f"p{n}", emotion + n) for n in range(5)}
        write_talks(folder, f"{label}_second", talks)
        replies = (folder / f"{label}_replies.jsonl").read_bytes()
        (folder / f"{label}_second_replies.jsonl").write_bytes(replies)
    write_comparison(folder, SETTINGS)
    return run


@pytest.mark.slow
def test_what_is_not_carried_over_by_hand(run_with_second: RunDir) -> None:
    found = read_json_if_there(run_with_second.comparison_path)
    assert found["emotion"]["difference"] == 40
    second = found[f"{SECOND}emotion"]
    assert (second["before"], second["after"], second["difference"]) == (22, 32, 10)
    assert (second["ci_low"], second["ci_high"]) == pytest.approx((10, 10))
    gap = found[talkers.GAP]
    assert (gap["seen"], gap["unseen"], gap["difference"]["mean"]) == (40, 10, 30)
    assert found[f"{SECOND}self_lift"]["difference"] == found["self_lift"]["difference"]
    said = talkers.gap_in_words(gap)
    assert said.startswith("emotion gained with the seeker of training +40.0, with the second one")
    page = render(load(run_with_second))
    assert "Emotion at the end, second seeker" in page
    assert "+30.0 [+30.0, +30.0] are not carried over" in page


@pytest.mark.slow
def test_runs_side_by_side_have_both_seekers(run_with_second: RunDir) -> None:
    """As on the page of a sweep: values, and paired differences to the policy before training."""
    systems = systems_of(load_contestants([run_with_second.path]), HELD_OUT)
    values = [estimates(system, SETTINGS) for system in systems]
    assert [one["emotion"].mean for one in values] == [22.5, 62.0]
    assert [one[f"{SECOND}emotion"].mean for one in values] == [22.0, 32.0]
    assert values[0][f"{SECOND}self_lift"] == values[0]["self_lift"]
    page = protocol_section(HELD_OUT, "Held out", systems, SETTINGS)
    for said in ("Emotion at the end, second seeker", "+40.0", "+10.0"):
        assert said in page


def test_without_a_second_seeker_nothing_is_said_of_one(run: RunDir) -> None:
    assert talkers.gap(run.evaluation_path, SETTINGS) == {}
    assert talkers.gap_in_words({}) == ""
    assert "second seeker" not in render(load(run))


@pytest.mark.slow
def test_the_page_says_how_people_felt(run: RunDir) -> None:
    data = load(run)
    assert data.held_out("emotion") == (22.0, 62.0), "of those with a result on both sides"
    page = render(data)
    assert '<section id="dialogues"' in page
    assert "6 dialogues with 6 held-out people" in page
    assert "Emotion at the end" in page
    assert "+40.0" in page
    assert "p1, hopes for deep empathy" in page
    assert "I see &lt;b&gt;." in page
    assert '<section id="dialogue-curves"' in page
    assert '<section id="dialogue-samples"' in page
    assert "Best: reward 0.60" in page
    assert "Best and worst training replies" not in page
    assert "Intervals rest on 6 independent people" in page


def test_a_run_on_replies_has_no_such_sections(tmp_path: Path) -> None:
    page = render(load(demo_run.make_run(tmp_path / "run")))
    assert 'id="dialogue' not in page


def test_dialogues_are_kept_whole(run: RunDir) -> None:
    talks = read_talks(run.evaluation_path, "after")
    assert talks["p5/0"] == talk("p5", 50, lost=True)
    assert read_talks(run.evaluation_path, "never") == {}


def test_the_line_of_a_step_says_how_dialogues_went() -> None:
    row = {
        "step": 3,
        "dialogue/num": 32,
        "dialogue/emotion/mean": 41.26,
        "dialogue/satisfied_frac": 0.125,
        "dialogue/despaired_frac": 0.0,
        "dialogue/turns/mean": 5.5,
        "dialogue/lost_frac": 0.25,
    }
    line = format_step(row, 10, 61.0)
    assert "emotion 41.3  success 12%  failure 0%  turns 5.5" in line
    assert "LOST 25%" in line
    assert "reward" not in line
    assert "left" not in line, "without the time of a step nothing is known"


@pytest.mark.slow
def test_the_line_of_a_step_names_each_quantity_once() -> None:
    row = {
        "step": 3,
        "time/step_s": 12.0,
        "reward/raw/mean": 0.5,
        "reward/quality/mean": 0.25,
        "reward/kl/mean": 1.5,
        "policy/kl_loss": 0.125,
    }
    line = format_step(row, 10, 61.0)
    assert "reward 0.500  quality 0.250  novelty 1.50" in line
    assert "distance 0.125" in line
    assert line.endswith("elapsed 1:01  left 1:24")
    assert "left" not in format_step({**row, "step": 10}, 10, 61.0)
    assert "left" not in format_step(row, 0, 61.0)
