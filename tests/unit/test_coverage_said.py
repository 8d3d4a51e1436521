"""What intervals are over, and how far the graders err, is said beside the figures."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

import evaluation_folders as folders
import pytest

from mint.evaluation.grader_error import held_out_errors, in_words
from mint.evaluation.results import changes_in_words, format_conditions
from mint.evaluation.statistics.estimates import NO_DIFFERENCE
from mint.report import ReportSettings, main
from mint.reporting.run import write_report
from mint.safety.probes import load_probes
from mint.safety.render import markdown
from mint.safety.report import run_probes
from mint.shell.files import read_json_if_there, write_json


def card(name: str) -> dict:
    path = resources.files("rewards.graders") / "weights" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def graders() -> dict:
    """The shipped ones, as evaluations record them."""
    return {
        role: {"kind": role, "name": "embedded", "revision": card(role)["sha256"], "details": {}}
        for role in ("tagger", "judge")
    }


def test_errors_are_those_of_the_cards():
    found = held_out_errors(graders())
    error = card("judge")["unseen_both"]["aggregate_mean_absolute_error"]
    people = card("tagger")["human"]["mean_macro_f1"]
    assert found["judge"]["mean_absolute_error"] == error
    assert found["tagger"]["macro_f1_people"] == people
    said = " ".join(in_words(graders()))
    assert f"Error of the judge: {error:.2f} points a reply" in said
    assert f"macro-F1 {people:.2f} on sentences of people" in said


def test_the_slope_is_said_where_the_card_has_it(monkeypatch):
    made = {"sha256": "x", "unseen_both": {"aggregate_mean_absolute_error": 0.3}}
    monkeypatch.setattr("mint.evaluation.grader_error.cards_of", lambda _: {"judge": made})
    assert "shows as" not in in_words({"judge": {}})[0]
    made["unseen_both"]["aggregate_slope"] = 0.61
    assert "a difference of 1 there shows as 0.61 here" in in_words({"judge": {}})[0]


def test_graders_without_card_are_said_to_be_unknown():
    unknown = {"judge": {**graders()["judge"], "revision": "other"}}
    assert held_out_errors(unknown) == {"judge": None}
    assert in_words(unknown) == ["Error of the judge: not known, no card is here."]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluation") / "plain"
    return folders.make_evaluation(path, 0.3, 1, graders=graders())


@pytest.mark.slow
def test_protocols_say_both_in_json_and_in_words(evaluation):
    result = read_json_if_there(evaluation / "lend_an_ear.json")
    assert "not the spread between training runs" in result["statistics"]["intervals_are_over"]
    assert result["grader_error"] == held_out_errors(graders())
    said = format_conditions(result)
    assert "Intervals (95%) are over conversations, for one model: not the spread" in said
    assert "Error of the judge: " in said


@pytest.mark.slow
def test_pages_say_both(evaluation, tmp_path):
    other = folders.make_evaluation(tmp_path / "other", 0.6, 2, graders=graders())
    output = tmp_path / "page.html"
    runs = [str(evaluation), str(other)]
    main(ReportSettings(runs=runs, output=str(output), resamples=100))
    page = output.read_text(encoding="utf-8")
    assert page.count("not the spread between training runs of other seeds") >= 3
    assert "Error of the tagger: macro-F1" in page
    assert "Intervals are over probes, one reply each of one model" in page


@pytest.mark.slow
def test_a_run_says_both(tmp_path):
    run = folders.demo_run.make_run(tmp_path / "run", steps=2)
    comparison = read_json_if_there(run.comparison_path)
    assert "held-out conversations of one run" in comparison["intervals_are_over"]
    manifest = read_json_if_there(run.manifest_path)
    write_json(run.manifest_path, {**manifest, "graders": graders()})
    page = write_report(run).read_text(encoding="utf-8")
    assert page.count("held-out conversations of one run: not the spread between runs") == 2
    assert "Error of the judge: " in page


def test_probes_say_what_their_intervals_are_over():
    report = run_probes(load_probes(), {})
    assert "one reply each of one model" in report.to_json()["intervals_are_over"]
    assert report.to_json()["intervals_are_over"] in markdown(report)


def test_the_end_says_what_changed() -> None:
    known = replace(
        NO_DIFFERENCE, before=1.12, after=1.17, difference=0.05, ci_low=0.02, ci_high=0.07
    )
    bare = replace(known, ci_low=None, ci_high=None)
    said = changes_in_words({"kl": known, "lift": bare, "empathy": NO_DIFFERENCE}, ("kl", "lift"))
    assert said == [
        "before -> after, on the turns graded in both:",
        "  novelty                 1.120 -> 1.170  +0.050  [+0.020, +0.070]",
        "  lift                    1.120 -> 1.170  +0.050",
    ]
    assert changes_in_words({"empathy": NO_DIFFERENCE}, ("empathy", "kl")) == []
