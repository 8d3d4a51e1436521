"""The report: one page without scripts or outside resources."""

from __future__ import annotations

from importlib import resources

import mint
from mint.pages.html import code, missing, more, number, section, table, text
from mint.reproduction import content, figures, portraits, profiles
from mint.reproduction.findings import findings
from mint.reproduction.marks import legend
from mint.reproduction.read import parse_name
from mint.reproduction.results import Results
from mint.reproduction.sums import HEADLINE
from mint.reproduction.table import Checked, Table, Value
from mint.shell.files import utc_now

_LINKS = {
    "summary": "Findings",
    "main": "Main table",
    "claims": "Claims",
    "lift": "Lift",
    "chance": "Chance",
    "variety": "Variety",
    "hacks": "Hack profile",
    "wording": "Wording",
    "judge": "Judge",
    "pairs": "Every pair",
    "method": "Method",
}


def render(results: Results) -> str:
    """The whole page."""
    style = "".join(
        (resources.files(package) / name).read_text(encoding="utf-8")
        for package, name in (("mint.reporting", "style.css"), ("mint.reproduction", "page.css"))
    )
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in _LINKS.items())
    sections = (
        _summary,
        _main,
        _claims,
        _lift,
        _chance,
        _variety,
        _hacks,
        _wording,
        _judge,
        _pairs,
        _method,
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>MINT, rebuilt</title><style>{style}</style></head><body>"
        f'<a class="skip" href="#summary">Skip to the findings</a>{_header(results)}'
        f'<nav aria-label="Sections"><div>{links}</div></nav>'
        f"<main>{''.join(make(results) for make in sections)}</main>"
        f"<footer>Written by mint {text(mint.__version__)} on {utc_now()[:10]} from released "
        f"files. Published values: {text(results.published.source)}.</footer></body></html>\n"
    )


def _header(results: Results) -> str:
    parts = (
        f"{len(results.systems)} systems found, {len(results.absent)} missing",
        f"{results.num_conversations} conversations, {results.num_turns} replies a system",
        f"judge {results.judge}",
    )
    return (
        '<header><div><p class="kicker">mint reproduction</p>'
        "<h1>The published tables, rebuilt and questioned</h1>"
        f'<p class="muted">{" · ".join(text(part) for part in parts)}</p></div></header>'
    )


def _summary(results: Results) -> str:
    items = "".join(f"<li>{sentence}</li>" for sentence in findings(results))
    numbers = "".join(f"<li>{text(results.label(f))}</li>" for f in results.systems)
    return section(
        "summary",
        "What the released files say",
        f'<ul class="summary">{items}</ul><h3>Numbers of the systems in every figure</h3>'
        f'<ol class="numbers">{numbers}</ol>',
    )


def _main(results: Results) -> str:
    shown = content.main_table(results)
    rows = [[_cell(v, c.digits) for v, c in zip(r, shown.columns, strict=True)] for r in shown.rows]
    for folder in results.absent:
        stated = results.published.systems[folder]
        rows.append(
            [f'<span class="absent">{text(results.published.label(parse_name(folder)))}</span>']
            + [f'<span class="absent">{value:.2f}</span>' for value in stated.values()]
            + ['<span class="absent">files missing</span>']
        )
    heads = [text(column.title) for column in shown.columns]
    lead = (
        f"A tick marks a cell within {results.published.tolerance} of the published value; any "
        "other is shown with it. V validating emotions, E encouraging elaboration, U demonstrating "
        "understanding, A advice giving, S self-oriented, D dismissing emotions: 1 to 5. Rows in "
        "italics are published only, because their files are not in the folder."
    )
    return section("main", "Main table", table(heads, rows, "Main table", kind="wide"), lead)


def _claims(results: Results) -> str:
    shown = content.claims_table(results)
    return section("claims", "Derived claims", _table(shown), shown.note)


def _lift(results: Results) -> str:
    shown = content.repetition_table(results)
    body = f'<div class="grid">{figures.pareto(results)}{figures.lift_rows(results)}</div>' + more(
        "Numbers: repetition with intervals", _table(shown)
    )
    lead = (
        "Lift is stickiness with chance taken out. It is the headline here because it does not "
        "grow with the number of tactics a turn."
    )
    return section("lift", "Empathy and repetition", body, lead)


def _chance(results: Results) -> str:
    drawn = (
        figures.confound(results),
        figures.against_null(results, own=False),
        figures.against_null(results, own=True),
        figures.previous_turns(results),
    )
    body = f'<div class="grid">{"".join(drawn)}</div>'
    return section("chance", "What chance alone would give", body)


