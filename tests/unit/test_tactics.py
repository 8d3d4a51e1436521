"""The one list of tactics and its count vectors."""

from __future__ import annotations

import math

import pytest

from rewards.errors import DataError
from rewards.tactics import (
    NUM_TACTICS,
    TACTIC_INDEX,
    TACTIC_NAMES,
    TACTICS,
    count_tactics,
    count_vector,
)


def test_order_is_the_papers() -> None:
    assert TACTIC_NAMES == (
        "information",
        "assistance",
        "advice",
        "validation",
        "emotional_expression",
        "paraphrasing",
        "self_disclosure",
        "questioning",
        "reappraisal",
        "empowerment",
    )
    assert NUM_TACTICS == len(TACTICS) == 10
    assert [TACTIC_INDEX[name] for name in TACTIC_NAMES] == list(range(10))


def test_every_tactic_explains_itself() -> None:
    assert all(tactic.definition and tactic.example for tactic in TACTICS)
    assert len({tactic.definition for tactic in TACTICS}) == NUM_TACTICS


def test_mapping_and_sequence_agree() -> None:
    mapping = {"advice": 2, "empowerment": None}
    assert count_vector(mapping) == count_vector([0, 0, 2] + [0] * 7)  # type: ignore[arg-type]
    assert count_vector(None) == (0.0,) * 10


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"advise": 1}, "unknown tactic 'advise'"),
        ([1, 2], "needs 10 entries, got 2"),
        ([0] * 9 + [-1], ">= 0"),
        ([0] * 9 + [math.inf], "finite"),
    ],
)
def test_bad_counts_say_what_is_wrong(counts: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        count_vector(counts)  # type: ignore[arg-type]


def test_counting_sentences() -> None:
    counts = count_tactics([["validation", "validation"], ["validation", "advice"], []])
    assert counts[TACTIC_INDEX["validation"]] == 2
    assert counts[TACTIC_INDEX["advice"]] == 1
    assert sum(counts) == 3


@pytest.mark.slow
def test_counting_refuses_unknown_tactics() -> None:
    with pytest.raises(DataError, match="humour"):
        count_tactics([["humour"]])
