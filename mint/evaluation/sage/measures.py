"""What conversations with a seeker show: score, success, failure, curves, and what tactics earn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.dialogue.protocol import Person
from mint.dialogue.record import TalkRecord
from mint.evaluation.metrics.talks import Talks, talk_estimates, usable
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.estimates import Estimate, clustered_mean
from rewards.tactics import TACTIC_NAMES

SUCCESS, FAILURE = 100.0, 10.0
"""SAGE: a conversation succeeds at or above the first and fails below the second."""
_NONE = Estimate(mean=None, ci_low=None, ci_high=None, n=0)


def scores(talks: Talks, settings: EvaluationConfig) -> dict[str, Estimate]:
    """score: mean last emotion, 0 to 100; success and failure: shares at 100 and below 10; and the
    measures of `metrics.talks`. Over conversations with a result; a lost one is no number."""
    heard = usable(talks).values()
    ends = [(talk.person, talk.emotion) for talk in heard]
    found = talk_estimates(talks, settings)
    if not ends:
        return {"score": _NONE, "success": _NONE, "failure": _NONE, **found}
    values: dict[str, Callable[[float], float]] = {
        "score": lambda emotion: emotion,
        "success": lambda emotion: float(emotion >= SUCCESS),
        "failure": lambda emotion: float(emotion < FAILURE),
    }
    own = {
        name: clustered_mean(
            [(person, value(emotion)) for person, emotion in ends],
            settings,
            share=name != "score",
        )
        for name, value in values.items()
    }
    return {**found, **own}


def groups(
    talks: Talks, persons: Mapping[str, Person], settings: EvaluationConfig
) -> dict[str, dict[str, Any]]:
    """by_intention and by_temper: name -> score, success, failure."""
    result: dict[str, dict[str, Any]] = {}
    for kind in ("intention", "temper"):
        names = sorted({getattr(persons[talk.person], kind) for talk in talks.values()})
        result[f"by_{kind}"] = {
            name: {
                key: asdict(value)
                for key, value in scores(_those(talks, persons, kind, name), settings).items()
                if key in ("score", "success", "failure", "lost")
            }
            for name in names
        }
    return result


def curve(talks: Talks) -> dict[str, list[float]]:
    """emotion: mean before the first reply and after each; who has ended keeps the last one.
    talking: conversations that have this reply."""
    heard = list(usable(talks).values())
    if not heard:
        return {"emotion": [], "talking": []}
    longest = max(len(talk.turns) for talk in heard)
    means, talking = [], []
    for turn in range(longest + 1):
        means.append(fmean(_after(talk, turn) for talk in heard))
        talking.append(float(sum(len(talk.turns) >= turn for talk in heard)))
    return {"emotion": means, "talking": talking}


def tactic_effects(
    talks: Talks, replies: Sequence[EvaluatedReply], settings: EvaluationConfig
) -> dict[str, dict[str, Any]]:
    """Tactic -> share of graded replies with it, mean change of emotion after them, and that minus
    the mean change after replies of the same people without it.

    A change is the seeker's own number for that reply, in points; replies with several tactics
    count for each. Not what a tactic causes: who uses it where is the model's choice.
    """
    changes = _changes(talks)
    known = [
        (reply, change)
        for reply in replies
        if reply.graded
        and (change := changes.get((reply.conversation_id, reply.sample, reply.turn))) is not None
    ]
    result = {}
    for tactic in TACTIC_NAMES:
        used = [any(tactic in names for names in reply.tactics) for reply, _ in known]
        pairs = list(zip(known, used, strict=True))
        share = [(reply.cluster, float(has)) for (reply, _), has in pairs]
        with_it = [(reply.cluster, change) for (reply, change), has in pairs if has]
        without = [(reply.cluster, change) for (reply, change), has in pairs if not has]
        result[tactic] = {
            "share": asdict(clustered_mean(share, settings, share=True) if share else _NONE),
            "change": asdict(clustered_mean(with_it, settings) if with_it else _NONE),
            "difference": asdict(_within(with_it, without, settings)),
        }
    return result


def faults(talks: Talks) -> dict[str, Any]:
    """Lines of the seeker that were refused and asked again, and conversations that were lost."""
    kinds: dict[str, int] = {}
    lines = 0
    for talk in talks.values():
        for found in (talk.opening_faults, *(turn.faults for turn in talk.turns)):
            lines += 1
            for kind in found:
                kinds[kind] = kinds.get(kind, 0) + 1
    lost = [talk.lost._asdict() for talk in talks.values() if talk.lost is not None]
    return {
        "seeker_lines": lines,
        "seeker_faults": sum(kinds.values()) / lines if lines else None,
        "seeker_fault_kinds": dict(sorted(kinds.items())),
        "lost": lost,
    }


def _within(
    with_it: Sequence[tuple[str, float]],
    without: Sequence[tuple[str, float]],
    settings: EvaluationConfig,
) -> Estimate:
    """Mean over people who have both of the difference of their means."""
    sides: list[dict[str, list[float]]] = [{}, {}]
    for side, pairs in zip(sides, (with_it, without), strict=True):
        for person, change in pairs:
            side.setdefault(person, []).append(change)
    both = sorted(sides[0].keys() & sides[1].keys())
    if not both:
        return _NONE
    gained = [(person, fmean(sides[0][person]) - fmean(sides[1][person])) for person in both]
    return clustered_mean(gained, settings)


def _changes(talks: Talks) -> dict[tuple[str, int, int], float]:
    found = {}
    for key, talk in talks.items():
        sample = int(key.rpartition("/")[2])
        for number, turn in enumerate(talk.turns):
            if turn.change is not None:
                found[talk.person, sample, number] = turn.change
    return found


def _those(
    talks: Talks, persons: Mapping[str, Person], kind: str, name: str
) -> dict[str, TalkRecord]:
    return {k: t for k, t in talks.items() if getattr(persons[t.person], kind) == name}


def _after(talk: TalkRecord, turn: int) -> float:
    known = [one.emotion for one in talk.turns[:turn] if one.emotion is not None]
    return known[-1] if known else talk.start
