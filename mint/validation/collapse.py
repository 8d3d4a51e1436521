"""The collapse alarm: training batches that lose entropy, open alike or repeat their word pairs.

Pure: fed with the figures of each step, also with those of the steps before an interruption.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from mint.config.validation import CollapseConfig

ENTROPY, OPENING, DISTINCT = "policy/entropy", "reply/top_opening", "reply/distinct_2"
ALARM = "collapse/"
KEYS = {ENTROPY: "entropy", OPENING: "top_opening", DISTINCT: "distinct_2"}
"""Metric of the training batch -> name of its alarm."""
_LIMITS = {
    ENTROPY: "max_entropy_drop",
    OPENING: "max_top_opening",
    DISTINCT: "max_distinct_2_drop",
}


class Alarm(NamedTuple):
    """A figure that has been beyond its threshold for the whole window."""

    name: str
    text: str


class CollapseWatch:
    """Looks at each step's figures and says which alarms are on."""

    def __init__(self, settings: CollapseConfig) -> None:
        self._settings = settings
        self._start: dict[str, list[float]] = {key: [] for key in KEYS}
        self._beyond: dict[str, deque[bool]] = {key: deque(maxlen=settings.window) for key in KEYS}

    def look(self, figures: Mapping[str, float | None]) -> list[Alarm]:
        """Alarms that are on after this step; a figure that is missing neither starts nor ends
        one."""
        if self._settings.action == "off":
            return []
        alarms = []
        for key, name in KEYS.items():
            value = figures.get(key)
            if value is None or math.isnan(value):
                continue
            threshold = self._threshold(key, value)
            if threshold is None:
                continue
            over = value > threshold if key == OPENING else value < threshold
            self._beyond[key].append(over)
            if len(self._beyond[key]) == self._settings.window and all(self._beyond[key]):
                alarms.append(Alarm(name, self._text(key, value, threshold)))
        return alarms

    def _threshold(self, key: str, value: float) -> float | None:
        """The value that must not be passed; None: no limit, or the start is not known yet."""
        limit: float | None = getattr(self._settings, _LIMITS[key])
        if key == OPENING:
            return limit
        start = self._start[key]
        if len(start) < self._settings.baseline_steps:
            start.append(value)
            return None
        return None if limit is None else (1.0 - limit) * sum(start) / len(start)

    def _text(self, key: str, value: float, threshold: float) -> str:
        side = "above" if key == OPENING else "below"
        window = self._settings.window
        steps = f" for {window} steps" if window > 1 else ""
        return f"{key} {value:.3f} is {side} {threshold:.3f}{steps} (mint.collapse.{_LIMITS[key]})"
