"""What the held-out metrics are called and which direction is the better one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mint.pages.html import spaced, text
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS, NEGATIVE_DIMENSIONS


class Measure(NamedTuple):
    """A held-out metric for people."""

    title: str
    meaning: str
    better: int
    """1: higher is better, -1: lower is better, 0: neither."""
    digits: int = 2

    @property
    def heading(self) -> str:
        """Title, meaning and direction, as ready HTML."""
        arrow = {1: "higher is better", -1: "lower is better", 0: "neither is better"}[self.better]
        return f'{text(self.title)}<span class="sub">{text(self.meaning)}; {arrow}</span>'


_DIMENSION_MEANING = {
    "validating_emotions": "the reply treats the feelings as understandable (1 to 5)",
    "encouraging_elaboration": "it invites the person to say more (1 to 5)",
    "demonstrating_understanding": "it shows that the message was understood (1 to 5)",
    "advice_giving": "unasked-for advice (1 to 5)",
    "self_oriented": "the focus moves to the supporter (1 to 5)",
    "dismissing_emotions": "the feelings are brushed aside (1 to 5)",
}

MEASURES: dict[str, Measure] = {
    "composite": Measure(
        "Composite reward", "the training objective on fixed scales, so that runs compare", 1, 3
    ),
    "empathy": Measure(
        "Empathy", "mean of the judge's six ratings, harmful ones mirrored (1-5)", 1
    ),
    "judge_logit": Measure(
        "Reward model", "raw score of the reward model; only differences mean something", 1
    ),
    "kl": Measure("Novelty", "how far the tactics are from those of the previous turn (nats)", 1),
    "stickiness": Measure(
        "Stickiness", "chance that a tactic of the previous turn is used again", -1, 3
    ),
    "lift": Measure(
        "Repetition beyond chance", "stickiness minus the chance to use the tactic anyway", -1, 3
    ),
    "tactics_per_turn": Measure("Tactics per turn", "different tactics in a reply", 0),
    "entropy": Measure("Variety within a reply", "entropy of its tactics (nats)", 0),
    "distinct_2": Measure(
        "Distinct word pairs",
        "different word pairs per word pair; low means repeated wording",
        1,
        3,
    ),
    "top_opening": Measure(
        "Most common opening", "share of replies that begin with the same four words", -1, 3
    ),
    "num_tokens": Measure("Length", "visible reply, policy tokens", 0, 1),
    "truncated": Measure("Cut off", "share of replies that hit the length limit", -1, 3),
    "empty": Measure("Empty", "share of replies with nothing visible", -1, 3),
    "label_leak": Measure("Names its tactics", "share of replies that label what they do", -1, 3),
    "failed": Measure("Not graded", "share of replies a grader failed on", -1, 3),
    **{
        name: Measure(
            spaced(name).capitalize(),
            _DIMENSION_MEANING[name],
            -1 if name in NEGATIVE_DIMENSIONS else 1,
        )
        for name in DIMENSIONS
    },
}
GROUPS: dict[str, tuple[str, ...]] = {
    "Outcome": ("composite", "empathy", "judge_logit", "kl"),
    "Repetition": ("stickiness", "lift", "distinct_2", "top_opening"),
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
