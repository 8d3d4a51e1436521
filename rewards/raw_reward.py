"""The formula with fixed scales: what one reply is worth by itself, comparable across prompts and
runs (`rewards.formula` compares siblings)."""

from __future__ import annotations

import math

from rewards.diversity import KL_CAP
from rewards.formula import COMPONENTS, INVALID, Mode, RewardWeights, combine, component_values
from rewards.tactics import NUM_TACTICS
from rewards.types import Signals, Status

_TOPS = (1.0, KL_CAP, math.log(NUM_TACTICS), 5.0, 5.0)
_RAW_SCALE = dict(zip(COMPONENTS, _TOPS, strict=True))


def raw_reward(signals: Signals, weights: RewardWeights | None = None) -> float | None:
    """The same formula with fixed scales instead of the group's range; None when not graded.

    Each component is divided by the top of its range (KL by its cap, entropy by ln 10,
    surprisal by 5 nats), so values compare across prompts and across runs. This is the composite
    reward of validation and of `mint.evaluate`. A reward model's logit has no top: it enters as
    1 / (1 + exp(-logit)), in (0, 1). An empty or cut-off reply scores -invalid_margin.
    """
    weights = weights or RewardWeights()
    if signals.status is Status.FAILED:
        return None
    if signals.status in INVALID:
        return -weights.invalid_margin
    return combine(signals, _fixed_scales(signals, weights), weights).score


def raw_terms(signals: Signals, weights: RewardWeights | None = None) -> dict[str, float]:
    """The terms that add up to `raw_reward`: components before the length counts, what the length
    takes off ("length"), naming tactics ("label_leak") and saying nothing ("silence").

    {} for a reply that was not graded, and in mode multiply, which is no sum.
    """
    weights = weights or RewardWeights()
    if signals.status is Status.FAILED or weights.mode == Mode.MULTIPLY:
        return {}
    if signals.status in INVALID:
        return {"silence": -weights.invalid_margin}
    scaled = _fixed_scales(signals, weights)
    outer = weights.diversity if weights.mode == Mode.ADD else 1.0
    terms = {
        name: weight * scaled[name] * (1.0 if name == "quality" else outer)
        for name, weight in weights.active_components().items()
        if name in scaled
    }
    combined = combine(signals, scaled, weights)
    assert combined.length_scale is not None
    taken = (combined.length_scale - 1.0) * sum(terms.values())
    return {**terms, "length": taken, "label_leak": combined.penalty}


def _fixed_scales(signals: Signals, weights: RewardWeights) -> dict[str, float]:
    """Component -> its value in [0, 1], by the top of its range."""
    scaled = {
        name: min(1.0, values[0] / _RAW_SCALE[name])
        for name in COMPONENTS
        if (values := component_values([signals], name, weights)) is not None
    }
    if signals.quality_is_logit and signals.quality is not None:
        scaled["quality"] = 0.5 + 0.5 * math.tanh(0.5 * signals.quality)
    return scaled
