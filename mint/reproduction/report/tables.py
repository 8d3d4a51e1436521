"""Which tables there are; the main table, repetition, claims and comparisons."""

from __future__ import annotations

from collections.abc import Iterator

from mint.pages.html import number, spaced
from mint.reproduction.measure import Measured
from mint.reproduction.published import ClaimCheck
from mint.reproduction.report import profiles
from mint.reproduction.report.table import (
    Checked,
    Column,
    Field,
    Table,
    Value,
    ends,
    interval_columns,
    metric,
    systems_table,
)
from mint.reproduction.results import Results

_SHORT = {
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
    """The published table with lift beside it; missing systems are named in its note."""
    tolerance = results.published.tolerance

    def field(name: str) -> Field:
        def check(one: Measured) -> Value:
            value, folder = one.values[name], one.name.folder
            if folder not in results.published.systems:
                return value
            stated = results.published.systems[folder][name]
            return Checked(value, stated, abs(value - stated) <= tolerance)

        return Column(name, _SHORT[name], 2), check

    return systems_table(
        results,
        "main",
        "Main table",
        [*map(field, results.published.columns), metric("lift", "Lift")],
        f"{results.num_reproduced} of {len(results.cells)} published cells are within "
        f"{tolerance}. Missing: {', '.join(results.absent) or 'nothing'}.",
    )


def repetition_table(results: Results) -> Table:
    """Stickiness with what it hides."""
    fields: list[Field] = []
    for key, title in (
        ("lift", "Lift"),
        ("stickiness", "Stickiness"),
        ("stickiness_otherwise", "Otherwise"),
        ("self_stickiness", "Self-stickiness"),
        ("self_lift", "Self-lift"),
    ):
        fields += [metric(key, title), *ends(key)]
    fields += [
        (Column("null_mean", "Null", 3), lambda one: one.nulls["stickiness"].mean),
        (Column("null_z", "z", 1), lambda one: one.nulls["stickiness"].z),
        (Column("null_p", "p", 4), lambda one: one.nulls["stickiness"].p_value),
    ]
    return systems_table(
        results,
        "repetition",
        "Repetition against chance",
        fields,
        "Lift is stickiness minus the chance of the tactic when the person did not use it in "
        "the turn before (otherwise). Null: mean stickiness when replies are shuffled between "
        "conversations.",
    )


def claims_table(results: Results) -> Table:
    """Published relative changes, from observed values."""
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
        rows=tuple(_claim(check) for check in results.claims),
        note="The paper computes changes from cells with two decimals; both ways are shown.",
    )


def _claim(check: ClaimCheck) -> tuple[Value, ...]:
    status = {None: "missing system", True: "reproduces", False: "differs"}[check.reproduces]
    parts = (f"{size}: {number(value, 1, signed=True)}%" for size, value in check.parts.items())
    claim = check.claim
    return (
        claim.title,
        claim.percent,
        check.from_cells,
        check.observed,
        ", ".join(parts) or "–",
        status,
    )


def comparison_tables(results: Results) -> Iterator[Table]:
    """One table a metric with every pair of systems."""
    for name, pairs in results.comparisons.items():
        yield Table(
            name=f"comparisons_{name}",
            title=f"Every pair: {spaced(name)}",
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
