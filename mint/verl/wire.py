"""Signals as verl carries them: a flat dict of floats and strings, the same keys for every reply.

verl ships `reward_extra_info` from the reward worker to the trainer inside TransferQueue. It wants
plain values and identical keys; a missing number travels as NaN, so it can never be mistaken for 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mint.rundir.quarantine import request_from_row, request_row
from rewards.formula import COMPONENTS
from rewards.scorer import ScoringRequest
from rewards.types import DIMENSIONS, Failure, Signals, Status

KEY = "reward_extra_info"


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
    request: ScoringRequest | None = None
    """What was to be graded, kept only where grading failed."""


def pack(graded: GradedReply) -> dict[str, float | str]:
    """The wire form of one reply."""
    signals = graded.signals
    wire: dict[str, float | str] = {
        "status": str(signals.status),
        "reason": signals.reason,
        "num_tokens": float(signals.num_tokens),
        "label_leak": float(signals.label_leak),
        "truncated": float(signals.truncated),
        "counts": json.dumps(list(signals.counts)),
        "reply": graded.reply,
        "seeker": graded.seeker,
        "conversation_id": graded.conversation_id,
        "turn": float(graded.turn),
        "previous_counts": json.dumps(list(graded.previous_counts)),
        "sentences": json.dumps(list(graded.sentences)),
        "tactics": json.dumps([list(t) for t in graded.tactics]),
        "grade_s": graded.grade_s,
        "failures": json.dumps({name: f._asdict() for name, f in signals.failures.items()}),
        "quality_is_logit": float(signals.quality_is_logit),
        "tagger_repeat_std": _wired(graded.tagger_repeat_std),
        "judge_repeat_std": _wired(graded.judge_repeat_std),
        "request": "" if graded.request is None else json.dumps(request_row(graded.request)),
    }
    for name in COMPONENTS:
        wire[name] = _wired(getattr(signals, name))
    for name in DIMENSIONS:
        wire[name] = graded.dimensions[name] if name in graded.dimensions else math.nan
    return wire


def unpack(wire: Mapping[str, Any]) -> GradedReply:
    """Inverse of `pack`."""
    signals = Signals(
        status=Status(wire["status"]),
        reason=wire["reason"],
        failures={n: Failure(**f) for n, f in json.loads(wire["failures"]).items()},
        num_tokens=int(wire["num_tokens"]),
        label_leak=bool(wire["label_leak"]),
        truncated=bool(wire["truncated"]),
        counts=tuple(json.loads(wire["counts"])),
        quality=_number(wire["quality"]),
        quality_is_logit=bool(wire["quality_is_logit"]),
        kl=_number(wire["kl"]),
        entropy=_number(wire["entropy"]),
        bigram=_number(wire["bigram"]),
        trigram=_number(wire["trigram"]),
    )
    return GradedReply(
        signals=signals,
        reply=wire["reply"],
        seeker=wire["seeker"],
        conversation_id=wire["conversation_id"],
        turn=int(wire["turn"]),
        previous_counts=tuple(json.loads(wire["previous_counts"])),
        sentences=tuple(json.loads(wire["sentences"])),
        tactics=tuple(tuple(t) for t in json.loads(wire["tactics"])),
        dimensions={n: float(wire[n]) for n in DIMENSIONS if not math.isnan(wire[n])},
        grade_s=float(wire["grade_s"]),
        tagger_repeat_std=_number(wire["tagger_repeat_std"]),
        judge_repeat_std=_number(wire["judge_repeat_std"]),
        request=request_from_row(json.loads(wire["request"])) if wire["request"] else None,
    )


def unpack_columns(columns: Mapping[str, Sequence[Any]]) -> list[GradedReply]:
    """Replies of verl's validation pass, which keeps a list for each key of `pack`.

    verl's own column `reward` is left out. A reply that lacks a key, because its grading never
    came back, raises KeyError: mint's manager answers for every reply.
    """
    own = [name for name in columns if name != "reward"]
    rows = zip(*(columns[name] for name in own), strict=True)
    return [unpack(dict(zip(own, row, strict=True))) for row in rows]


def _wired(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
