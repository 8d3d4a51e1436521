"""What is drawn over training steps, and how each figure is to be read."""

from __future__ import annotations

from typing import NamedTuple

from mint.pages.svg import Axes
from rewards.formula import COMPONENTS

COMPONENT_AXES = {
    "quality": ("Empathy (judge)", "quality"),
    "kl": ("Novelty against the previous turn", "KL, nats"),
    "entropy": ("Variety within the reply", "entropy, nats"),
    "bigram": ("Surprise of tactic pairs", "surprisal, nats"),
    "trigram": ("Surprise of tactic triples", "surprisal, nats"),
}
COMPONENT_NAMES = {
    "quality": "empathy",
    "kl": "novelty",
    "entropy": "variety",
    "bigram": "pairs",
    "trigram": "triples",
}
COMPONENT_MEANINGS = {
    "quality": "Rating of the empathy judge, mapped to 0..1; a reward model's raw score as it is.",
    "kl": "How different the reply's tactics are from the previous supporter turn's.",
    "entropy": "How evenly the reply spreads over tactics.",
    "bigram": "How unusual the order of tactics in neighbouring sentences is.",
    "trigram": "The same over three neighbouring sentences.",
}


class Curve(NamedTuple):
    """A figure over training steps."""

    title: str
    keys: dict[str, str]
    """Metric key -> name of its line."""
    axes: Axes
    explanation: str


HEALTH = (
    Curve(
        "Groups without a lesson",
        {"group/frac_flat": "flat", "group/frac_partial": "partial", "group/frac_lost": "lost"},
        Axes(
            description="Share of groups that are flat, partial or lost.",
            unit="share of groups",
            low=0.0,
            high=1.0,
        ),
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
        Axes(
            description="Share of replies cut off, empty, not graded or naming tactics.",
            unit="share of replies",
            low=0.0,
        ),
        "Cut-off replies end at the length limit; replies that could not be graded get no "
        "gradient instead of a zero.",
    ),
    Curve(
        "Agreement of generator and trainer",
        {"policy/log_prob_pearson": "correlation"},
        Axes(
            description="Correlation of token probabilities in generator and trainer.",
            unit="Pearson correlation",
            digits=4,
        ),
        "Both compute the probability of the same tokens; below about 0.99 the policy learns "
        "from replies it would not have given.",
    ),
    Curve(
        "Distance from the starting policy",
        {"policy/kl_loss": "KL estimate"},
        Axes(
            description="KL estimate between the policy and the starting policy.",
            unit="nats per token",
            digits=4,
        ),
        "How far the policy has moved away from where it started; a sudden rise is a warning.",
    ),
    Curve(
        "Size of the updates",
        {"policy/grad_norm": "gradient norm"},
        Axes(description="Norm of the gradient before clipping.", unit="gradient norm", low=0.0),
        "Spikes mean that single batches push the policy hard.",
    ),
    Curve(
        "Certainty of the policy",
        {"policy/entropy": "entropy"},
        Axes(description="Entropy of the policy's next-token distribution.", unit="nats per token"),
        "A fall towards 0 means that the policy gives nearly the same reply every time.",
    ),
    Curve(
        "Length of replies",
        {"reply/num_tokens/mean": "tokens"},
        Axes(description="Mean length of the visible reply.", unit="tokens", digits=1, low=0.0),
        "Replies above the length target are scaled down, so longer is not better.",
    ),
    Curve(
        "Tactics per reply",
        {"tactics_per_reply/mean": "tactics"},
        Axes(
            description="Mean number of different tactics in a reply.",
            unit="different tactics",
            low=0.0,
        ),
        "Using more tactics everywhere also counts as novelty, which is why it is watched.",
    ),
)

REWARD = (
    Curve(
        "Composite reward",
        {"reward/raw/mean": "composite"},
        Axes(
            description="Mean composite reward of each step's replies.",
            unit="reward, fixed scales",
            digits=3,
        ),
        "The objective on fixed scales: unlike the reward used for learning, which is relative "
        "to sibling replies and stays near a constant, it shows progress.",
    ),
    Curve(
        "Reward used for learning",
        {"reward/score/mean": "mean", "reward/score/std": "spread"},
        Axes(
            description="Mean and standard deviation of the group-relative reward.",
            unit="reward, group-relative",
        ),
        "Rewards are scaled within each group of siblings, so the mean hardly moves; the "
        "spread is what the policy learns from.",
    ),
)

SCALED = Curve(
    "Components after scaling within the group",
    {f"reward/{name}_norm/mean": COMPONENT_NAMES[name] for name in COMPONENTS},
    Axes(
        description="Mean of each component scaled to 0..1 within its group.",
        unit="scaled, 0 to 1",
        low=0.0,
        high=1.0,
    ),
    "Each component is scaled to 0..1 among siblings; exactly 0.5 throughout means that siblings "
    "do not differ and the component teaches nothing.",
)

THROUGHPUT = Curve(
    "Throughput",
    {"throughput/replies_per_s": "replies"},
    Axes(description="Replies trained on per second.", unit="replies per second", low=0.0),
    "Replies of a step divided by the time of the whole step.",
)
