"""What is drawn over training steps, and how each figure is to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mint.pages.html import figure, missing, text
from mint.pages.lines import HEIGHT, Series, line_chart
from mint.pages.svg import Axis
from rewards.formula import COMPONENTS

COMPONENT_NAMES = {
    "quality": "empathy",
    "kl": "novelty",
    "entropy": "variety",
    "bigram": "pairs",
    "trigram": "triples",
}


Values = tuple[float | None, ...]


class Curve(NamedTuple):
    """A figure over training steps."""

    title: str
    keys: Mapping[str, str]
    """Metric key -> name of its line."""
    axis: Axis
    description: str
    """Text alternative without numbers."""
    explanation: str
    height: float = HEIGHT

    def draw(self, steps: Sequence[int], values: Mapping[str, Values]) -> str:
        """The figure; `values` gives metric key -> value a step. It says when there is none."""
        known = [key for key in self.keys if any(v is not None for v in values[key])]
        series = [
            Series(name=self.keys[key], values=values[key], style=f"c{i}")
            for i, key in enumerate(known)
        ]
        chart = missing(f"Not logged in this run ({', '.join(self.keys)}).")
        if series:
            chart = line_chart(steps, series, self.axis, self.description, self.height)
        return figure(self.title, chart, text(self.explanation))


class Component(NamedTuple):
    """What a component of the reward is called."""

    title: str
    unit: str
    meaning: str


COMPONENT_TEXTS = {
    "quality": Component(
        "Empathy (judge)",
        "quality",
        "Rating of the empathy judge, mapped to 0..1; a reward model's raw score as it is.",
    ),
    "kl": Component(
        "Novelty against the previous turn",
        "KL, nats",
        "How different the reply's tactics are from the previous supporter turn's.",
    ),
    "entropy": Component(
        "Variety within the reply",
        "entropy, nats",
        "How evenly the reply spreads over tactics.",
    ),
    "bigram": Component(
        "Surprise of tactic pairs",
        "surprisal, nats",
        "How unusual the order of tactics in neighbouring sentences is.",
    ),
    "trigram": Component(
        "Surprise of tactic triples",
        "surprisal, nats",
        "The same over three neighbouring sentences.",
    ),
}

HEALTH = (
    Curve(
        "Groups without a lesson",
        {"group/frac_flat": "flat", "group/frac_partial": "partial", "group/frac_lost": "lost"},
        Axis(title="share of groups", low=0.0, high=1.0),
        "Share of groups that are flat, partial or lost.",
        "Flat: all siblings scored alike. Partial: some could not be graded. Lost: too few "
        "could; flat and lost groups give no gradient.",
    ),
    Curve(
        "Replies that went wrong",
        {
            "reply/truncated_frac": "cut off",
            "reply/empty_frac": "empty",
            "grader/failed_frac": "not graded",
            "reward/label_leak/frac": "names tactics",
        },
        Axis(title="share of replies", low=0.0),
        "Share of replies cut off, empty, not graded or naming tactics.",
        "Cut-off replies end at the length limit; replies that could not be graded get no "
        "gradient instead of a zero.",
    ),
    Curve(
        "Agreement of generator and trainer",
        {"policy/log_prob_pearson": "correlation"},
        Axis(title="Pearson correlation", digits=4),
        "Correlation of token probabilities in generator and trainer.",
        "Both compute the probability of the same tokens; below about 0.99 the policy learns "
        "from replies it would not have given.",
    ),
    Curve(
        "Distance from the starting policy",
        {"policy/kl_loss": "KL estimate"},
        Axis(title="nats per token", digits=4),
        "KL estimate between the policy and the starting policy.",
        "How far the policy has moved away from where it started; a sudden rise is a warning.",
    ),
    Curve(
        "Size of the updates",
        {"policy/grad_norm": "gradient norm"},
        Axis(title="gradient norm", low=0.0),
        "Norm of the gradient before clipping.",
        "Spikes mean that single batches push the policy hard.",
    ),
    Curve(
        "Certainty of the policy",
        {"policy/entropy": "entropy"},
        Axis(title="nats per token"),
        "Entropy of the policy's next-token distribution.",
        "A fall towards 0 means that the policy gives nearly the same reply every time.",
    ),
    Curve(
        "Length of replies",
        {"reply/num_tokens/mean": "tokens"},
        Axis(title="tokens", digits=1, low=0.0),
        "Mean length of the visible reply.",
        "Replies above the length target are scaled down, so longer is not better.",
    ),
    Curve(
        "Tactics per reply",
        {"tactics_per_reply/mean": "tactics"},
        Axis(title="different tactics", low=0.0),
        "Mean number of different tactics in a reply.",
        "Using more tactics everywhere also counts as novelty, which is why it is watched.",
    ),
)

REWARD = (
    Curve(
        "Composite reward",
        {"reward/raw/mean": "composite"},
        Axis(title="reward, fixed scales", digits=3),
        "Mean composite reward of each step's replies.",
        "The objective on fixed scales: unlike the reward used for learning, which is relative "
        "to sibling replies and stays near a constant, it shows progress.",
    ),
    Curve(
        "Reward used for learning",
        {"reward/score/mean": "mean", "reward/score/std": "spread"},
        Axis(title="reward, group-relative"),
        "Mean and standard deviation of the group-relative reward.",
        "Rewards are scaled within each group of siblings, so the mean hardly moves; the "
        "spread is what the policy learns from.",
    ),
)

SCALED = Curve(
    "Components after scaling within the group",
    {f"reward/{name}_norm/mean": COMPONENT_NAMES[name] for name in COMPONENTS},
    Axis(title="scaled, 0 to 1", low=0.0, high=1.0),
    "Mean of each component scaled to 0..1 within its group.",
    "Each component is scaled to 0..1 among siblings; exactly 0.5 throughout means that siblings "
    "do not differ and the component teaches nothing.",
)

THROUGHPUT = Curve(
    "Throughput",
    {"throughput/replies_per_s": "replies"},
    Axis(title="replies per second", low=0.0),
    "Replies trained on per second.",
    "Replies of a step divided by the time of the whole step.",
)
