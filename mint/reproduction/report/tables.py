"""Which tables there are and what fills them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mint.evaluation.statistics.bootstrap import Interval
from mint.evaluation.statistics.coverage import RELEASED
from mint.pages.html import number, spaced
from mint.reproduction.measure import Measured
from mint.reproduction.published import ClaimCheck
from mint.reproduction.report.table import Checked, Column, Table, Value, columns_of, make
from mint.reproduction.results import Results
from mint.reproduction.sums import PREVALENCE, REPETITION
from mint.reproduction.surface import SurfaceCheck
from rewards.tactics import TACTIC_NAMES

_PRINTED = 0.0006
"""Half a unit of the third decimal, in which the wording table is printed, and a little more."""

Pick = Callable[[Measured], Value]
"""What a column shows of a system."""


def main_table(results: Results) -> Table:
    """The published table with lift beside it; missing systems are named in its note."""
    published = results.published

    def check(name: str) -> Pick:
        def pick(one: Measured) -> Value:
            if one.name.folder not in published.systems:
                return one.values[name]
            stated = published.systems[one.name.folder][name]
            return _checked(one.values[name], stated, published.tolerance)

        return pick

    return _systems(
        results,
        "main",
        {name: check(name) for name in published.columns},
        num_reproduced=results.num_reproduced,
        num_cells=len(results.cells),
        tolerance=published.tolerance,
        missing=", ".join(results.absent) or "nothing",
    )


def repetition_table(results: Results) -> Table:
    """Stickiness with what it hides."""
    null: Mapping[str, Pick] = {
        "null_mean": lambda one: one.nulls["stickiness"].mean,
        "null_z": lambda one: one.nulls["stickiness"].z,
        "null_p": lambda one: one.nulls["stickiness"].p_value,
    }
    return _systems(results, "repetition", null, covers=RELEASED)


def claims_table(results: Results) -> Table:
    """Published relative changes, from observed values."""
    return make("claims", (_claim(check) for check in results.claims))


def diversity_table(results: Results) -> Table:
    """Variety of tactic sets on the system's own turns."""
    always = {"always_on": lambda one: " ".join(one.always_on) or "none"}
    return _systems(results, "diversity", always)


def prevalence_table(results: Results) -> Table:
    """Share of turns with each tactic."""
    tactics = [Column(f"{PREVALENCE}{name}", spaced(name), 2) for name in TACTIC_NAMES]
    return _systems(results, "prevalence", columns=[*columns_of("prevalence"), *tactics])


def hack_table(results: Results) -> Table:
    """Habits that please a judge without answering a person."""
    words: Mapping[str, Pick] = {
        "opening_words": lambda one: one.opening,
        "phrase_words": lambda one: one.phrase,
    }
    length = f"{results.settings.equal_length:,}"
    return _systems(results, "hack_profile", words, equal_length=length)


def surface_table(results: Results) -> Table:
    """Repetition of wording and of tactics, published and observed."""
    model = Path(results.settings.bertscore_model).name
    said = f"here {model}" if model else "none is given: bertscore_model=DIR"
    return make("surface", (_surface(check) for check in results.surface), model=said)


def agreement_table(results: Results) -> Table:
    """Judge against experts."""
    rows = []
    for one in results.agreement:
        spearman, kappa = results.published.agreement[one.dimension]
        rows.append(
            (
                spaced(one.dimension),
                one.spearman,
                _interval(one.spearman_interval),
                spearman,
                one.kappa,
                _interval(one.kappa_interval),
                kappa,
                one.between_experts,
            )
        )
    return make("agreement", rows)


def comparison_tables(results: Results) -> Iterator[Table]:
    """One table a metric with every pair of systems."""
    for metric, pairs in results.comparisons.items():
        rows = [
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
        ]
        paired = "jackknife" if metric in REPETITION else "bootstrap"
        yield make(
            "comparisons",
            rows,
            file=f"comparisons_{metric}",
            metric=spaced(metric),
            how=f"Paired {paired} of conversations",
            covers=RELEASED,
        )


ALL = (
    main_table,
    repetition_table,
    claims_table,
    diversity_table,
    prevalence_table,
    hack_table,
    surface_table,
    agreement_table,
)
"""What makes every table but the comparisons, the most important first."""


def _systems(
    results: Results,
    name: str,
    picks: Mapping[str, Pick] | None = None,
    columns: Sequence[Column] | None = None,
    **said: Any,
) -> Table:
    """A row a system; a column without its own pick is a metric, or an end of its interval."""
    own = picks or {}
    shown = columns_of(name) if columns is None else columns
    rows = [
        (
            results.label(folder),
            *(own[c.key](one) if c.key in own else _metric(one, c.key) for c in shown[1:]),
        )
        for folder, one in results.systems.items()
    ]
    return make(name, rows, shown, **said)


def _metric(one: Measured, key: str) -> Value:
    if key in one.values:
        return one.values[key]
    metric, _, end = key.rpartition("_")
    return one.intervals[metric].low if end == "low" else one.intervals[metric].high


def _claim(check: ClaimCheck) -> tuple[Value, ...]:
    status = {None: "missing system", True: "reproduces", False: "differs"}[check.reproduces]
    parts = (f"{size}: {number(value, 1, signed=True)}%" for size, value in check.parts.items())
    shown = ", ".join(parts) or "–"
    claim = check.claim
    return claim.title, claim.percent, check.from_cells, check.observed, shown, status


def _surface(check: SurfaceCheck) -> tuple[Value, ...]:
    stated, seen = check.row.values, check.observed
    cells = (
        _checked(seen[name], stated[name], _PRINTED) if name in seen else None
        for name in ("bigram_overlap", "bleu_2", "stickiness", "pairs", "bertscore")
    )
    return check.row.title, *cells, stated["bertscore"], check.missing or "–"


def _checked(observed: float, published: float, tolerance: float) -> Checked:
    return Checked(observed, published, abs(observed - published) <= tolerance)


def _interval(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return "–"
    return f"[{interval.low:.2f}, {interval.high:.2f}]"
