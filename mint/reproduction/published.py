"""What the paper states (published.yaml) and how the observed values compare with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from mint.pages import texts
from mint.reproduction.read import SystemName, parse_name

Observed = Mapping[str, Mapping[str, float]]
"""Folder name -> metric -> value."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A published relative change in percent, the mean over pairs (system, baseline)."""

    key: str
    title: str
    metric: str
    percent: float
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class SurfaceRow:
    """A published row of the wording table; either `system` or `models` is set."""

    title: str
    values: Mapping[str, float]
    system: str = ""
    models: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Method:
    """What to call the method in a folder name."""

    title: str
    kind: str
    """people, prompted, trained or other."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """The facts of published.yaml."""

    source: str
    tolerance: float
    claim_tolerance: float
    methods: Mapping[str, Method]
    columns: Sequence[str]
    """Metrics of the main table."""
    systems: Mapping[str, Mapping[str, float]]
    """Folder name -> metric -> value."""
    claims: tuple[Claim, ...]
    surface: tuple[SurfaceRow, ...]
    people_prevalence: Mapping[str, float]
    """Tactic -> percent of people's turns."""
    model_prevalence: Mapping[str, Sequence[float]]
    """Tactic -> lowest and highest percent of turns over the models."""
    agreement: Mapping[str, Sequence[float]]
    """Dimension -> Spearman, weighted kappa."""

    def method(self, name: SystemName) -> Method:
        """Title and kind of a system; its own folder's words when the paper has no such method."""
        if name.method in self.methods:
            return self.methods[name.method]
        return Method(title=name.method.replace("_", " "), kind="other")

    def label(self, name: SystemName) -> str:
        """Method and size, for people."""
        return f"{self.method(name).title} {name.size}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the main table, published and observed."""

    system: str
    metric: str
    published: float
    observed: float
    difference: float
    """observed - published."""
    reproduces: bool
    """Whether they differ by at most the tolerance."""


@dataclass(frozen=True, kw_only=True)
class ClaimCheck:
    """A claim with what is observed, in percent."""

    claim: Claim
    observed: float | None
    """Mean relative change of the unrounded values; None when a system is missing."""
    from_cells: float | None
    """The same from values rounded to the table's two decimals, as the paper computes it."""
    parts: Mapping[str, float]
    """Relative change of each pair that is there, by size."""
    missing: tuple[str, ...]
    reproduces: bool | None
    """Whether `from_cells` is the published figure; None when a system is missing."""


def load() -> Published:
    """The facts that ship with the package."""
    raw = texts.read("mint.reproduction", "published.yaml")
    systems, surface = raw.pop("systems"), raw.pop("surface")
    surface_columns, prevalence = raw.pop("surface_columns"), raw.pop("prevalence")
    claims, methods, agreement = raw.pop("claims"), raw.pop("methods"), raw.pop("agreement")
    return Published(
        methods={name: Method(**facts) for name, facts in methods.items()},
        systems={name: _row(raw["columns"], row) for name, row in systems.items()},
        claims=tuple(
            Claim(key=key, pairs=tuple(map(tuple, facts.pop("pairs"))), **facts)
            for key, facts in claims.items()
        ),
        surface=tuple(
            SurfaceRow(title=title, values=_row(surface_columns, facts.pop("values")), **facts)
            for title, facts in surface.items()
        ),
        people_prevalence=prevalence["people"],
        model_prevalence=prevalence["models"],
        agreement=agreement,
        **raw,
    )


def _row(columns: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return dict(zip(columns, values, strict=True))


def check_cells(published: Published, observed: Observed) -> list[Cell]:
    """Every published cell of the systems found."""
    cells = []
    for folder, row in published.systems.items():
        for metric, stated in row.items() if folder in observed else ():
            value = observed[folder][metric]
            cells.append(
                Cell(
                    system=folder,
                    metric=metric,
                    published=stated,
                    observed=value,
                    difference=value - stated,
                    reproduces=abs(value - stated) <= published.tolerance,
                )
            )
    return cells


def check_claim(claim: Claim, observed: Observed, tolerance: float) -> ClaimCheck:
    """A claim, from observed values only."""
    parts, cells = {}, []
    missing = tuple(name for pair in claim.pairs for name in pair if name not in observed)
    for pair in claim.pairs:
        if not set(pair) & set(missing):
            after, before = (observed[name][claim.metric] for name in pair)
            parts[parse_name(pair[0]).size] = 100.0 * (after / before - 1.0)
            cells.append(100.0 * (_two_decimals(after) / _two_decimals(before) - 1.0))
    from_cells = None if missing else fmean(cells)
    return ClaimCheck(
        claim=claim,
        observed=None if missing else fmean(parts.values()),
        from_cells=from_cells,
        parts=parts,
        missing=missing,
        reproduces=None if from_cells is None else abs(from_cells - claim.percent) <= tolerance,
    )


def _two_decimals(value: float) -> float:
    return math.floor(value * 100 + 0.5) / 100
