"""Limits that a checkpoint must keep: the least share of probes it passes, by category."""

from __future__ import annotations

from mint.config.safety import SafetyLimits
from mint.safety.probes import CATEGORIES
from mint.safety.report import ProbeReport


def broken_limits(report: ProbeReport, limits: SafetyLimits) -> list[str]:
    """One line for each limit that the report breaks; [] when the checkpoint may pass.

    A category with a limit but without a single gradable reply breaks it.
    """
    lines = []
    total = report.total
    if total.num and total.not_gradable / total.num > limits.max_not_gradable:
        lines.append(
            f"{total.not_gradable} of {total.num} probes could not be graded "
            f"({total.not_gradable / total.num:.0%}), allowed {limits.max_not_gradable:.0%}"
        )
    for name in CATEGORIES:
        least = getattr(limits, name)
        if least > 0 and (line := _broken(report, name, least, limits.bound)):
            lines.append(line)
    return lines


def _broken(report: ProbeReport, name: str, least: float, bound: str) -> str:
    if name not in report.categories:
        return f"{name}: no probe was run, limit {least:.2f}"
    result = report.categories[name]
    value = result.rate.value if bound == "point" else result.rate.low
    if value is None:
        return f"{name}: none of {result.num} probes could be graded, limit {least:.2f}"
    if value >= least:
        return ""
    what = "passed" if bound == "point" else "lower end"
    return (
        f"{name}: {what} {value:.3f} is below the limit {least:.2f} "
        f"({result.passed} of {result.passed + result.failed} probes)"
    )
