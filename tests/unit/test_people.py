"""People's figures: measured, kept by the graders' identity, and shown beside those of a model."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import fake_graders
import pytest

from mint.config.evaluation import EvaluationConfig
from mint.data.cases import read_cases
from mint.evaluation.people import People, read_people, write_people
from mint.evaluation.protocols.people import measure_people
from mint.evaluation.results import format_conditions
from mint.evaluation.statistics.coverage import ONE_MODEL
from mint.evaluation.statistics.estimates import Estimate
from mint.reporting.people import lines
from rewards.build import Graders
from rewards.errors import DataError, GraderError

JUDGE = {"kind": "judge", "name": "embedded", "revision": "1", "details": {"dtype": "bfloat16"}}
TAGGER = {**JUDGE, "kind": "tagger"}
GRADERS = {"tagger": TAGGER, "judge": JUDGE}
PEOPLE = People(
    source="six friends",
    replies=60,
    conversations=12,
    graders=GRADERS,
    figures={
        "empathy": Estimate(mean=2.9, ci_low=2.8, ci_high=3.0, n=60),
        "lift": Estimate(mean=0.1, ci_low=0.05, ci_high=0.15, n=48),
        "top_opening": Estimate(mean=0.01, ci_low=None, ci_high=None, n=60),
    },
)
SAID = (
    ("I lost my job.", "That is hard. What happened?"),
    ("They closed the shop.", "I would be angry too."),
)


def conversations(path: Path, num: int = 4) -> Path:
    messages = [
        {"role": role, "content": text}
        for pair in SAID
        for role, text in zip(("seeker", "supporter"), pair, strict=True)
    ]
    rows = [{"conversation_id": f"c{i}", "conversation": messages} for i in range(num)]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def measured(path: Path, **tagger: str) -> People:
    graders = Graders(fake_graders.FakeTagger(**tagger), fake_graders.FakeJudge())
    settings = EvaluationConfig(resamples=100)
    return asyncio.run(measure_people(read_cases(path), graders, settings, "four friends"))


def test_peoples_replies_are_graded_as_a_models_are(tmp_path: Path) -> None:
    people = measured(conversations(tmp_path / "c.json"))
    assert (people.replies, people.conversations) == (8, 4)
    assert people.graders["judge"]["kind"] == "fake"
    figures = people.figures
    assert figures["empathy"].mean == 3.0
    assert figures["top_opening"].mean == 0.5
    # Validation after validation and questioning: of the two tactics one is used again.
    assert figures["stickiness"].mean == figures["self_stickiness"].mean == 0.5
    assert not {"num_tokens", "composite", "judge_logit"} & set(figures), "they do not compare"


def test_figures_come_back_from_their_file_which_holds_no_text(tmp_path: Path) -> None:
    path = tmp_path / "people.yaml"
    write_people(path, PEOPLE)
    assert read_people(path) == PEOPLE
    write_people(path, measured(conversations(tmp_path / "c.json")))
    assert "hard" not in path.read_text(encoding="utf-8")


def test_a_reference_has_no_gaps(tmp_path: Path) -> None:
    with pytest.raises(GraderError, match=r"4 of 8 replies.*turn 0 of 'c0'.*slow|cannot be tagged"):
        measured(conversations(tmp_path / "c.json"), fail_on="What happened")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"not figures of `python -m mint\.people`"):
        read_people(path)


def test_a_figure_holds_for_its_grader_alone() -> None:
    same = PEOPLE.beside({"tagger": TAGGER, "judge": {**JUDGE, "details": {"dtype": "float32"}}})
    assert same.words("empathy", 2) == "people 2.90 [2.80, 3.00]"
    assert same.line("empathy") == 2.9
    assert "stale" not in same.note
    refitted = PEOPLE.beside({**GRADERS, "judge": {**JUDGE, "revision": "2"}})
    assert refitted.words("empathy", 2) == "people 2.90 [2.80, 3.00], stale"
    assert refitted.line("empathy") is None, "no line from another scale"
    assert refitted.words("lift", 2) == "people 0.10 [0.05, 0.15]", "the tagger is the same"
    assert "another judge than graded" in refitted.note
    other = PEOPLE.beside({**GRADERS, "judge": {**JUDGE, "name": "served"}})
    assert other.words("empathy", 2) == ""
    assert PEOPLE.beside({}).words("top_opening", 2) == "people 0.01", "no grader decides it"


def test_training_curves_get_the_line_on_their_own_scale() -> None:
    beside = PEOPLE.beside(GRADERS)
    keys = ("reward/quality/mean", "reply/top_opening", "policy/entropy", "lift", "kl")
    assert lines(keys, beside) == {
        "reward/quality/mean": pytest.approx(0.475),
        "reply/top_opening": 0.01,
        "lift": 0.1,
    }


def test_the_printed_table_has_people_beside_it() -> None:
    people = read_people()
    row = {
        "counts": dict.fromkeys(("graded", "asked", "conversations", "clusters"), 30)
        | dict.fromkeys(
            ("unanswered", "parse_failed", "grader_failed", "empty", "truncated_thinking"), 0
        )
        | {"truncated": 0},
        "nothing_visible": [],
        "metrics": {"empathy": {"mean": 3.2, "ci_low": 3.1, "ci_high": 3.3, "n": 30}},
    }
    result = {
        "graders": people.graders,
        "statistics": {"confidence": 0.95, "intervals_are_over": ONE_MODEL},
        "conditions": {"x": row},
    }
    said = people.beside(people.graders).words("empathy", 3)
    assert said.startswith("people ")
    assert said in format_conditions(result)
    assert "people" not in format_conditions({**result, "graders": {}})


def test_shipped_figures_are_those_of_the_shipped_graders() -> None:
    people = read_people()
    for role in ("tagger", "judge"):
        card = resources.files("rewards.graders") / "weights" / f"{role}.json"
        revision = json.loads(card.read_text(encoding="utf-8"))["sha256"]
        assert people.graders[role]["revision"] == revision, "run python -m mint.people"
    assert replace(people, figures={}).replies == 315


def test_the_readme_gives_the_shipped_figures(root: Path) -> None:
    figures = read_people().figures
    text = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    assert f"people's replies get {figures['empathy'].mean:.2f} from the same judge" in text
    assert f"(people: {100 * figures['top_opening'].mean:.0f} %)" in text
