"""Differences of two evaluations: what they mean and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mint.pages.bars import interval_bar
from mint.pages.html import chip, interval, number


class Change(NamedTuple):
    """A difference (after - before) with its interval; None where it is not known."""

    difference: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Change:
        """From a `mint.evaluation.summary.Difference` as a mapping."""
        return cls(row["difference"], row["ci_low"], row["ci_high"])

    @property
    def excludes_zero(self) -> bool | None:
        """Whether the interval lies on one side of 0; None without interval."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0

    def verdict(self, better: int) -> str:
        """ "better", "worse", "changed", "no clear change" or "not known".

        `better` is 1 when higher is better, -1 when lower is, 0 when neither is.
        """
        if self.excludes_zero is None or self.difference is None:
            return "not known"
        if not self.excludes_zero:
            return "no clear change"
        return {1: "better", -1: "worse", 0: "changed"}[better * (1 if self.difference > 0 else -1)]

    def bar(self, reach: float, digits: int, between: str = "") -> str:
        """The interval as a drawing and in numbers, `between` them ready HTML; "" without one."""
        if self.difference is None or self.low is None or self.high is None:
            return between
        drawn = interval_bar(self.difference, self.low, self.high, reach)
        return f'{drawn}{between}<span class="range">{interval(self.low, self.high, digits)}</span>'

    def cell(self, better: int, digits: int, reach: float) -> str:
        """Drawing, difference with its verdict, and interval."""
        result = self.verdict(better)
        said = f"{number(self.difference, digits, signed=True)}, {result}"
        return self.bar(reach, digits, chip(result, said))


def reach_of(changes: Iterable[Change]) -> float:
    """How far to either side of 0 a drawing must reach to show all of the changes."""
    ends = [abs(end) for change in changes for end in change if end is not None]
    return 1.15 * max(ends, default=0.0) or 1.0
