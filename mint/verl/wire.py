"""Signals as verl carries them: a flat dict of floats and one text, the same keys always.

verl ships `reward_extra_info` from the reward worker to the trainer inside TransferQueue. It wants
plain values and identical keys, and may filter groups by a number; a missing number travels as
NaN, so it can never be mistaken for 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from mint.rundir.quarantine import request_from_row, request_row
from mint.shell.files import jsonable
from rewards.formula import COMPONENTS
from rewards.scorer import ScoringRequest
from rewards.types import DIMENSIONS, Failure, Signals, Status

KEY, WHOLE = "reward_extra_info", "graded"
NUMBERS = (*COMPONENTS, "num_tokens", "label_leak", "truncated")
"""Fields of `Signals` that also travel as floats, beside the judge's dimensions."""


class GradedReply(NamedTuple):
    """One reply as the trainer sees it: its signals, and what samples and timings need."""

    signals: Signals
    reply: str
    seeker: str
    conversation_id: str
    turn: int
    previous_counts: tuple[float, ...]
    sentences: tuple[str, ...]
    tactics: tuple[tuple[str, ...], ...]
    dimensions: dict[str, float]
    grade_s: float
    """This reply's share of the seconds graders were busy."""
    tagger_repeat_std: float | None = None
    """How far repeated taggings of this reply lie apart; None when it was tagged once."""
    judge_repeat_std: float | None = None
    """The same for its ratings."""
    parts: Mapping[str, float] | None = None
    """`Rating.parts`; None for a reply without a rating in dimensions."""
    tricks: tuple[str, ...] | None = None
    """`Rating.tricks`; None as above."""
    request: ScoringRequest | None = None
    """What was to be graded, kept only where grading failed."""


def pack(graded: GradedReply) -> dict[str, float | str]:
    """The wire form of one reply."""
    signals = asdict(replace(graded.signals, tagging=None, rating=None))
    numbers = {name: _wired(signals[name]) for name in NUMBERS}
    numbers |= {name: _wired(graded.dimensions.get(name)) for name in DIMENSIONS}
    request = None if graded.request is None else request_row(graded.request)
    whole = {**graded._asdict(), "signals": signals, "request": request}
    return {**numbers, WHOLE: json.dumps(jsonable(whole))}


def unpack(wire: Mapping[str, Any]) -> GradedReply:
    """Inverse of `pack`, but for the signals' tagging and rating, which are not sent."""
    row = json.loads(wire[WHOLE])
    given = row["signals"]
    signals = Signals(
        **{
            **given,
            **{name: _number(wire[name]) for name in COMPONENTS},
            "status": Status(given["status"]),
            "failures": {name: Failure(*failure) for name, failure in given["failures"].items()},
            "counts": tuple(given["counts"]),
        }
    )
    return GradedReply(
        **{
            **row,
            "signals": signals,
            "previous_counts": tuple(row["previous_counts"]),
            "sentences": tuple(row["sentences"]),
            "tactics": tuple(map(tuple, row["tactics"])),
            "tricks": None if row["tricks"] is None else tuple(row["tricks"]),
            "dimensions": {n: value for n, value in row["dimensions"].items() if value is not None},
            "request": None if row["request"] is None else request_from_row(row["request"]),
        }
    )


def unpack_columns(columns: Mapping[str, Sequence[Any]]) -> list[GradedReply]:
    """Replies of verl's validation pass, which keeps a list for each key of `pack`.

    A reply that lacks a key, because its grading never came back, raises KeyError: mint's manager
    answers for every reply.
    """
    return [unpack(row) for row in columns_to_rows(columns)]


def columns_to_rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """One mapping a row; verl's own column `reward` is left out."""
    own = [name for name in columns if name != "reward"]
    return [
        dict(zip(own, row, strict=True))
        for row in zip(*(columns[name] for name in own), strict=True)
    ]


def _wired(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
