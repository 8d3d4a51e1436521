"""Pairs of replies to one prompt: the better one by the reward, where all who grade agree.

The reward ranks; everybody else can only object. A pair that anybody objects to is not made, and
why is kept: a filter that takes nearly everything, or nothing, is then seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, NamedTuple

from mint.evaluation.metrics.errors import errors
from mint.evaluation.records import EvaluatedReply
from mint.preference.settings import UNSAFE, PairConfig
from mint.safety.finders import FINDERS
from mint.safety.taxonomy import CRISIS
from rewards.types import Status

TOO_FEW = "too_few_replies"
"""Reason of a prompt with fewer than two replies that were graded and ended by themselves."""


class Candidate(NamedTuple):
    """A sampled reply."""

    raw: str
    """As the policy wrote it, thoughts included: what is learnt."""
    graded: EvaluatedReply


class Gaps(NamedTuple):
    """How far the better reply of a pair is ahead."""

    composite: float
    """Of the reward on its fixed scales: the margin."""
    judge: float
    """Points of 1 to 5; of a reward model its own unit."""
    second_judge: float | None
    """None where it was not asked or has failed."""
    novelty: float
    """Nats; below 0 the better reply repeats more."""
    length_ratio: float
    """Longer over shorter, tokens; >= 1."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two replies to one prompt; a line of pairs.jsonl."""

    conversation_id: str
    turn: int
    """0-based supporter turn."""
    messages: tuple[dict[str, str], ...]
    """The prompt as chat messages, system prompt first."""
    chosen: str
    """Raw reply."""
    rejected: str
    scenario: str = ""
    gaps: Mapping[str, float | None] | None = None
    """`Gaps`; None of pairs that people made."""

    def as_row(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


class Picked(NamedTuple):
    """What became of the replies to one prompt."""

    pairs: list[tuple[Candidate, Candidate, Gaps]]
    """(better, worse, gaps), widest margin first; no reply is in two."""
    reasons: tuple[str, ...]
    """Objections to the pair with the widest margin where no pair is left; else ()."""


def pick(candidates: Sequence[Candidate], config: PairConfig) -> Picked:
    """The pairs that nobody objects to."""
    usable = [c for c in candidates if _usable(c.graded)]
    if len(usable) < 2:
        return Picked([], (TOO_FEW,))
    found: list[tuple[Candidate, Candidate, Gaps]] = []
    taken: set[int] = set()
    for better, worse in _by_margin(usable):
        if len(found) == config.per_prompt or {id(better), id(worse)} & taken:
            continue
        gaps = _gaps(better.graded, worse.graded)
        if not list(objections(better.graded, worse.graded, gaps, config)):
            found.append((better, worse, gaps))
            taken |= {id(better), id(worse)}
    if found:
        return Picked(found, ())
    better, worse = next(_by_margin(usable))
    gaps = _gaps(better.graded, worse.graded)
    return Picked([], tuple(objections(better.graded, worse.graded, gaps, config)))


def objections(
    better: EvaluatedReply, worse: EvaluatedReply, gaps: Gaps, config: PairConfig
) -> Iterator[str]:
    """Who objects to `better` being preferred, each a short word."""
    if better.reply == worse.reply:
        yield "same_text"
    if gaps.composite < config.min_margin:
        yield "margin"
    if gaps.judge < config.min_judge_gap:
        yield "judge"
    if config.min_second_gap is not None:
        if gaps.second_judge is None:
            yield "second_judge_failed"
        elif gaps.second_judge < config.min_second_gap:
            yield "second_judge"
    if config.max_novelty_loss is not None and gaps.novelty < -config.max_novelty_loss:
        yield "novelty"
    if config.max_length_ratio is not None and gaps.length_ratio > config.max_length_ratio:
        yield "length"
    if better.label_leak:
        yield "label_leak"
    yield from (f"held_down:{trick}" for trick in better.tricks or ())
    if config.safety:
        yield from faults(better)


def faults(reply: EvaluatedReply) -> Iterator[str]:
    """What the safety rules find in a reply that nobody should learn."""
    yield from (f"unsafe:{name}" for name in UNSAFE if FINDERS[name](reply.reply))
    if errors(reply)[CRISIS]:
        yield f"unsafe:{CRISIS}"


def _usable(reply: EvaluatedReply) -> bool:
    return (
        reply.status == Status.OK
        and reply.composite is not None
        and _rating(reply) is not None
        and not reply.truncated
    )


def _by_margin(usable: Sequence[Candidate]) -> Iterator[tuple[Candidate, Candidate]]:
    """(better, worse) by the reward, widest margin first."""
    ranked = sorted(usable, key=_composite, reverse=True)
    yield from sorted(
        combinations(ranked, 2), key=lambda pair: _composite(pair[1]) - _composite(pair[0])
    )


def _composite(candidate: Candidate) -> float:
    return _known(candidate.graded.composite)


def _rating(reply: EvaluatedReply) -> float | None:
    return reply.judge_logit if reply.empathy is None else reply.empathy


def _known(value: float | None) -> float:
    assert value is not None  # of a usable reply
    return value


def _gaps(better: EvaluatedReply, worse: EvaluatedReply) -> Gaps:
    first, second = better.second_empathy, worse.second_empathy
    lengths = sorted((max(1, better.num_tokens), max(1, worse.num_tokens)))
    return Gaps(
        composite=_known(better.composite) - _known(worse.composite),
        judge=_known(_rating(better)) - _known(_rating(worse)),
        second_judge=None if first is None or second is None else first - second,
        novelty=_known(better.kl) - _known(worse.kl),
        length_ratio=lengths[1] / lengths[0],
    )
