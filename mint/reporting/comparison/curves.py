"""Learning curves of several runs in the same axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mint.pages.html import figure, grid, section
from mint.pages.lines import Series, line_chart
from mint.pages.svg import Axis
from mint.reporting.comparison.contestants import Contestant

_CURVES = {
    "reward/raw/mean": ("Composite reward", "reward, fixed scales"),
    "reward/quality/mean": ("Empathy (judge)", "quality, 0 to 1"),
    "reward/kl/mean": ("Novelty against the previous turn", "KL, nats"),
    "tactics_per_reply/mean": ("Tactics per reply", "different tactics"),
    "policy/entropy": ("Next-token entropy of the policy", "nats per token"),
    "reply/num_tokens/mean": ("Length of replies", "tokens"),
}
_STYLES = 5


def curves_section(contestants: Sequence[Contestant]) -> str:
    """The curves that at least one run has logged; "" without any."""
    runs = [contestant for contestant in contestants if contestant.metrics]
    steps = sorted({int(row["step"]) for run in runs for row in run.metrics})
    figures = []
    for key, (title, unit) in _CURVES.items():
        series = [
            Series(
                name=run.name.removesuffix(" after"),
                values=_values(run.metrics, key, steps),
                style=f"c{i % _STYLES}",
            )
            for i, run in enumerate(runs)
        ]
        series = [one for one in series if any(v is not None for v in one.values)]
        if series:
            chart = line_chart(steps, series, Axis(title=unit), f"{title} over training, by run.")
            note = f"Mean over the replies of each step; {len(series)} runs."
            figures.append(figure(title, chart, note))
    return section("curves", "Learning curves", grid(figures)) if figures else ""


def _values(
    metrics: Sequence[Mapping[str, Any]], key: str, steps: Sequence[int]
) -> tuple[float | None, ...]:
    known = {int(row["step"]): row[key] for row in metrics if key in row}
    return tuple(known[step] if step in known else None for step in steps)
