"""The report: one page without scripts or outside resources."""

from __future__ import annotations

from mint.evaluation.statistics.coverage import RELEASED_DIALOGUES, covers
from mint.evaluation.statistics.estimates import Estimate
from mint.pages import page
from mint.pages.grids import heat_map, pair_matrix
from mint.pages.html import (
    code,
    figure,
    grid,
    interval,
    listed,
    missing,
    more,
    number,
    section,
    spaced,
    table,
    text,
)
from mint.pages.lines import Series, line_chart
from mint.pages.marks import legend
from mint.pages.rows import Dot, Row, dot_rows
from mint.pages.svg import Axis
from mint.reproduction.report.figures import PAIR_KEYS, SIGNIFICANT
from mint.reproduction.sage.compare import SagePair
from mint.reproduction.sage.measure import VALUES, SageModel
from mint.reproduction.sage.results import SageResults

_STYLES = 5
"""Lines that a chart can tell apart."""
_DIGITS = {"score": 1, "success": 0, "failure": 0}


def render(results: SageResults) -> str:
    """The whole page."""
    dialogues = sum(len(one.dialogues) for one in results.models.values())
    head = page.Head(
        title="SAGE, rebuilt",
        kicker="mint reproduction",
        heading="The leaderboard of simulated seekers, rebuilt and questioned",
        about=(
            f"{len(results.models)} files, {dialogues} dialogues",
            f"simulator {', '.join(results.simulators)}",
        ),
        skip_to="leaderboard",
    )
    links = {anchor: title for anchor, (title, _) in _SECTIONS.items()}
    body = "".join(make(results) for _, make in _SECTIONS.values())
    source = f" from released dialogues. Published values: {results.leaderboard.source}"
    return page.render(head, links, body, source)


def name_of(results: SageResults, one: SageModel) -> str:
    """The model, with the simulator where there are several."""
    return one.model if len(results.simulators) == 1 else f"{one.model} ({one.simulator})"


def _board(results: SageResults) -> str:
    rows = [[text(name_of(results, one)), *_cells(results, one)] for one in results.models.values()]
    head = ["model", "dialogues", "score", "success, %", "failure, %", "median turns to success"]
    lead = (
        "Score: mean final emotion, 0 to 100. Success: ended at 100 or above. Failure: ended below "
        "10. A tick marks a value that rounds to the published one; any other is shown with it. "
        + covers(results.settings.confidence, RELEASED_DIALOGUES)
    )
    shown = table(head, rows, "Leaderboard", kind="wide")
    drawn = grid(_dots(results, name) for name in VALUES)
    return section("leaderboard", "Leaderboard", shown + drawn, text(lead))


def _cells(results: SageResults, one: SageModel) -> list[str]:
    published = results.leaderboard.row(one)
    cells = [str(len(one.dialogues))]
    for name in VALUES:
        found = one.estimates[name]
        assert found.mean is not None  # a file has at least one dialogue
        shown = number(found.mean, max(_DIGITS[name], 2 if name == "score" else 0))
        own = f'<span class="sub">{interval(found.ci_low, found.ci_high, 1)}</span>'
        if name in published:
            stated = number(published[name], _DIGITS[name])
            if results.leaderboard.reproduces(name, found.mean, published[name]):
                shown = f'<span class="ok" title="published {stated}">{shown}</span>'
            else:
                own += f'<span class="sub">published {stated}</span>'
                shown = f'<span class="off">{shown}</span>'
        cells.append(shown + own)
    return [*cells, number(one.median_turns, 1)]


def _dots(results: SageResults, name: str) -> str:
    rows = [
        Row(
            name=name_of(results, one),
            dots=(_dot(name_of(results, one), one.estimates[name]),),
            note=number(one.estimates[name].mean, _DIGITS[name]),
        )
        for one in results.models.values()
    ]
    unit = "final emotion, 0 to 100" if name == "score" else "percent of dialogues"
    chart = dot_rows(rows, Axis(title=unit, low=0.0), f"{name} of every model.")
    return figure(name.capitalize(), chart, "With the interval over profiles.")


def _dot(name: str, found: Estimate) -> Dot:
    assert found.mean is not None
    said = f"{name}: {number(found.mean, 1)} {interval(found.ci_low, found.ci_high, 1)}"
    ends = (found.ci_low, found.ci_high)
    return Dot(value=found.mean, kind="trained", title=said, interval=ends)


def _curves(results: SageResults) -> str:
    drawn = []
    models = list(results.models.values())
    for start in range(0, len(models), _STYLES):
        group = models[start : start + _STYLES]
        longest = max((len(one.curve.means) for one in group), default=0)
        if longest < 2:
            continue
        series = [
            Series(
                name=name_of(results, one),
                values=(*one.curve.means, *[None] * (longest - len(one.curve.means))),
                style=f"c{place}",
            )
            for place, one in enumerate(group)
        ]
        axis = Axis(title="mean emotion", low=0.0, high=100.0, digits=0)
        chart = line_chart(
            range(longest), series, axis, "Mean emotion by turn.", along="seeker's turn"
        )
        # A single line has no legend.
        title = "Emotion by turn" if len(group) > 1 else f"Emotion by turn: {series[0].name}"
        drawn.append(figure(title, chart, "Turn 0 is the opening line."))
    lead = (
        "A dialogue that has ended keeps its last emotion, so that a curve does not rise because "
        "the unhappy have left."
    )
    body = grid(drawn) if drawn else missing("The files record no emotion by turn.")
    return section("curves", "Emotion over the dialogue", body + _turns(results), lead)


