"""The report: one page without scripts or outside resources."""

from __future__ import annotations

from mint.evaluation.statistics.coverage import RELEASED, covers
from mint.pages import page
from mint.pages.html import code, grid, listed, missing, more, number, section, table, text
from mint.pages.marks import legend
from mint.reproduction.read import parse_name
from mint.reproduction.report import dot_figures, figures, tables
from mint.reproduction.report.findings import findings
from mint.reproduction.report.table import Checked, Table, Value
from mint.reproduction.results import Results
from mint.reproduction.sums import HEADLINE


def render(results: Results) -> str:
    """The whole page."""
    head = page.Head(
        title="MINT, rebuilt",
        kicker="mint reproduction",
        heading="The published tables, rebuilt and questioned",
        about=(
            f"{len(results.systems)} systems found, {len(results.absent)} missing",
            f"{results.num_conversations} conversations, {results.num_turns} replies a system",
            f"judge {results.judge}",
        ),
        skip_to="findings",
    )
    links = {anchor: title for anchor, (title, _) in _SECTIONS.items()}
    body = "".join(make(results) for _, make in _SECTIONS.values())
    source = f" from released files. Published values: {results.published.source}"
    return page.render(head, links, body, source)


def _summary(results: Results) -> str:
    numbers = listed((text(results.label(f)) for f in results.systems), "numbers")
    body = (
        f"{listed(findings(results), 'summary')}"
        f"{_small(covers(results.settings.confidence, RELEASED))}"
        "<h3>Numbers of the systems in every figure</h3>"
        f"{numbers}"
    )
    return section("summary", "What the released files say", body)


def _main(results: Results) -> str:
    shown = tables.main_table(results)
    rows = _rows(shown)
    for folder in results.absent:
        stated = results.published.systems[folder].values()
        label = text(results.published.label(parse_name(folder)))
        cells = (label, *(f"{value:.2f}" for value in stated), "files missing")
        rows.append([f'<span class="absent">{cell}</span>' for cell in cells])
    lead = (
        f"A tick marks a cell within {results.published.tolerance} of the published value; any "
        "other is shown with it. V validating emotions, E encouraging elaboration, U demonstrating "
        "understanding, A advice giving, S self-oriented, D dismissing emotions: 1 to 5. Rows in "
        "italics are published only, because their files are not in the folder."
    )
    return section("main", "Main table", _html(shown, rows), lead)


def _claims(results: Results) -> str:
    shown = tables.claims_table(results)
    return section("claims", "Derived claims", _table(shown), shown.note)


def _lift(results: Results) -> str:
    body = grid([figures.pareto(results), dot_figures.dots(results, "lift")])
    body += more("Numbers: repetition with intervals", _table(tables.repetition_table(results)))
    lead = (
        "Lift is stickiness with chance taken out. It is the headline here because it does not "
        "grow with the number of tactics a turn."
    )
    return section("lift", "Empathy and repetition", body, lead)


def _chance(results: Results) -> str:
    drawn = (
        figures.confound(results),
        dot_figures.dots(results, "stickiness"),
        dot_figures.dots(results, "self_stickiness"),
        dot_figures.previous_turns(results),
    )
    return section("chance", "What chance alone would give", grid(drawn))


def _variety(results: Results) -> str:
    drawn = (
        figures.prevalence(results),
        dot_figures.dots(results, "variety"),
        dot_figures.dots(results, "likeness"),
        dot_figures.dots(results, "effective"),
    )
    body = (
        grid(drawn)
        + more("Numbers: variety", _table(tables.diversity_table(results)))
        + more("Numbers: prevalence", _table(tables.prevalence_table(results)))
        + _published_prevalence(results)
    )
    return section("variety", "Variety on a system's own turns", body)


def _published_prevalence(results: Results) -> str:
    people = results.systems[results.settings.reference]
    said = "; ".join(
        f"{name} {100 * people.values[f'prevalence/{name}']:.0f}% (published {value:g}%)"
        for name, value in results.published.people_prevalence.items()
    )
    ranges = ", ".join(
        f"{name} {low:g}–{high:g}%"
        for name, (low, high) in results.published.model_prevalence.items()
    )
    return _small(
        f"People: {said}. Published for the models behind the training conversations, not "
        f"recomputed because their tags are not among the files: {ranges}."
    )


def _hacks(results: Results) -> str:
    body = grid([figures.hack_profile(results), dot_figures.dots(results, "wording_variety")])
    body += more("Numbers: habits and wording", _table(tables.hack_table(results)))
    return section("hacks", "Reward-hack profile", body)


