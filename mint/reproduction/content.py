"""Which tables there are; the main table, repetition, claims and comparisons."""

from __future__ import annotations

from collections.abc import Iterator

from mint.pages.html import number
from mint.reproduction import profiles
from mint.reproduction.measure import Measured
from mint.reproduction.results import Results
from mint.reproduction.table import Checked, Column, Table, Value, interval_columns

SHORT = {
    "validating_emotions": "V ↑",
    "encouraging_elaboration": "E ↑",
    "demonstrating_understanding": "U ↑",
    "advice_giving": "A ↓",
    "self_oriented": "S ↓",
    "dismissing_emotions": "D ↓",
    "aggregated_empathy": "Agg. ↑",
    "tac_per_turn": "Tactics",
    "stickiness": "Stick. ↓",
}


def all_tables(results: Results) -> list[Table]:
    """Every table but the comparisons, the most important first."""
    return [
        main_table(results),
        repetition_table(results),
        claims_table(results),
        profiles.diversity_table(results),
        profiles.prevalence_table(results),
        profiles.hack_table(results),
        profiles.surface_table(results),
        profiles.agreement_table(results),
    ]


def main_table(results: Results) -> Table:
    """The published table with lift beside it; missing systems with their published values."""
    tolerance = results.published.tolerance
    columns, stated = results.published.columns, results.published.systems
    rows = []
    for folder, one in results.systems.items():
        cells: list[Value] = [one.values[name] for name in columns]
        if folder in stated:
            cells = [_check(one.values[name], stated[folder][name], tolerance) for name in columns]
        rows.append((results.label(folder), *cells, one.values["lift"]))
    return Table(
        name="main",
        title="Main table",
        columns=(
            Column("system", "System"),
            *(Column(name, SHORT[name], 2) for name in columns),
            Column("lift", "Lift", 3),
        ),
        rows=tuple(rows),
        note=(
            f"{results.num_reproduced} of {len(results.cells)} published cells are within "
            f"{tolerance}. Missing: {', '.join(results.absent) or 'nothing'}."
        ),
    )


def repetition_table(results: Results) -> Table:
    """Stickiness with what it hides."""
    measures = (
        ("lift", "Lift", 3),
        ("stickiness", "Stickiness", 3),
        ("stickiness_otherwise", "Otherwise", 3),
        ("self_stickiness", "Self-stickiness", 3),
        ("self_lift", "Self-lift", 3),
    )
    columns = [Column("system", "System")]
    for key, title, digits in measures:
        columns += [Column(key, title, digits), *interval_columns(key)]
    columns += [Column("null_mean", "Null", 3), Column("null_z", "z", 1), Column("null_p", "p", 4)]
    rows = []
    for folder, one in results.systems.items():
        row: list[Value] = [results.label(folder)]
        for key, _, _ in measures:
            row += [one.values[key], *_ends(one, key)]
        null = one.nulls["stickiness"]
        rows.append((*row, null.mean, null.z, null.p_value))
    return Table(
        name="repetition",
        title="Repetition against chance",
        columns=tuple(columns),
        rows=tuple(rows),
        note=(
            "Lift is stickiness minus the chance of the tactic when the person did not use it in "
            "the turn before (otherwise). Null: mean stickiness when replies are shuffled between "
            "conversations."
        ),
    )


def claims_table(results: Results) -> Table:
    """Published relative changes, from observed values."""
    rows = []
    for check in results.claims:
        status = "missing system"
        if check.reproduces is not None:
            status = "reproduces" if check.reproduces else "differs"
        parts = ", ".join(
            f"{size}: {number(value, 1, signed=True)}%" for size, value in check.parts.items()
        )
        rows.append(
            (
                check.claim.title,
                check.claim.percent,
                check.from_cells,
                check.observed,
                parts or "–",
                status,
            )
        )
    return Table(
        name="claims",
        title="Claims",
        columns=(
            Column("claim", "Relative change"),
            Column("published", "Published, %", 1),
            Column("from_rounded_cells", "From rounded cells, %", 1),
            Column("observed", "Unrounded, %", 1),
            Column("parts", "By size, unrounded"),
            Column("status", "Status"),
        ),
        rows=tuple(rows),
        note="The paper computes changes from cells with two decimals; both ways are shown.",
    )


def comparison_tables(results: Results) -> Iterator[Table]:
    """One table a metric with every pair of systems."""
    for metric, pairs in results.comparisons.items():
        yield Table(
            name=f"comparisons_{metric}",
            title=f"Every pair: {metric.replace('_', ' ')}",
            columns=(
                Column("first", "First"),
                Column("second", "Second"),
                Column("difference", "Second − first", 3),
                *interval_columns("difference"),
                Column("p_value", "p", 5),
                Column("holm", "p, Holm", 5),
                Column("benjamini_hochberg", "p, Benjamini-Hochberg", 5),
            ),
            rows=tuple(
                (
                    results.label(pair.first),
                    results.label(pair.second),
                    pair.difference,
                    *pair.interval,
                    pair.p_value,
                    pair.holm,
                    pair.benjamini_hochberg,
                )
                for pair in pairs
            ),
            note="Paired bootstrap of conversations; corrected over all pairs of this table.",
        )


def _ends(one: Measured, key: str) -> tuple[float | None, float | None]:
    return one.intervals[key].low, one.intervals[key].high


def _check(observed: float, published: float, tolerance: float) -> Checked:
    return Checked(observed, published, abs(observed - published) <= tolerance)
