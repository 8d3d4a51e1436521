"""People's figures on the pages: beside measures, and as lines in charts over steps."""

from __future__ import annotations

from collections.abc import Iterable

from mint.evaluation.metrics.means import PREVALENCE
from mint.evaluation.metrics.parts import HELD_DOWN, PARTS
from mint.evaluation.people import Reference
from mint.pages.html import text
from mint.reporting.measures import Measure
from rewards.tactics import TACTIC_NAMES
from rewards.types import scaled_rating

_LOGGED = {
    **{f"grader/part/{name}/mean": name for name in PARTS},
    "grader/held_down_frac": HELD_DOWN,
    "reply/top_opening": "top_opening",
    "tactics_per_reply/mean": "tactics_per_turn",
    "reward/kl/mean": "kl",
    "reward/entropy/mean": "entropy",
    **{f"tactic/{name}/frac": f"{PREVALENCE}{name}" for name in TACTIC_NAMES},
}
"""Key of metrics.jsonl -> held-out metric that is the same figure."""
_NOT_DRAWN = ("distinct_2",)
"""Falls with the number of replies, so that a line would mislead."""


def heading(name: str, measure: Measure, people: Reference) -> str:
    """A measure's heading with people's figure below it, as ready HTML."""
    said = people.words(name, measure.digits)
    shown = f'<span class="sub people">{text(said)}</span>' if said else ""
    return measure.heading + shown


def lines(keys: Iterable[str], people: Reference) -> dict[str, float]:
    """Metric key, of training steps or of validations -> people's value, for those that have one
    under the same graders."""
    drawn = (key for key in keys if key not in _NOT_DRAWN and f"{HELD_DOWN}/" not in key)
    found = {key: _line(key, people) for key in drawn}
    return {key: value for key, value in found.items() if value is not None}


def _line(key: str, people: Reference) -> float | None:
    if key == "reward/quality/mean":
        empathy = people.line("empathy")
        return None if empathy is None else scaled_rating(empathy)
    return people.line(_LOGGED[key] if key in _LOGGED else key)
