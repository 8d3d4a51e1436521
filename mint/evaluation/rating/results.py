"""Who wins in the eyes of human raters, and how far the raters agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any, NamedTuple

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.rating.sheets import Choice
from mint.evaluation.statistics.agreement import krippendorff_alpha
from mint.evaluation.statistics.estimates import Estimate, clustered_mean

TIE = "tie"


_OVER = "the conversations that these raters saw: not other raters"


class RaterResult(NamedTuple):
    """One rater's answers."""

    num: int
    win_rate: Estimate
    """Of the first system; a tie counts one half."""
    left_share: float | None
    """Share of decided pairs where the left reply was chosen; far from 0.5 is a habit of side."""


class Agreement(NamedTuple):
    """What the raters say."""

    systems: tuple[str, str]
    win_rate: Estimate
    """Share of answers for the first system, a tie counting one half; > 0.5 means it wins."""
    outcomes: dict[str, int]
    """Answers for each system and ties."""
    raters: dict[str, RaterResult]
    alpha: float | None
    """Krippendorff's alpha for nominal data, <= 1; 0 is chance. None without shared pairs."""
    kappas: dict[str, float | None]
    """Cohen's kappa of each two raters on the pairs both have rated."""

    def as_json(self) -> dict[str, Any]:
        """The result as plain JSON."""
        raters = {
            name: {**own._asdict(), "win_rate": asdict(own.win_rate)}
            for name, own in self.raters.items()
        }
        return {
            "intervals_are_over": _OVER,
            **self._asdict(),
            "win_rate": asdict(self.win_rate),
            "raters": raters,
        }


def agreement(
    choices: Sequence[Choice], systems: tuple[str, str], settings: EvaluationConfig
) -> Agreement:
    """Win rate, habits of side and agreement. Intervals resample conversations."""
    raters = sorted({choice.rater for choice in choices})
    by_rater = {name: [c for c in choices if c.rater == name] for name in raters}
    units: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for choice in choices:
        units[choice.conversation_id, choice.turn][choice.rater] = choice.winner
    return Agreement(
        systems=systems,
        win_rate=_win_rate(choices, systems[0], settings),
        outcomes=dict(Counter(choice.winner for choice in choices)),
        raters={name: _rater(own, systems[0], settings) for name, own in by_rater.items()},
        alpha=krippendorff_alpha([list(unit.values()) for unit in units.values()]),
        kappas={f"{a} / {b}": _kappa(units, a, b) for a, b in combinations(raters, 2)},
    )


def format_agreement(result: Agreement) -> str:
    """A few lines for people."""
    first, second = result.systems
    counts = ", ".join(f"{name} {number}" for name, number in sorted(result.outcomes.items()))
    lines = [
        f"Intervals are over {_OVER}.",
        f"{first} against {second}: win rate {_shown(result.win_rate)} ({counts}; ties count half)",
    ]
    for name, own in result.raters.items():
        side = "" if own.left_share is None else f", chose left {own.left_share:.0%}"
        lines.append(f"  {name:<20} {_shown(own.win_rate)}  {own.num} pairs{side}")
    alpha = "not defined" if result.alpha is None else f"{result.alpha:.3f}"
    lines.append(f"Krippendorff's alpha {alpha}")
    for names, kappa in result.kappas.items():
        lines.append(f"  Cohen's kappa {names}: {'-' if kappa is None else f'{kappa:.3f}'}")
    return "\n".join(lines)


def _shown(value: Estimate) -> str:
    return "-" if value.mean is None else f"{value.mean:.3f} {value.interval}"


def _rater(choices: Sequence[Choice], first: str, settings: EvaluationConfig) -> RaterResult:
    sides = [choice.chose_left for choice in choices if choice.chose_left is not None]
    return RaterResult(
        num=len(choices),
        win_rate=_win_rate(choices, first, settings),
        left_share=sum(sides) / len(sides) if sides else None,
    )


def _win_rate(choices: Sequence[Choice], first: str, settings: EvaluationConfig) -> Estimate:
    points = {first: 1.0, TIE: 0.5}
    return clustered_mean(
        [(c.conversation_id, points[c.winner] if c.winner in points else 0.0) for c in choices],
        settings,
        share=True,
    )


def _kappa(
    units: Mapping[tuple[str, int], Mapping[str, str]], first: str, second: str
) -> float | None:
    both = [(u[first], u[second]) for u in units.values() if first in u and second in u]
    if not both or len({value for pair in both for value in pair}) < 2:
        return None
    # Imported here: two seconds that exporting sheets should not wait for.
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score([a for a, _ in both], [b for _, b in both]))
