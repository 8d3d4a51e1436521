"""Figures of what a system's own turns look like, of wording, and of the judge."""

from __future__ import annotations

from mint.evaluation.statistics.bootstrap import Interval
from mint.pages.html import figure, number
from mint.reproduction import grids, plots
from mint.reproduction.marks import legend
from mint.reproduction.plots import Axis, Dot, Row
from mint.reproduction.results import Results
from mint.reproduction.series import dot, kinds, named, numbered, signed
from mint.reproduction.sums import PREVALENCE
from rewards.tactics import TACTIC_NAMES

_HACKS = (
    ("top_opening", "same opening, %"),
    ("top_phrase", "same phrase, %"),
    ("ends_with_question", "ends with ?, %"),
    ("emoji", "emoji, %"),
    ("markdown", "markdown, %"),
    ("lived_experience", "lived experience, %"),
    ("questions", "questions a reply"),
    ("num_words", "words a reply"),
)
_COUNTED = {"questions": 1, "num_words": 0}


def prevalence(results: Results) -> str:
    """Heat map of the share of turns with each tactic."""
    shares = [
        [one.values[f"{PREVALENCE}{tactic}"] for tactic in TACTIC_NAMES]
        for one in results.systems.values()
    ]
    chart = grids.heat_map(
        numbered(results),
        [name.replace("_", " ") for name in TACTIC_NAMES],
        shares,
        [[f"{100 * share:.0f}" for share in row] for row in shares],
        "Percent of turns with each tactic.",
    )
    return figure(
        "Which tactics are used",
        chart,
        "Percent of turns that contain the tactic. A column near 100 is used whatever the person "
        "says; a row with few dark cells and many empty ones is a fixed bundle.",
    )


def variety(results: Results) -> str:
    """Entropy of the tactic sets."""
    rows = [
        Row(
            name=name,
            dots=(dot(results, one, "set_entropy", 2),),
            note=f"{one.values['distinct_sets']:.0f}",
        )
        for name, one in named(results)
    ]
    chart = plots.dot_rows(
        rows,
        Axis(title="entropy of the tactic sets, bits"),
        "Entropy of the distribution of tactic sets of each system.",
    )
    return figure(
        "How many different bundles of tactics",
        chart,
        f"A turn's tactics are one set; the number at the right is how many different sets "
        f"occur in {results.num_turns} turns. Further right is more varied. Intervals: jackknife "
        "over conversations.",
    )


def likeness(results: Results) -> str:
    """Likeness of adjacent own turns beside that of unrelated turns."""
    rows = [
        Row(
            name=name,
            dots=(
                dot(results, one, "cross_jaccard", 3, kind="published"),
                dot(results, one, "self_jaccard", 3),
            ),
            note=signed(one.values["self_jaccard"] - one.values["cross_jaccard"]),
        )
        for name, one in named(results)
    ]
    chart = plots.dot_rows(
        rows,
        Axis(title="Jaccard index of two turns' tactics, 0 to 1", low=0.0, high=1.0),
        "Likeness of adjacent turns and of unrelated turns.",
    )
    keys = legend([("published", "turns of different conversations"), *kinds(results)])
    return figure(
        "Does a system answer differently at all?",
        keys + chart,
        "Shared tactics of two turns: coloured marks for adjacent turns of the same conversation, "
        "crosses for turns that have nothing to do with each other. Where both lie far right and "
        "together, every reply is built alike, whoever it answers. At the right: the difference.",
    )


def hack_profile(results: Results) -> str:
    """Heat map of habits."""
    systems = list(results.systems.values())
    most = {key: max(one.values[key] for one in systems) or 1.0 for key in _COUNTED}
    shares = [
        [one.values[key] / (most[key] if key in most else 1.0) for key, _ in _HACKS]
        for one in systems
    ]
    shown = [
        [
            f"{one.values[key]:.{_COUNTED[key]}f}"
            if key in _COUNTED
            else f"{100 * one.values[key]:.0f}"
            for key, _ in _HACKS
        ]
        for one in systems
    ]
    chart = grids.heat_map(
        numbered(results),
        [title for _, title in _HACKS],
        shares,
        shown,
        "Reward-hack profile of each system.",
    )
    return figure(
        "Habits that please a judge",
        chart,
        "Percent of replies that begin with the system's commonest four words, hold its commonest "
        "five-word phrase, and so on; the last two columns are counts, shaded by their largest.",
    )


