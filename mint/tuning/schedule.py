"""The learning rate of a step."""

from __future__ import annotations

import math


def rate(step: int, total: int, *, warmup: float, final: float) -> float:
    """Share of the peak rate at `step` (from 1) of `total`, in [0, 1].

    It rises linearly over the first `warmup` share of the steps, reaches 1, and falls as a half
    cosine to `final` in the last step (Loshchilov and Hutter 2017, without restarts).
    """
    rising = round(warmup * total)
    if step <= rising:
        return step / rising
    falling = total - rising
    done = (step - rising) / falling if falling else 1.0
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * done))
