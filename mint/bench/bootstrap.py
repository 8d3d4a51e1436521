"""A paired bootstrap of conversations: matrix products against a plain Python loop.

Both compute the same five metrics (`mint.reproduction.sums.HEADLINE`) of two systems and their
differences from the same draws; before anything is timed, their results are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mint.bench.stats import Spread, seconds, spread
from mint.evaluation.statistics.arrays import Floats
from mint.evaluation.statistics.bootstrap import resample_counts
from mint.reproduction.panel import Panel, Replies, Turns, build_panel
from mint.reproduction.read import TurnKey, find_systems, parse_name, read_system
from mint.reproduction.sums import HEADLINE, headline_sums
from rewards.errors import ConfigError, DataError
from rewards.tactics import NUM_TACTICS
from rewards.types import DIMENSIONS

RESAMPLES = 10_000
LOOPED = 60
"""Resamples the plain loop does; it is timed a resample, since all take equally long."""
_REPEATS = 3
_CONVERSATIONS, _TURNS = 50, 6


@dataclass(frozen=True, kw_only=True)
class BootstrapFigures:
    """Seconds for 10,000 resamples of one paired comparison."""

    data: str
    conversations: int
    turns: int
    loop_s: Spread
    """Of the plain loop, from fewer resamples."""
    matrix_s: Spread
    """Everything from arrays of turns to resampled differences."""
    ratio: float
    """Median over median."""


class _Turn(NamedTuple):
    """What the plain loop knows of a turn."""

    empathy: float
    tactics: frozenset[int]
    gold_before: frozenset[int] | None
    own_before: frozenset[int] | None


def measure(upstream: str) -> BootstrapFigures:
    """Times both on two released systems, or on made-up ones of that size when there are none.

    Raises DataError when the two do not give the same numbers.
    """
    panel = _released(Path(upstream)) if upstream else _made_up()
    pair = [s for s in panel.systems if s is not panel.reference][:2]
    drawn_RC = resample_counts(len(panel.turns.conversations), RESAMPLES, seed=0)
    turns = [_plain_turns(panel, system) for system in pair]
    _check_equal(loop(turns, drawn_RC[:5]), matrix(panel, pair, drawn_RC[:5]))
    looped = [seconds(loop, turns, drawn_RC[:LOOPED]) for _ in range(_REPEATS)]
    loop_s = spread([each * RESAMPLES / LOOPED for each in looped])
    matrix_s = spread([seconds(matrix, panel, pair, drawn_RC) for _ in range(_REPEATS)])
    return BootstrapFigures(
        data="released files" if upstream else "made-up systems",
        conversations=len(panel.turns.conversations),
        turns=len(panel.turns.keys),
        loop_s=loop_s,
        matrix_s=matrix_s,
        ratio=loop_s.median / matrix_s.median,
    )


def matrix(panel: Panel, pair: Sequence[Replies], drawn_RC: Floats) -> dict[str, Floats]:
    """Metric -> second - first for each resample, as the reproduction computes it."""
    first, second = (headline_sums(panel, system).headline(drawn_RC) for system in pair)
    return {name: second[name] - first[name] for name in HEADLINE}


def loop(pair: Sequence[Sequence[Sequence[_Turn]]], drawn_RC: Floats) -> dict[str, Floats]:
    """The same by the definitions: put the drawn turns in a list, count, divide."""
    rows = []
    for drawn_C in drawn_RC.astype(int).tolist():
        values = []
        for conversations in pair:
            turns = [
                turn
                for conversation, times in zip(conversations, drawn_C, strict=True)
                for _ in range(times)
                for turn in conversation
            ]
            values.append(_metrics(turns))
        rows.append([b - a for a, b in zip(*values, strict=True)])
    return dict(zip(HEADLINE, np.array(rows).T, strict=True))


def _metrics(turns: Sequence[_Turn]) -> tuple[float, ...]:
    """The metrics of `HEADLINE`, in its order."""
    stickiness, lift = _repetition([(t.tactics, t.gold_before) for t in turns])
    own, _ = _repetition([(t.tactics, t.own_before) for t in turns])
    empathy = sum(t.empathy for t in turns) / len(turns)
    tactics = sum(len(t.tactics) for t in turns) / len(turns)
    return empathy, stickiness, lift, own, tactics


def _repetition(pairs: Sequence[tuple[frozenset[int], frozenset[int] | None]]) -> tuple[float, ...]:
    given, lifts = [], []
    for tactic in range(NUM_TACTICS):
        both = previous = only_now = neither = 0
        for now, before in pairs:
            if before is None:
                continue
            if tactic in before:
                previous += 1
                both += tactic in now
            else:
                neither += 1
                only_now += tactic in now
        if previous:
            given.append(both / previous)
        if previous and neither:
            lifts.append(both / previous - only_now / neither)
    return tuple(sum(v) / len(v) if v else float("nan") for v in (given, lifts))


def _plain_turns(panel: Panel, system: Replies) -> list[list[_Turn]]:
    """The turns of each conversation."""
    turns = panel.turns
    before = dict(zip(turns.later_P.tolist(), turns.earlier_P.tolist(), strict=True))
    own = [frozenset(np.flatnonzero(row).tolist()) for row in system.tactics_NK]
    gold = [frozenset(np.flatnonzero(row).tolist()) for row in panel.reference.tactics_NK]
    found: list[list[_Turn]] = [[] for _ in turns.conversations]
    for n, empathy in enumerate(system.aggregate_N.tolist()):
        previous = before.get(n)
        earlier = (None, None) if previous is None else (gold[previous], own[previous])
        found[int(turns.index_N[n])].append(_Turn(empathy, own[n], *earlier))
    return found


def _check_equal(first: dict[str, Floats], second: dict[str, Floats]) -> None:
    for name in HEADLINE:
        if not np.allclose(first[name], second[name], atol=1e-9, equal_nan=True):
            raise DataError(f"{name}: the loop gives {first[name]}, the matrices {second[name]}")


def _released(upstream: Path) -> Panel:
    folders = find_systems(upstream)
    if "gold" not in folders or len(folders) < 3:
        raise ConfigError(f"upstream={upstream} needs the folder gold and two other systems")
    others = [name for name in folders if name != "gold"][:2]
    return build_panel([read_system(upstream, name) for name in ("gold", *others)], "gold")


def _made_up() -> Panel:
    """Three systems with 50 conversations of six turns."""
    rng = np.random.default_rng(0)
    keys = [TurnKey(f"c{c:02d}", 2 * t + 1) for c in range(_CONVERSATIONS) for t in range(_TURNS)]
    systems = tuple(
        Replies(
            name=parse_name(name),
            texts=("",) * len(keys),
            tactics_NK=rng.random((len(keys), NUM_TACTICS)) < share,
            ratings_ND=rng.integers(1, 6, (len(keys), len(DIMENSIONS))).astype(float),
        )
        for name, share in (("people", 0.2), ("first", 0.45), ("second", 0.5))
    )
    return Panel(
        turns=Turns(keys=tuple(sorted(keys))), systems=systems, reference=systems[0], judge=""
    )
