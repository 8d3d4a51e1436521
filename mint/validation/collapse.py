"""The collapse alarm: training batches that lose entropy, open alike or repeat their word pairs.

Pure: fed with the figures of each step, also with those of the steps before an interruption.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from mint.config.validation import CollapseConfig

ENTROPY, OPENING, DISTINCT = "policy/entropy", "reply/top_opening", "reply/distinct_2"
ALARM = "collapse/"
KEYS = {ENTROPY: "entropy", OPENING: "top_opening", DISTINCT: "distinct_2"}
"""Metric of the training batch -> name of its alarm."""


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
            value = figures[key] if key in figures else None
            if value is None or value != value:
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
        settings = self._settings
        if key == OPENING:
            return settings.max_top_opening
        drop = settings.max_entropy_drop if key == ENTROPY else settings.max_distinct_2_drop
        start = self._start[key]
        if len(start) < settings.baseline_steps:
            start.append(value)
            return None
        return None if drop is None else (1.0 - drop) * sum(start) / len(start)

    def _text(self, key: str, value: float, threshold: float) -> str:
        field = {
            OPENING: "max_top_opening",
            ENTROPY: "max_entropy_drop",
            DISTINCT: "max_distinct_2_drop",
        }[key]
        side = "above" if key == OPENING else "below"
        window = self._settings.window
        steps = f" for {window} steps" if window > 1 else ""
        return f"{key} {value:.3f} is {side} {threshold:.3f}{steps} (mint.collapse.{field})"