def _turns(results: SageResults) -> str:
    rows = []
    for one in results.models.values():
        turns = one.turns_to_success
        ends = f"{turns[0]} to {turns[-1]}" if turns else "–"
        rows.append(
            [text(name_of(results, one)), str(len(turns)), number(one.median_turns, 1), ends]
        )
    head = ["model", "dialogues that reach 100", "median replies", "range"]
    return more("Numbers: replies until success", table(head, rows, "Replies until success"))


def _groups(results: SageResults) -> str:
    drawn = [
        _heat(results, "intention", "Score by hidden intention"),
        _heat(results, "character", "Score by character"),
    ]
    lead = "Mean final emotion of the dialogues of each kind."
    return section("groups", "Which seekers", grid(drawn), lead)


def _heat(results: SageResults, kind: str, title: str) -> str:
    groups = {
        key: one.intentions if kind == "intention" else one.characters
        for key, one in results.models.items()
    }
    columns = sorted({name for own in groups.values() for name in own})
    means = [
        [own[name]["score"].mean or 0.0 if name in own else None for name in columns]
        for own in groups.values()
    ]
    chart = heat_map(
        [name_of(results, one) for one in results.models.values()],
        [spaced(name) for name in columns],
        [[(value or 0.0) / 100.0 for value in row] for row in means],
        [["–" if value is None else number(value, 0) for value in row] for row in means],
        f"{title}.",
    )
    return figure(title, chart, "The darker, the higher.")


def _pairs(results: SageResults) -> str:
    if not results.pairs:
        note = missing("No two files of one simulator share two profiles.")
        return section("pairs", "Every pair", note)
    drawn = [_matrix(results, simulator) for simulator in results.simulators]
    rows = [_pair_row(results, pair) for pair in results.pairs]
    head = ["pair", "profiles", "difference", "interval", "p", "Holm", "success gained, lost", "p"]
    lead = (
        "Final emotion on the profiles that both models have met; paired bootstrap over profiles, "
        "corrected over all pairs of a simulator. Success: exact McNemar test."
    )
    shown = more("Numbers: every pair", table(head, rows, "Every pair", kind="wide"))
    return section(
        "pairs", "Every pair", legend(PAIR_KEYS[:2] + PAIR_KEYS[-1:]) + grid(drawn) + shown, lead
    )


def _matrix(results: SageResults, simulator: str) -> str:
    keys = [key for key, one in results.models.items() if one.simulator == simulator]
    states = {key: dict.fromkeys(keys, "even") for key in keys}
    for key in keys:
        states[key][key] = "self"
    for pair in results.pairs:
        if pair.first in states and pair.holm < SIGNIFICANT:
            rises = pair.difference > 0
            states[pair.second][pair.first] = "up" if rises else "down"
            states[pair.first][pair.second] = "down" if rises else "up"
    names = [f"{i}. {results.models[key].model}" for i, key in enumerate(keys, start=1)]
    tags = [str(i) for i in range(1, len(keys) + 1)]
    cells = [list(states[key].values()) for key in keys]
    chart = pair_matrix(names, tags, cells, f"Final emotion of every pair, {simulator}.")
    return figure(f"Final emotion, {simulator}", chart, "A row against each column.")


def _pair_row(results: SageResults, pair: SagePair) -> list[str]:
    first, second = (name_of(results, results.models[key]) for key in (pair.first, pair.second))
    return [
        text(f"{second} − {first}"),
        str(pair.profiles),
        number(pair.difference, 2, signed=True),
        interval(*pair.interval, 1),
        number(pair.p_value, 4),
        number(pair.holm, 4),
        f"{pair.gained}, {pair.lost}",
        number(pair.success_p_value, 4),
    ]


def _simulators(results: SageResults) -> str:
    title = "Agreement between simulators"
    if not results.agreement:
        note = missing(
            "No model is judged by two simulators. Files of another simulator belong in a folder "
            "of their own."
        )
        return section("simulators", title, note)
    rows = [
        [
            text(f"{one.model}: {one.second} − {one.first}"),
            str(one.profiles),
            number(one.difference, 1, signed=True),
            interval(*one.interval, 1),
            *("–" if value != value else number(value, 2) for value in (one.spearman, one.kappa)),
        ]
        for one in results.agreement
    ]
    head = ["model", "profiles", "difference", "interval", "Spearman", "kappa of outcome"]
    lead = "Final emotions of one model's dialogues on the same profiles, under two simulators."
    return section("simulators", title, table(head, rows, title, kind="wide"), lead)


def _method(results: SageResults) -> str:
    points = [
        "The published numbers are the mean of emo_point, the share at 100 or above and the share "
        "below 10, over all dialogues of a file.",
        f"Intervals: {results.settings.resamples:,} resamples of profiles; Wilson's where a share "
        "is 0 or 1.",
        "The simulated seeker's last analysis decides: the model's last reply of a dialogue that "
        "runs out of turns is never judged.",
    ]
    tail = f"<p>Every number with full precision: {code('sage.json')}.</p>"
    if results.notes:
        tail += more(
            f"{len(results.notes)} lines left out or read with reserve",
            listed(text(note) for note in results.notes),
        )
    return section("method", "Method", listed(points) + tail)


_SECTIONS = {
    "leaderboard": ("Leaderboard", _board),
    "curves": ("Curves", _curves),
    "groups": ("Seekers", _groups),
    "pairs": ("Every pair", _pairs),
    "simulators": ("Simulators", _simulators),
    "method": ("Method", _method),
}
"""Anchor -> title of the link and what makes the section, in the order of the page."""
