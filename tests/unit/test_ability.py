"""Small fixed questions with exact checks: `mint evaluate protocol=ability`."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.ability import CHECKS, Question, holds, last_number, load_questions
from mint.evaluation.generation import Generation
from mint.evaluation.options import EvaluateSettings
from mint.evaluation.protocols import ability
from mint.evaluation.sources.requests import Sampling
from mint.shell.files import read_json, read_json_lines
from rewards.errors import DataError
from rewards.types import Failure

FEW = EvaluationConfig(resamples=200)
GREEDY = Sampling(temperature=0, top_p=1, max_new_tokens=9, thinking=False, seed=0)


def test_what_ships() -> None:
    found = load_questions()
    assert Counter(one.set for one in found) == {"arithmetic": 60, "instructions": 40}
    assert {name for one in found for name in one.checks} <= set(CHECKS)
    numbers = [one for one in found if one.set == "arithmetic"]
    assert all(set(one.checks) == {"number"} for one in numbers)
    plus = next(one for one in numbers if one.id == "chain_sum-00")
    terms = plus.prompt.rpartition(":")[2].replace("=", "").strip(" .?")
    assert eval(terms, {"__builtins__": {}}) == plus.checks["number"]  # digits and signs alone


@pytest.mark.parametrize(
    ("checks", "right", "wrong"),
    [
        ({"number": 12}, "7 + 5 = 12.", "12 is not 13"),
        ({"number": -3}, "That is -3", "3"),
        ({"number": -3}, "That is \N{MINUS SIGN}3", "3 - 0 = 3"),
        ({"number": 1007}, "1,007", "107"),
        ({"words_at_most": 2}, "Two words", "These are three"),
        ({"sentences": 2}, "One. Two.", "One."),
        ({"bullets": 2}, "- a\n- b", "- a\nb"),
        ({"lines": 2}, "a\n\nb", "a"),
        ({"json": ["a", "b"]}, '{"b": 1, "a": 2}', '{"a": 1, "b": 2, "c": 3}'),
        ({"one_of": ["yes", "no"]}, "Yes.", "Yes, it is."),
        ({"without": "dog"}, "A dogged friend.", "A Dog."),
        ({"times": ["hello", 3]}, "hello Hello hello", "hello hello"),
        ({"times": ["and", 2]}, "And you and I.", "Sand and and and land"),
        ({"times": [",", 2]}, "red, 7, cat", "red, 7"),
        ({"ends": "good night"}, "Read a page. good night.", "good night, all"),
        ({"quoted": True}, '"Tuesday"', "Tuesday"),
        ({"uppercase": True, "words_at_most": 1}, "WHITE", "WHITE SNOW"),
        ({"no_comma": True, "question": True}, "Why?", "So, why?"),
        ({"starts": "Tea", "words_at_least": 2}, "Tea warms.", "Tea"),
    ],
)
def test_checks_are_exact(checks: dict[str, Any], right: str, wrong: str) -> None:
    question = Question("q", "instructions", "", checks)
    assert holds(question, f" {right}\n")
    assert not holds(question, wrong)
    assert not holds(question, " ")


def test_the_last_number_counts() -> None:
    assert last_number("none") is None
    assert last_number("2 of 3 is 0.5") == 0.5


class Knows:
    """Answers those of the sums, wrongly to every third, and no instruction."""

    def __init__(self, wrong: int) -> None:
        self.identity, self.wrong = {"model": "m"}, wrong

    async def stream(self, requests: Any, sampling: Sampling) -> Any:
        known = {one.id: one for one in load_questions()}
        for position, request in enumerate(requests):
            checks = known[request.key.conversation_id].checks
            if "number" not in checks or "words_at_most" in checks:
                yield position, Failure("timeout", "too late")
            else:
                said = checks["number"] + (position < self.wrong)
                yield position, Generation(f"<think>1</think>It is {said}", 5, False)

    async def close(self) -> None: ...


def test_shares_and_differences_by_hand(tmp_path: Path) -> None:
    for label, wrong in (("before", 15), ("after", 30)):
        told = asyncio.run(ability.run(Knows(wrong), tmp_path / label, GREEDY, FEW))
        assert "instructions: nothing was answered" in told
    sets = read_json(tmp_path / "after/ability.json")["sets"]
    assert sets["arithmetic"]["mean"] == 0.5
    assert (sets["instructions"]["asked"], sets["instructions"]["unanswered"]) == (40, 40)
    assert len(read_json_lines(tmp_path / "after/ability_answers.jsonl")) == 100
    told = ability.compare(tmp_path / "before", tmp_path / "after", FEW)
    assert told.startswith("arithmetic: -25.0% [-")
    assert read_json(tmp_path / "ability_comparison.json")["arithmetic"]["mean"] == -0.25


def test_it_needs_to_ask() -> None:
    assert EvaluateSettings(model="m", protocol="ability").protocols == ("ability",)
    with pytest.raises(Exception, match="it must ask"):
        assert EvaluateSettings(replies="f", protocol="ability").protocols


@pytest.mark.parametrize("checks", [{}, {"poetry": 1}])
def test_a_broken_file_is_told_by_line(tmp_path: Path, checks: dict[str, Any]) -> None:
    for name in ("arithmetic", "instructions"):
        row = {
            "id": name,
            "prompt": "?",
            "checks": checks if name == "instructions" else {"number": 1},
        }
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"instructions\.jsonl:1: no question: .*checks are number"):
        load_questions(tmp_path)
