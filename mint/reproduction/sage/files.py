"""What is written about released dialogues, and what is said at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mint.evaluation.statistics.coverage import RELEASED_DIALOGUES, covers
from mint.reproduction.sage import page
from mint.reproduction.sage.measure import VALUES
from mint.reproduction.sage.results import SageResults, as_json
from mint.shell.files import write_json, write_text_atomic

_LISTED = 10
"""Notes said at the end; the page has all."""


def write(results: SageResults, output: Path) -> Path:
    """Write sage.json and report.html to the folder and return the report's path."""
    write_json(output / "sage.json", as_json(results))
    write_text_atomic(output / "report.html", page.render(results))
    return output / "report.html"


def in_words(results: SageResults) -> Iterator[str]:
    """The leaderboard, what of it reproduces, and what was left out."""
    checked = []
    for one in results.models.values():
        means = {name: one.estimates[name].mean or 0.0 for name in VALUES}
        published = results.leaderboard.row(one)
        checked += [results.leaderboard.reproduces(n, means[n], published[n]) for n in published]
        score = one.estimates["score"]
        ends = "" if score.ci_low is None else f" [{score.ci_low:.1f}, {score.ci_high:.1f}]"
        yield (
            f"{page.name_of(results, one):<28} score {means['score']:.2f}{ends}, success "
            f"{means['success']:.0f}%, failure {means['failure']:.0f}%"
        )
    yield f"published values reproduced: {sum(checked)} of {len(checked)}"
    yield covers(results.settings.confidence, RELEASED_DIALOGUES)
    yield from results.notes[:_LISTED]
    if len(results.notes) > _LISTED:
        yield f"... and {len(results.notes) - _LISTED} more lines; the report names all"
