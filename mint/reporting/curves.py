"""Figures over training steps; curves.yaml says what is drawn and how it is to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from mint.pages import texts
from mint.pages.html import figure, missing, text
from mint.pages.lines import HEIGHT, Series, line_chart
from mint.pages.svg import Axis

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

    def draw(
        self,
        steps: Sequence[int],
        values: Mapping[str, Values],
        people: Mapping[str, float] = MappingProxyType({}),
    ) -> str:
        """The figure; `values` gives metric key -> value a step, `people` the reference line of
        those that have one. It says when there is none."""
        known = [key for key in self.keys if any(v is not None for v in values[key])]
        series = [
            Series(name=self.keys[key], values=values[key], style=f"c{i}")
            for i, key in enumerate(known)
        ]
        several = len(self.keys) > 1
        series += [
            Series(
                name=f"people: {self.keys[key]}" if several else "people",
                values=(people[key],) * len(steps),
                style=f"c{known.index(key)} people",
            )
            for key in known
            if key in people
        ]
        chart = missing(f"Not logged in this run ({', '.join(self.keys)}).")
        if series:
            chart = line_chart(steps, series, self.axis, self.description, self.height)
        return figure(self.title, chart, text(self.explanation))


class Component(NamedTuple):
    """What a component of the reward is called."""

    name: str
    """In a list of components."""
    title: str
    unit: str
    meaning: str


_TEXTS = texts.read("mint.reporting", "curves.yaml")
COMPONENTS = {name: Component(**said) for name, said in _TEXTS.pop("components").items()}
CURVES = {
    part: [Curve(**{**said, "axis": Axis(**said["axis"])}) for said in curves]
    for part, curves in _TEXTS.items()
}
"""Part of a page -> its figures: reward, scaled, parts, health, throughput, validations and
batches."""
