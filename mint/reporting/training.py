"""The middle of the page: curves over training steps."""

from __future__ import annotations

from typing import NamedTuple

from mint.reporting import svg
from mint.reporting.data import ReportData
from mint.reporting.html import figure, missing, more, number, section, text
from mint.reporting.svg import Axes, Series
from rewards.formula import COMPONENTS
from rewards.tactics import TACTIC_NAMES

_TITLES = {
    "quality": ("Empathy (judge)", "quality, 0 to 1"),
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
_PHASES = {
    "time/generate_s": "generate and grade",
    "time/old_log_prob_s": "old log-probs",
    "time/ref_s": "reference",
    "time/reward_s": "reward",
    "time/advantage_s": "advantage",
    "time/update_s": "update",
    "time/push_s": "push weights",
    "time/checkpoint_s": "checkpoint",
}


class Curve(NamedTuple):
    """A figure over training steps."""

    title: str
    keys: dict[str, str]
    """Metric key -> name of its line."""
    axes: Axes
    explanation: str


_HEALTH = (
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


def reward_section(data: ReportData) -> str:
    """The composite reward and its components."""
    if not data.metrics:
        return section("reward", "Reward during training", _no_metrics())
    figures = [
        _curve(
            data,
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
        _curve(
            data,
            "Reward used for learning",
            {"reward/score/mean": "mean", "reward/score/std": "spread"},
            Axes(
                description="Mean and standard deviation of the group-relative reward.",
                unit="reward, group-relative",
            ),
            "Rewards are scaled within each group of siblings, so the mean hardly moves; the "
            "spread is what the policy learns from.",
        ),
    ]
    for name in COMPONENTS:
        title, unit = _TITLES[name]
        figures.append(
            _curve(
                data,
                title,
                {f"reward/{name}/mean": COMPONENT_NAMES[name]},
                Axes(description=f"Mean {title.lower()} of each step's replies.", unit=unit),
                _component_note(data, name),
            )
        )
    figures.append(
        _curve(
            data,
            "Components after scaling within the group",
            {f"reward/{name}_norm/mean": COMPONENT_NAMES[name] for name in COMPONENTS},
            Axes(
                description="Mean of each component scaled to 0..1 within its group.",
                unit="scaled, 0 to 1",
                low=0.0,
                high=1.0,
            ),
            "Each component is scaled to 0..1 among siblings; 0.5 throughout means that siblings "
            "do not differ and the component teaches nothing.",
        )
    )
    return section("reward", "Reward during training", _grid(figures))


def health_section(data: ReportData) -> str:
    """Whether the numbers behind the gradient can be trusted."""
    if not data.metrics:
        return section("health", "Health of the training", _no_metrics())
    figures = [_curve(data, *curve) for curve in _HEALTH]
    return section("health", "Health of the training", _grid(figures))


def tactic_curves_section(data: ReportData) -> str:
    """Use of each tactic over training."""
    keys = {name: f"tactic/{name}/frac" for name in TACTIC_NAMES}
    if not data.has(*keys.values()):
        return ""
    figures = [
        _curve(
            data,
            name.replace("_", " ").capitalize(),
            {key: name.replace("_", " ")},
            Axes(
                description=f"Share of training replies with {name.replace('_', ' ')}.",
                unit="share of replies",
                low=0.0,
                high=1.0,
                height=150.0,
            ),
            "",
        )
        for name, key in keys.items()
    ]
    body = more("Ten curves, one a tactic", _grid(figures))
    return section(
        "tactic-curves",
        "Tactics during training",
        body,
        "Share of each step's training replies that use a tactic at least once.",
    )


def time_section(data: ReportData) -> str:
    """Where the time of a step goes."""
    if not data.has("time/step_s"):
        return section("time", "Time", missing("No timings were logged."))
    total = data.series("time/step_s")
    phases = [
        Series(name=title, values=data.series(key), style=f"c{i}")
        for i, (key, title) in enumerate(_PHASES.items())
        if data.has(key)
    ]
    rest = tuple(
        None if step is None else max(0.0, step - sum(p.values[i] or 0.0 for p in phases))
        for i, step in enumerate(total)
    )
    phases.append(Series(name="everything else", values=rest, style="rest"))
    chart = svg.stacked_bars(
        data.steps,
        phases,
        Axes(description="Seconds of each step by phase.", unit="seconds a step"),
    )
    figures = [
        figure(
            "Where a step's time goes",
            chart,
            "Each bar is one training step; graders run while other replies are still being "
            "generated, so grading is part of the first phase.",
        ),
        _curve(
            data,
            "Throughput",
            {"throughput/replies_per_s": "replies"},
            Axes(description="Replies trained on per second.", unit="replies per second", low=0.0),
            "Replies of a step divided by the time of the whole step.",
        ),
    ]
    known = [value for value in total if value is not None]
    lead = (
        f"{len(known)} steps took {number(sum(known) / 60, 1)} minutes, "
        f"{number(sum(known) / len(known), 1)} s a step on average."
    )
    return section("time", "Time", _grid(figures), lead)


def _curve(data: ReportData, title: str, keys: dict[str, str], axes: Axes, explanation: str) -> str:
    present = {key: name for key, name in keys.items() if data.has(key)}
    if not present:
        names = ", ".join(keys)
        return figure(title, missing(f"Not logged in this run ({names})."), text(explanation))
    series = [
        Series(name=name, values=data.series(key), style=f"c{i}")
        for i, (key, name) in enumerate(present.items())
    ]
    return figure(title, svg.line_chart(data.steps, series, axes), text(explanation))


def _component_note(data: ReportData, name: str) -> str:
    weight = data.setting(f"mint.reward.{name}")
    mode = data.setting("mint.reward.mode")
    meaning = {
        "quality": "Rating of the empathy judge, mapped to 0..1.",
        "kl": "How different the reply's tactics are from the previous supporter turn's.",
        "entropy": "How evenly the reply spreads over tactics.",
        "bigram": "How unusual the order of tactics in neighbouring sentences is.",
        "trigram": "The same over three neighbouring sentences.",
    }[name]
    if weight is None:
        return meaning
    if weight == 0:
        return f"{meaning} Its weight is 0: it is measured, not trained on."
    return f"{meaning} Its weight is {weight:g} (mode {mode})."


def _grid(figures: list[str]) -> str:
    return f'<div class="grid">{"".join(figures)}</div>'


def _no_metrics() -> str:
    return missing("No training step has been logged (metrics.jsonl is missing or empty).")