def wording_diversity(results: Results) -> str:
    """Distinct-2 raw and at equal length."""
    rows = [
        Row(
            name=name,
            dots=(
                dot(results, one, "distinct_2", 3, kind="published"),
                dot(results, one, "distinct_2_equal_length", 3),
            ),
            note=number(one.values["distinct_2_equal_length"], 2),
        )
        for name, one in named(results)
    ]
    chart = plots.dot_rows(
        rows,
        Axis(title="distinct word pairs / word pairs, 0 to 1", low=0.0, high=1.0),
        "Distinct-2 of each system, of all text and at equal length.",
    )
    keys = legend([("published", "all text"), *kinds(results, "equal length, ")])
    return figure(
        "Variety of wording",
        keys + chart,
        "Distinct-2 falls with the amount of text, which punishes long replies (crosses). The "
        f"coloured marks are what a random sample of {results.settings.equal_length:,} word pairs "
        "of the system would have.",
    )


def effective(results: Results) -> str:
    """Effective number of tactics."""
    rows = [
        Row(
            name=name,
            dots=(dot(results, one, "effective_tactics", 2),),
            note=f"{len(one.always_on)} on",
        )
        for name, one in named(results)
    ]
    chart = plots.dot_rows(
        rows,
        Axis(title="effective number of tactics, 1 to 10", high=10.0),
        "Effective number of tactics of each system.",
    )
    return figure(
        "How evenly tactics are used",
        chart,
        "As many equally used tactics would give the same entropy. At the right: tactics that are "
        "always on, in more than nine of ten turns. A system can use many tactics evenly and still "
        "say the same bundle every time.",
    )


def wording_repetition(results: Results, metric: str, title: str) -> str:
    """A likeness of wording with the person's previous turn and with the own one."""
    own = f"self_{metric}"
    rows = [
        Row(
            name=name,
            dots=(
                dot(results, one, metric, 3, kind="published"),
                dot(results, one, own, 3),
            ),
            note=number(one.values[own], 3),
        )
        for name, one in named(results)
    ]
    chart = plots.dot_rows(
        rows,
        Axis(title=f"{title} with the turn before, 0 to 1", low=0.0),
        f"{title} of each system with the person's and with its own previous turn.",
    )
    keys = legend([("published", "person's previous turn"), *kinds(results, "own turn, ")])
    return figure(
        f"{title}: against whom?",
        keys + chart,
        "Crosses, as published: likeness of a reply with what the person had said before. Coloured "
        "marks: likeness with the system's own previous reply, where its repetition shows.",
    )


def agreement(results: Results, metric: str, title: str, place: int) -> str:
    """Judge against experts; `place` is that of the metric among the published pair."""
    rows = []
    for one in results.agreement:
        value: float = getattr(one, metric)
        interval: Interval = getattr(one, f"{metric}_interval")
        name = one.dimension.replace("_", " ")
        stated = results.published.agreement[one.dimension][place]
        seen = Dot(value=value, kind="people", title=f"{name}: {value:.2f}", interval=interval)
        said = Dot(value=stated, kind="published", title=f"{name}, published: {stated:.2f}")
        rows.append(Row(name=name, dots=(seen, said), note=number(value, 2)))
    chart = plots.dot_rows(
        rows,
        Axis(title=f"{title}, −1 to 1", high=1.0, mark=0.0),
        f"{title} of judge and experts on each dimension.",
    )
    keys = legend([("people", "observed"), ("published", "published")])
    return figure(
        title,
        keys + chart,
        f"{results.judge}, mean over the turns of a conversation, against the median expert of "
        f"{results.num_conversations} conversations between people.",
    )
