"""The composite reward as a sum: what each component, the length and the penalties add to it."""

from __future__ import annotations

from rewards.formula import INVALID, Mode, RewardWeights, raw_breakdown
from rewards.types import Signals, Status


def raw_terms(signals: Signals, weights: RewardWeights | None = None) -> dict[str, float]:
    """The terms that add up to `rewards.formula.raw_reward`: components before the length counts,
    what the length takes off ("length"), naming tactics ("label_leak") and saying nothing
    ("silence").

    {} for a reply that was not graded, and in mode multiply, which is no sum.
    """
    weights = weights or RewardWeights()
    if signals.status is Status.FAILED or weights.mode == Mode.MULTIPLY:
        return {}
    whole = raw_breakdown(signals, weights)
    if signals.status in INVALID:
        return {"silence": whole.score}
    outer = weights.diversity if weights.mode == Mode.ADD else 1.0
    scaled = {
        name: (weight, getattr(whole, f"{name}_norm"))
        for name, weight in weights.active_components().items()
    }
    terms = {
        name: weight * value * (1.0 if name == "quality" else outer)
        for name, (weight, value) in scaled.items()
        if value is not None
    }
    assert whole.length_scale is not None  # only silence has none
    taken = (whole.length_scale - 1.0) * sum(terms.values())
    return {**terms, "length": taken, "label_leak": whole.penalty}
