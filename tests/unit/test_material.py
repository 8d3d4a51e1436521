"""The authored sentences and bad replies: every file has the form that its README states."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rewards.tactics import TACTIC_NAMES
from rewards.types import Message

PAIRS = ("pairs_a", "pairs_d")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_history(row: dict[str, Any]) -> None:
    roles = [Message.parse(message).role for message in row["history"]]
    assert roles[::2] == ["seeker"] * len(roles[::2]), row["id"]
    assert roles[1::2] == ["supporter"] * len(roles[1::2]), row["id"]
    assert len(roles) % 2 == 1, row["id"]


@pytest.mark.parametrize("hand", ["hand_b", "hand_c"])
def test_sentences_stand_in_their_replies_with_two_labels(root: Path, hand: str) -> None:
    own = rows(root / f"data/annotated_sentences/{hand}.jsonl")
    assert len(own) == len({row["id"] for row in own}) == 130
    for row in own:
        assert row["sentence"] in row["reply"], row["id"]
        assert set(row["first"]) | set(row["second"]) <= set(TACTIC_NAMES), row["id"]
    assert sum(set(row["first"]) == set(row["second"]) for row in own) == 118


@pytest.mark.parametrize(("hand", "each"), [("pairs_a", 15), ("pairs_d", 10)])
def test_pairs_have_a_good_and_a_bad_reply(root: Path, hand: str, each: int) -> None:
    own = rows(root / f"data/bad_replies/{hand}.jsonl")
    assert set(Counter(row["kind"] for row in own).values()) == {each}
    for row in own:
        check_history(row)
        assert row["good"].strip() != row["bad"].strip(), row["id"]


@pytest.mark.slow
def test_canaries_are_three_of_each_of_twenty_kinds(root: Path) -> None:
    own = rows(root / "data/bad_replies/canaries.jsonl")
    kinds = Counter(row["kind"] for row in own)
    assert len(kinds) == 20
    assert set(kinds.values()) == {3}
    for row in own:
        check_history(row)
        assert row["reply"].strip(), row["id"]


@pytest.mark.slow
def test_the_hands_share_no_reply(root: Path) -> None:
    found = [row for hand in PAIRS for row in rows(root / f"data/bad_replies/{hand}.jsonl")]
    texts = [row[side] for row in found for side in ("good", "bad")]
    texts += [row["reply"] for row in rows(root / "data/bad_replies/canaries.jsonl")]
    assert len(texts) == len(set(texts))
