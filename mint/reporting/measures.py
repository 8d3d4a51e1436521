"""What the held-out metrics are called and which direction is the better one (measures.yaml)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mint.evaluation.metrics.errors import ERROR
from mint.evaluation.metrics.parts import HELD_DOWN, PARTS, VETOES
from mint.evaluation.metrics.talks import SECOND
from mint.pages import texts
from mint.pages.html import text
from mint.safety.taxonomy import KINDS
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS


class Measure(NamedTuple):
    """A held-out metric for people."""

    title: str
    meaning: str
    better: int
    """1: higher is better, -1: lower is better, 0: neither."""
    digits: int = 2
    unit: str = "share"
    """Measures of one unit are drawn on one scale."""
    counted: bool = False
    """Whether the number of replies is shown: it is another one for each such measure."""

    @property
    def heading(self) -> str:
        """Title, meaning and direction, as ready HTML."""
        arrow = {1: "higher is better", -1: "lower is better", 0: "neither is better"}[self.better]
        return f'{text(self.title)}<span class="sub">{text(self.meaning)}; {arrow}</span>'


_TEXTS = texts.read("mint.reporting", "measures.yaml")
MEASURES = {name: Measure(**said) for name, said in _TEXTS["held_out"].items()}
OWN_MEASURES = {name: Measure(**said) for name, said in _TEXTS["own_sequence"].items()}
"""Of a model's replies beside its own last replies."""
TALK_MEASURES = {name: Measure(**said) for name, said in _TEXTS["dialogues"].items()}
"""Of whole dialogues (`mint.evaluation.metrics.talks`)."""
SECOND_MEASURES = {
    f"{SECOND}{name}": measure._replace(title=f"{measure.title}, second seeker")
    for name, measure in {**TALK_MEASURES, **OWN_MEASURES}.items()
}
"""The same with a seeker that training never saw."""
RATING_PARTS = (*PARTS, HELD_DOWN, *(f"{HELD_DOWN}/{name}" for name in VETOES))
ERRORS = tuple(f"{ERROR}{kind}" for kind in KINDS)
"""Of the taxonomy, each over the replies that may have it."""
GROUPS: dict[str, tuple[str, ...]] = {
    "Outcome": (
        "composite",
        "empathy",
        "second_empathy",
        "judge_gap",
        "empathy_with_silence",
        "judge_logit",
        "kl",
    ),
    "Parts of the rating": RATING_PARTS,
    "Repetition": ("stickiness", "lift", "distinct_2", "top_opening"),
    "Errors": ERRORS,
    "Empathy ratings": DIMENSIONS,
    "Form": (
        "tactics_per_turn",
        "entropy",
        "num_tokens",
        "truncated",
        "empty",
        "label_leak",
        "failed",
    ),
}


def prevalence(summary: Mapping[str, Any] | None) -> list[float | None]:
    """Share of replies with each tactic, in taxonomy order, of one evaluation."""
    metrics = summary["metrics"] if summary is not None else {}
    keys = [f"prevalence/{name}" for name in TACTIC_NAMES]
    return [metrics[key]["mean"] if key in metrics else None for key in keys]
