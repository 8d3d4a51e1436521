"""What the paper states (published.yaml) and how the observed values compare with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import yaml

from mint.reproduction.read import SystemName, parse_name


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
    system: str
    models: tuple[str, ...]
    values: Mapping[str, float]


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
    columns: tuple[str, ...]
    """Metrics of the main table."""
    systems: Mapping[str, Mapping[str, float]]
    """Folder name -> metric -> value."""
    claims: tuple[Claim, ...]
    surface: tuple[SurfaceRow, ...]
    people_prevalence: Mapping[str, float]
    """Tactic -> percent of people's turns."""
    model_prevalence: Mapping[str, tuple[float, float]]
    """Tactic -> lowest and highest percent of turns over the models."""
    agreement: Mapping[str, tuple[float, float]]
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

    @property
    def difference(self) -> float:
        """observed - published."""
        return self.observed - self.published

    def reproduces(self, tolerance: float) -> bool:
        """Whether they differ by at most `tolerance`."""
        return abs(self.difference) <= tolerance


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
    file = resources.files("mint.reproduction") / "published.yaml"
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    columns = tuple(raw["columns"])
    return Published(
        source=raw["source"],
        tolerance=raw["tolerance"],
        claim_tolerance=raw["claim_tolerance"],
        methods={name: Method(**facts) for name, facts in raw["methods"].items()},
        columns=columns,
        systems={
            name: dict(zip(columns, row, strict=True)) for name, row in raw["systems"].items()
        },
        claims=tuple(
            Claim(key=key, **{**facts, "pairs": tuple(map(tuple, facts["pairs"]))})
            for key, facts in raw["claims"].items()
        ),
        surface=tuple(
            SurfaceRow(
                title=title,
                system=facts["system"] if "system" in facts else "",
                models=tuple(facts["models"]) if "models" in facts else (),
                values=dict(zip(raw["surface_columns"], facts["values"], strict=True)),
            )
            for title, facts in raw["surface"].items()
        ),
        people_prevalence=raw["prevalence"]["people"],
        model_prevalence={k: tuple(v) for k, v in raw["prevalence"]["models"].items()},
        agreement={k: tuple(v) for k, v in raw["agreement"].items()},
    )


def check_cells(published: Published, observed: Mapping[str, Mapping[str, float]]) -> list[Cell]:
    """Every published cell of the systems found; `observed` is folder -> metric -> value."""
    return [
        Cell(system=folder, metric=metric, published=value, observed=observed[folder][metric])
        for folder, row in published.systems.items()
        if folder in observed
        for metric, value in row.items()
    ]


def check_claims(
    published: Published, observed: Mapping[str, Mapping[str, float]]
) -> list[ClaimCheck]:
    """Every claim, from observed values only."""
    return [_check(claim, observed, published.claim_tolerance) for claim in published.claims]


def _check(
    claim: Claim, observed: Mapping[str, Mapping[str, float]], tolerance: float
) -> ClaimCheck:
    parts, cells, missing = {}, [], []
    for pair in claim.pairs:
        absent = [name for name in pair if name not in observed]
        missing += absent
        if absent:
            continue
        after, before = (observed[name][claim.metric] for name in pair)
        parts[parse_name(pair[0]).size] = 100.0 * (after / before - 1.0)
        cells.append(100.0 * (_two_decimals(after) / _two_decimals(before) - 1.0))
    complete = not missing
    from_cells = sum(cells) / len(cells) if complete else None
    return ClaimCheck(
        claim=claim,
        observed=sum(parts.values()) / len(parts) if complete else None,
        from_cells=from_cells,
        parts=parts,
        missing=tuple(missing),
        reproduces=None if from_cells is None else abs(from_cells - claim.percent) <= tolerance,
    )


def _two_decimals(value: float) -> float:
    return math.floor(value * 100 + 0.5) / 100
