"""Differences of two evaluations: what they mean and how they are shown."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from mint.evaluation.metrics.means import WITH_SILENCE
from mint.evaluation.metrics.parts import GUARDS_OF_EMPATHY
from mint.evaluation.statistics.multiple_tests import benjamini_hochberg
from mint.pages.bars import interval_bar
from mint.pages.html import chip, interval, number
from rewards.types import DIMENSIONS

NO_GAIN = "no gain"
_EMPATHY = frozenset(
    {"empathy", "second_empathy", WITH_SILENCE, "judge_logit", "manner", *DIMENSIONS}
)
"""Measures of how empathic replies are, which words alone can raise."""
Comparison = Mapping[str, Mapping[str, Any]]
"""Metric -> row of comparison.json."""
Key = TypeVar("Key", bound=Hashable)


class Change(NamedTuple):
    """A difference (after - before) with its interval; None where it is not known."""

    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None = None
    """Of this difference alone, or, with a `level`, corrected for all that stand beside it."""
    level: float | None = None
    """The largest corrected p-value that counts as a difference; None goes by the interval."""
    spoiled_by: tuple[str, ...] = ()
    """Measures that fell and thereby take away any claim that this rise is a gain."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Change:
        """From a `mint.evaluation.statistics.estimates.Difference` as a mapping."""
        p_value = row["p_value"] if "p_value" in row else None
        return cls(row["difference"], row["ci_low"], row["ci_high"], p_value)

    @property
    def excludes_zero(self) -> bool | None:
        """Whether the interval lies on one side of 0; None without interval."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0

    @property
    def fell(self) -> bool:
        """Whether the value is lower by more than its interval."""
        return self.high is not None and self.high < 0

    @property
    def clear(self) -> bool | None:
        """Whether there is a difference, as far as is known; None without interval."""
        if self.excludes_zero is None or self.level is None or self.p_value is None:
            return self.excludes_zero
        return self.p_value <= self.level

    def verdict(self, better: int) -> str:
        """ "better", "worse", "changed", "no gain: ... fell", "no clear change" or "not known".

        `better` is 1 when higher is better, -1 when lower is, 0 when neither is.
        """
        if self.clear is None or self.difference is None:
            return "not known"
        if not self.clear:
            return "no clear change"
        moved = better * (1 if self.difference > 0 else -1)
        if moved == 1 and self.spoiled_by:
            return f"{NO_GAIN}: {' and '.join(self.spoiled_by)} fell"
        return {1: "better", -1: "worse", 0: "changed"}[moved]

    def bar(self, reach: float, digits: int, between: str = "") -> str:
        """The interval as a drawing and in numbers, `between` them ready HTML; "" without one."""
        if self.difference is None or self.low is None or self.high is None:
            return between
        drawn = interval_bar(self.difference, self.low, self.high, reach)
        return f'{drawn}{between}<span class="range">{interval(self.low, self.high, digits)}</span>'

    def cell(self, better: int, digits: int, reach: float) -> str:
        """Drawing, difference with its verdict, interval and corrected p-value."""
        result = self.verdict(better)
        said = f"{number(self.difference, digits, signed=True)}, {result}"
        shown = self.bar(reach, digits, chip(result, said))
        if self.level is None or self.p_value is None:
            return shown
        p_value = number(self.p_value, 3) if self.p_value >= 0.001 else "&lt; 0.001"
        return f'{shown} <span class="range">p {p_value}</span>'


def guarded(changes: Mapping[str, Change]) -> dict[str, Change]:
    """The changes, in which no rise of empathy is a gain while the replies' relevance or coherence
    fell beyond its interval: a judge can be pleased by words that answer nobody."""
    fell = tuple(name for name in GUARDS_OF_EMPATHY if name in changes and changes[name].fell)
    return {
        name: one._replace(spoiled_by=fell) if name in _EMPATHY else one
        for name, one in changes.items()
    }


def changes_of(comparison: Comparison) -> dict[str, Change]:
    """The changes of a run's comparison, `guarded`."""
    return guarded({name: Change.of(row) for name, row in comparison.items()})


def corrected(changes: Mapping[Key, Change], confidence: float) -> dict[Key, Change]:
    """The same changes with verdicts that hold together: their p-values are adjusted over all of
    them, so that at most 1 - confidence of the differences found are expected to be false
    (Benjamini and Hochberg 1995). One without p-value stays as it is."""
    tested = {key: one.p_value for key, one in changes.items() if one.p_value is not None}
    adjusted = dict(zip(tested, benjamini_hochberg(list(tested.values())), strict=True))
    return {
        key: one._replace(p_value=adjusted[key], level=1 - confidence) if key in adjusted else one
        for key, one in changes.items()
    }


def reach_of(changes: Iterable[Change]) -> float:
    """How far to either side of 0 a drawing must reach to show all of the changes."""
    ends = [abs(end) for change in changes for end in change[:3] if end is not None]
    return 1.15 * max(ends, default=0.0) or 1.0


def verdicts_of(confidence: float, correct: bool) -> str:
    """What the verdicts of a table go by, for its readers."""
    if not correct:
        return "Every verdict goes by its own interval: some will be false by chance."
    return (
        "Verdicts go by p-values corrected for all differences to the first here (Benjamini and "
        f"Hochberg, {1 - confidence:.0%} of those found may be false), so that an interval may "
        "exclude 0 without a verdict."
    )