def _variety(results: Results) -> str:
    body = (
        f'<div class="grid">{portraits.prevalence(results)}{portraits.variety(results)}'
        f"{portraits.likeness(results)}{portraits.effective(results)}</div>"
        + more("Numbers: variety", _table(profiles.diversity_table(results)))
        + more("Numbers: prevalence", _table(profiles.prevalence_table(results)))
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
    return (
        f'<p class="muted small">People: {text(said)}. Published for the models behind the '
        f"training conversations, not recomputed because their tags are not among the files: "
        f"{text(ranges)}.</p>"
    )


def _hacks(results: Results) -> str:
    body = (
        f'<div class="grid">{portraits.hack_profile(results)}{portraits.wording_diversity(results)}'
        f"</div>" + more("Numbers: habits and wording", _table(profiles.hack_table(results)))
    )
    return section("hacks", "Reward-hack profile", body)


def _wording(results: Results) -> str:
    shown = profiles.surface_table(results)
    drawn = (
        portraits.wording_repetition(results, "bleu_2", "BLEU-2"),
        portraits.wording_repetition(results, "bigram_overlap", "Bigram overlap"),
    )
    body = (
        f'<div class="grid">{"".join(drawn)}</div><h3>The published table, rebuilt</h3>'
        f'{_table(shown)}<p class="muted small">{text(shown.note)}</p>'
    )
    lead = (
        "The published table finds that likeness of wording hardly tells people and models apart. "
        "It compares replies with what the person said before."
    )
    return section("wording", "Repetition of wording", body, lead)


def _judge(results: Results) -> str:
    if not results.agreement:
        note = missing("There are no expert ratings in the folder, so agreement is not known.")
        return section("judge", "Judge against experts", note)
    shown = profiles.agreement_table(results)
    body = (
        f'<div class="grid">{portraits.agreement(results, "spearman", "Spearman correlation", 0)}'
        f"{portraits.agreement(results, 'kappa', 'Weighted kappa', 1)}</div>"
    )
    return section(
        "judge", "Judge against experts", body + more("Numbers", _table(shown)), text(shown.note)
    )


def _pairs(results: Results) -> str:
    if len(results.systems) < 2:
        return section("pairs", "Every pair", missing("There is only one system."))
    grid = "".join(figures.pairs(results, metric) for metric in HEADLINE)
    tables = "".join(
        more(f"Numbers: {shown.title.lower()}", _table(shown))
        for shown in content.comparison_tables(results)
    )
    lead = (
        f"Paired by conversation, {results.settings.comparison_resamples:,} resamples, corrected "
        "over all pairs of a metric."
    )
    body = f'{legend(figures.PAIR_KEYS)}<div class="grid">{grid}</div>{tables}'
    return section("pairs", "Every pair of systems", body, lead)


def _method(results: Results) -> str:
    settings = results.settings
    points = (
        "Replies are paired by conversation and turn, never by the order of a file. All systems "
        "must have the same turns and the same judge.",
        f"Intervals cover {settings.confidence:.0%}. Means and repetition: percentile bootstrap of "
        f"{settings.resamples:,} resamples of whole conversations. Counts of different things "
        "(sets, word pairs, openings): jackknife over conversations, because a resample that draws "
        "a conversation twice would invent repetition.",
        f"The null deals replies to other conversations at the same place {settings.shuffles:,} "
        "times.",
        "A rating the judge left out is skipped in its mean, as in the published evaluation; left "
        "out in all systems: "
        + number(float(sum(one.num_unrated for one in results.systems.values())), 0)
        + ".",
        "All contexts are histories of people, so nothing here says how a model talks over a "
        "whole conversation of its own.",
    )
    items = "".join(f"<li>{point}</li>" for point in points)
    tail = f"<p>Every number with full precision: {code('metrics.json')} and {code('csv/')}.</p>"
    return section("method", "Method", f"<ul>{items}</ul>{tail}")


def _table(shown: Table) -> str:
    rows = [[_cell(v, c.digits) for v, c in zip(r, shown.columns, strict=True)] for r in shown.rows]
    return table([text(c.title) for c in shown.columns], rows, shown.title, kind="wide")


def _cell(value: Value, digits: int | None) -> str:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Checked):
        shown = number(value.observed, digits or 0)
        stated = number(value.published, digits or 0)
        if value.reproduces:
            return f'<span class="ok" title="published {stated}">{shown}</span>'
        return f'<span class="off">{shown}</span><span class="sub">published {stated}</span>'
    if value is None or value != value:
        return "–"
    return number(value, digits or 0)