def _wording(results: Results) -> str:
    shown = tables.surface_table(results)
    body = (
        grid([dot_figures.dots(results, "bleu"), dot_figures.dots(results, "bigrams")])
        + f"<h3>The published table, rebuilt</h3>{_table(shown)}{_small(shown.note)}"
    )
    lead = (
        "The published table finds that likeness of wording hardly tells people and models apart. "
        "It compares replies with what the person said before."
    )
    return section("wording", "Repetition of wording", body, lead)


def _judge(results: Results) -> str:
    title = "Judge against experts"
    if not results.agreement:
        note = missing("There are no expert ratings in the folder, so agreement is not known.")
        return section("judge", title, note)
    shown = tables.agreement_table(results)
    drawn = (
        dot_figures.agreement(results, "spearman", "Spearman correlation", 0),
        dot_figures.agreement(results, "kappa", "Weighted kappa", 1),
    )
    return section("judge", title, grid(drawn) + more("Numbers", _table(shown)), text(shown.note))


def _pairs(results: Results) -> str:
    if len(results.systems) < 2:
        return section("pairs", "Every pair", missing("There is only one system."))
    body = legend(figures.PAIR_KEYS) + grid(figures.pairs(results, name) for name in HEADLINE)
    body += "".join(
        more(f"Numbers: {shown.title.lower()}", _table(shown))
        for shown in tables.comparison_tables(results)
    )
    lead = (
        f"Paired by conversation: {results.settings.comparison_resamples:,} resamples of "
        "conversations for means, jackknife with a t quantile for repetition; corrected over all "
        f"pairs of a metric. {covers(results.settings.confidence, RELEASED)}"
    )
    return section("pairs", "Every pair of systems", body, lead)


def _method(results: Results) -> str:
    settings = results.settings
    unrated = sum(one.num_unrated for one in results.systems.values())
    points = [
        "Replies are paired by conversation and turn, never by the order of a file. All systems "
        "must have the same turns and the same judge.",
        f"{covers(settings.confidence, RELEASED)} Means: percentile bootstrap of "
        f"{settings.resamples:,} resamples of whole conversations. Stickiness and lift: jackknife "
        "over conversations with a t quantile, because percentile intervals cover too little where "
        "tactics are rare. Counts of different things (sets, word pairs, openings): jackknife too, "
        "because a resample that draws a conversation twice would invent repetition.",
        f"The null has whole conversations trade their turns, each at its own place, "
        f"{settings.shuffles:,} times.",
        "A rating the judge left out is skipped in its mean, as in the published evaluation; left "
        f"out in all systems: {unrated}.",
        "All contexts are histories of people, so nothing here says how a model talks over a "
        "whole conversation of its own.",
    ]
    if results.without_replies:
        names = text(", ".join(results.without_replies))
        points.append(f"Left out, because they hold no tagged replies: {names}.")
    tail = f"<p>Every number with full precision: {code('metrics.json')} and {code('csv/')}.</p>"
    return section("method", "Method", listed(points) + tail)


_SECTIONS = {
    "summary": ("Findings", _summary),
    "main": ("Main table", _main),
    "claims": ("Claims", _claims),
    "lift": ("Lift", _lift),
    "chance": ("Chance", _chance),
    "variety": ("Variety", _variety),
    "hacks": ("Hack profile", _hacks),
    "wording": ("Wording", _wording),
    "judge": ("Judge", _judge),
    "pairs": ("Every pair", _pairs),
    "method": ("Method", _method),
}
"""Anchor -> title of the link and what makes the section, in the order of the page."""


def _small(note: str) -> str:
    return f'<p class="muted small">{text(note)}</p>'


def _table(shown: Table) -> str:
    return _html(shown, _rows(shown))


def _html(shown: Table, rows: list[list[str]]) -> str:
    return table([text(column.title) for column in shown.columns], rows, shown.title, kind="wide")


def _rows(shown: Table) -> list[list[str]]:
    return [
        [_cell(v, column.digits or 0) for v, column in zip(row, shown.columns, strict=True)]
        for row in shown.rows
    ]


def _cell(value: Value, digits: int) -> str:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Checked):
        shown, stated = number(value.observed, digits), number(value.published, digits)
        if value.reproduces:
            return f'<span class="ok" title="published {stated}">{shown}</span>'
        return f'<span class="off">{shown}</span><span class="sub">published {stated}</span>'
    if value is None or value != value:
        return "–"
    return number(value, digits)
