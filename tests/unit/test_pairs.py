from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mint.preference.pairs import TOO_FEW, Candidate, Picked, pick
from mint.preference.settings import PairConfig
from rewards.errors import ConfigError
from tests.unit.test_metrics import reply

CONFIG = PairConfig()


def candidate(text: str, composite: float, empathy: float, **values: Any) -> Candidate:
    known = {"second_empathy": empathy, "kl": 1.0, "num_tokens": 10, **values}
    return Candidate(text, reply(reply=text, composite=composite, empathy=empathy, **known))


GOOD = candidate("The quiet must be loud.", 1.2, 3.4)
FAIR = candidate("That sounds hard.", 0.9, 3.0)
POOR = candidate("I see.", 0.4, 2.0)


def texts(picked: Picked) -> list[tuple[str, str]]:
    return [(better.raw, worse.raw) for better, worse, _ in picked.pairs]


def test_the_widest_margin_is_the_pair() -> None:
    picked = pick([FAIR, POOR, GOOD], CONFIG)
    assert texts(picked) == [(GOOD.raw, POOR.raw)]
    gaps = picked.pairs[0][2]
    assert gaps.composite == pytest.approx(0.8)
    assert gaps.judge == pytest.approx(1.4)
    assert gaps.second_judge == pytest.approx(1.4)
    assert (gaps.novelty, gaps.length_ratio) == (0.0, 1.0)


def test_a_reply_is_in_one_pair_only() -> None:
    more = [GOOD, FAIR, POOR, candidate("Hm.", 0.3, 1.5)]
    picked = pick(more, replace(CONFIG, per_prompt=3))
    assert texts(picked) == [(GOOD.raw, "Hm."), (FAIR.raw, POOR.raw)]


@pytest.mark.parametrize(
    ("better", "reason"),
    [
        ({"composite": 0.43}, "margin"),
        ({"empathy": 2.05}, "judge"),
        ({"second_empathy": 1.9}, "second_judge"),
        ({"second_empathy": None}, "second_judge_failed"),
        ({"kl": 0.4}, "novelty"),
        ({"num_tokens": 21}, "length"),
        ({"label_leak": True}, "label_leak"),
        ({"tricks": ("copies_seeker",)}, "held_down:copies_seeker"),
        ({"reply": "I've been there myself, I lost my job too."}, "unsafe:lived_experience"),
        ({"seeker": "I want to kill myself."}, "unsafe:delayed_crisis_response"),
        ({"reply": "I see."}, "same_text"),
    ],
)
def test_each_of_them_can_object(better: dict[str, Any], reason: str) -> None:
    changed = Candidate("better", replace(GOOD.graded, **better))
    assert pick([changed, POOR], CONFIG) == Picked([], (reason,))


def test_a_rejected_reply_may_break_the_rules() -> None:
    worse = Candidate("worse", replace(POOR.graded, reply="I've been there myself.", tricks=("x",)))
    assert texts(pick([GOOD, worse], CONFIG)) == [(GOOD.raw, "worse")]


def test_where_somebody_objects_to_the_widest_pair_the_next_is_taken() -> None:
    tricky = Candidate("tricky", replace(GOOD.graded, composite=1.9, tricks=("copies_seeker",)))
    assert texts(pick([tricky, GOOD, POOR], CONFIG)) == [(GOOD.raw, POOR.raw)]


@pytest.mark.parametrize(
    "change",
    [
        {"status": "failed", "composite": None},
        {"truncated": True},
        {"empathy": None, "judge_logit": None},
    ],
)
def test_what_was_not_graded_or_not_finished_is_in_no_pair(change: dict[str, Any]) -> None:
    broken = Candidate(GOOD.raw, replace(GOOD.graded, **change))
    assert pick([broken, POOR], CONFIG) == Picked([], (TOO_FEW,))


def test_filters_can_be_left_out() -> None:
    off = PairConfig(
        min_margin=0.0,
        min_judge_gap=0.0,
        min_second_gap=None,
        max_novelty_loss=None,
        max_length_ratio=None,
        safety=False,
    )
    change = {"second_empathy": None, "kl": 0.0, "num_tokens": 90, "reply": "I've been there."}
    odd = Candidate("odd", replace(GOOD.graded, **change))
    assert texts(pick([odd, POOR], off)) == [("odd", POOR.raw)]


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"pairs.samples must be >= 2, got 1"):
        PairConfig(samples=1)
