"""The report's figures: which values, which plot, and the sentence that says how to read it."""

from __future__ import annotations

from collections.abc import Sequence

from mint.reporting.html import figure, number
from mint.reproduction import grids, plots
from mint.reproduction.compare import Comparison
from mint.reproduction.marks import legend
from mint.reproduction.measure import Measured
from mint.reproduction.plots import Axis, Dot, Point, Row
from mint.reproduction.results import Results
from mint.reproduction.sums import PREVALENCE
from rewards.tactics import NUM_TACTICS, TACTIC_NAMES

_KINDS = (
    ("people", "people"),
    ("prompted", "prompted only"),
    ("trained", "trained"),
    ("other", "not in the paper"),
)
SIGNIFICANT = 0.05


def numbered(results: Results) -> list[str]:
    """The systems as "1 Human", ..., as rows are named."""
    return [f"{n} {results.label(folder)}" for n, folder in enumerate(results.systems, 1)]


def pareto(results: Results) -> str:
    """Empathy against lift: the headline."""
    points = _points(results, "lift", "aggregated_empathy")
    chart = plots.scatter(
        points,
        Axis(title="lift: repetition beyond chance", digits=3, mark=0.0, mark_label="chance"),
        Axis(title="aggregate empathy, 1 to 5"),
    )
    return figure(
        "Empathy against repetition beyond chance",
        _kinds_legend(results) + chart,
        "Up is more empathic to the judge. On the dotted line a reply does not depend on which "
        "tactics the person used in the turn before; to the right it repeats them, to the left it "
        f"avoids them. Lines are {_level(results)} intervals over conversations.",
    )


def lift_rows(results: Results) -> str:
    """Lift of every system, in numbers."""
    rows = [
        Row(name=name, dots=(_dot(results, one, "lift", 3),), note=_signed(one.values["lift"]))
        for name, one in _named(results)
    ]
    chart = plots.dot_rows(
        rows, Axis(title="lift, −1 to 1", mark=0.0), "Lift of each system, with its interval."
    )
    return figure(
        "Lift of every system",
        chart,
        "The chance of a tactic after a turn that used it, minus its chance after a turn that did "
        "not, averaged over the ten tactics. An interval across the dotted line is compatible "
        "with no dependence on the turn before.",
    )


def against_null(results: Results, own: bool) -> str:
    """Stickiness, or self-stickiness, against what shuffled replies give."""
    metric = "self_stickiness" if own else "stickiness"
    rows = []
    for name, one in _named(results):
        null = one.nulls[metric]
        rows.append(
            Row(
                name=name,
                dots=(_dot(results, one, metric, 3),),
                band=(null.low, null.high),
                note=f"z {number(null.z, 1)}",
            )
        )
    whose = "its own previous reply" if own else "the person's previous turn"
    chart = plots.dot_rows(
        rows,
        Axis(title=f"{metric.replace('_', '-')}, 0 to 1", low=0.0, high=1.0),
        f"{metric.replace('_', '-')} of each system.",
    )
    keys = legend([("band", "95 % of shuffles"), *_kinds(results)])
    return figure(
        "Repetition of its own turns, against chance"
        if own
        else "Official stickiness, against chance",
        keys + chart,
        f"How often a tactic of {whose} is used again. In the grey range, replies are dealt to "
        "other conversations at the same place: there the turn before cannot matter. A dot inside "
        "it says only how many tactics the system uses; z counts standard deviations from it.",
    )


def confound(results: Results) -> str:
    """Stickiness against tactics a turn."""
    points = _points(results, "tac_per_turn", "stickiness")
    x_axis = Axis(title="distinct tactics a turn, 0 to 10", low=0.0, high=float(NUM_TACTICS))
    y_axis = Axis(title="stickiness, 0 to 1", digits=3, low=0.0, high=1.0)
    frame = plots.Frame(points, x_axis, y_axis)
    guide = (
        f'<path class="guide" d="M{frame.x(0):.1f} {frame.y(0):.1f}'
        f'L{frame.x(NUM_TACTICS):.1f} {frame.y(1):.1f}"/>'
    )
    return figure(
        "Why stickiness alone misleads",
        _kinds_legend(results) + plots.scatter(points, x_axis, y_axis, guide=guide),
        "Stickiness rises with the number of tactics a turn uses. On the dashed line are systems "
        "that use all tactics equally often and ignore the turn before: with t of ten tactics a "
        "turn, any tactic comes back by chance with probability t/10.",
    )


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
            dots=(_dot(results, one, "set_entropy", 2),),
            note=f"{one.values['distinct_sets']:.0f} sets",
        )
        for name, one in _named(results)
    ]
    chart = plots.dot_rows(
        rows,
        Axis(title="entropy of the tactic sets, bits"),
        "Entropy of the distribution of tactic sets of each system.",
    )
    return figure(
        "How many different bundles of tactics",
        chart,
        f"A turn's tactics are one set; at the right, how many different sets occur in "
        f"{results.num_turns} turns. Further right is more varied. Intervals are jackknife "
        "intervals over conversations.",
    )


def likeness(results: Results) -> str:
    """Likeness of adjacent own turns beside that of unrelated turns."""
    rows = [
        Row(
            name=name,
            dots=(
                _dot(results, one, "cross_jaccard", 3, kind="published"),
                _dot(results, one, "self_jaccard", 3),
            ),
            note=_signed(one.values["self_jaccard"] - one.values["cross_jaccard"]),
        )
        for name, one in _named(results)
    ]
    chart = plots.dot_rows(
        rows,
        Axis(title="Jaccard index of two turns' tactics, 0 to 1", low=0.0, high=1.0),
        "Likeness of adjacent turns and of unrelated turns.",
    )
    keys = legend([("published", "turns of different conversations"), *_kinds(results)])
    return figure(
        "Does a system answer differently at all?",
        keys + chart,
        "Shared tactics of two turns: coloured marks for adjacent turns of the same conversation, "
        "crosses for turns that have nothing to do with each other. Where both lie far right and "
        "together, every reply is built alike, whoever it answers. At the right: the difference.",
    )


HACKS = (
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


def hack_profile(results: Results) -> str:
    """Heat map of habits."""
    systems = list(results.systems.values())
    most = {key: max(one.values[key] for one in systems) or 1.0 for key in _COUNTED}
    shares = [
        [one.values[key] / (most[key] if key in most else 1.0) for key, _ in HACKS]
        for one in systems
    ]
    shown = [
        [
            f"{one.values[key]:.{_COUNTED[key]}f}"
            if key in _COUNTED
            else f"{100 * one.values[key]:.0f}"
            for key, _ in HACKS
        ]
        for one in systems
    ]
    chart = grids.heat_map(
        numbered(results),
        [title for _, title in HACKS],
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
                _dot(results, one, "distinct_2", 3, kind="published"),
                _dot(results, one, "distinct_2_equal_length", 3),
            ),
            note=number(one.values["distinct_2_equal_length"], 2),
        )
        for name, one in _named(results)
    ]
    chart = plots.dot_rows(
        rows,
        Axis(title="distinct word pairs / word pairs, 0 to 1", low=0.0, high=1.0),
        "Distinct-2 of each system, of all text and at equal length.",
    )
    keys = legend([("published", "all text"), *_kinds(results, "equal length, ")])
    return figure(
        "Variety of wording",
        keys + chart,
        "Distinct-2 falls with the amount of text, which punishes long replies (crosses). The "
        f"coloured marks are what a random sample of {results.settings.equal_length:,} word pairs "
        "of the system would have.",
    )


def wording_repetition(results: Results) -> str:
    """BLEU-2 against the person's previous turn and against the own one."""
    rows = [
        Row(
            name=name,
            dots=(
                _dot(results, one, "bleu_2", 3, kind="published"),
                _dot(results, one, "self_bleu_2", 3),
            ),
            note=number(one.values["self_bleu_2"], 3),
        )
        for name, one in _named(results)
    ]
    chart = plots.dot_rows(
        rows,
        Axis(title="BLEU-2 against the turn before, 0 to 1", low=0.0),
        "BLEU-2 of each system against the person's and against its own previous turn.",
    )
    keys = legend([("published", "person's previous turn"), *_kinds(results, "own turn, ")])
    return figure(
        "Wording does repeat, on a system's own turns",
        keys + chart,
        "Compared with the person's previous turn, wording repeats about as little as between "
        "people. Compared with its own previous reply, a system's wording can be seen to repeat.",
    )


def agreement(results: Results) -> str:
    """Judge against experts with the published figures."""
    rows = [
        Row(
            name=one.dimension.replace("_", " "),
            dots=(
                Dot(
                    value=one.spearman,
                    kind="people",
                    title=f"{one.dimension.replace('_', ' ')}, observed: {one.spearman:.2f}",
                    interval=one.spearman_interval,
                ),
                Dot(
                    value=results.published.agreement[one.dimension][0],
                    kind="published",
                    title=f"published: {results.published.agreement[one.dimension][0]:.2f}",
                ),
            ),
            note=f"{one.spearman:.2f}",
        )
        for one in results.agreement
    ]
    chart = plots.dot_rows(
        rows,
        Axis(title="Spearman correlation, −1 to 1", low=0.0, high=1.0),
        "Rank correlation of judge and experts on each dimension.",
    )
    keys = legend([("people", "observed"), ("published", "published")])
    return figure(
        "Judge against experts",
        keys + chart,
        f"{results.judge}, mean over the turns of a conversation, against the median expert of "
        f"{results.num_conversations} conversations between people.",
    )


def pairs(results: Results, metric: str) -> str:
    """Matrix of all pairs for one metric."""
    folders = list(results.systems)
    found = {(c.first, c.second): c for c in results.comparisons[metric]}
    states = [[_state(found, a, b) for b in folders] for a in folders]
    clear = sum(c.holm < SIGNIFICANT for c in found.values())
    title = metric.replace("_", " ").replace("tac per", "tactics per")
    chart = grids.pair_matrix(
        numbered(results),
        [str(n) for n in range(1, len(folders) + 1)],
        states,
        f"Pairwise comparison of {title}: {clear} of {len(found)} pairs differ after Holm.",
    )
    return figure(
        title[0].upper() + title[1:],
        chart,
        f"{clear} of {len(found)} pairs differ after Holm's correction.",
    )


PAIR_KEYS = (
    ("up", "row higher than column (Holm p < 0.05)"),
    ("down", "row lower (Holm)"),
    ("maybe-up", "row higher (Benjamini-Hochberg only)"),
    ("maybe-down", "row lower (Benjamini-Hochberg only)"),
    ("even", "no clear difference"),
)


def _state(found: dict[tuple[str, str], Comparison], row: str, column: str) -> str:
    if row == column:
        return "self"
    pair = found[row, column] if (row, column) in found else found[column, row]
    row_gains = pair.difference > 0 if pair.second == row else pair.difference < 0
    way = "up" if row_gains else "down"
    if pair.holm < SIGNIFICANT:
        return way
    return f"maybe-{way}" if pair.benjamini_hochberg < SIGNIFICANT else "even"


def _points(results: Results, x: str, y: str) -> list[Point]:
    return [
        Point(
            name=results.label(folder),
            tag=str(n),
            kind=results.published.method(one.name).kind,
            x=one.values[x],
            y=one.values[y],
            x_interval=one.intervals[x],
            y_interval=one.intervals[y],
        )
        for n, (folder, one) in enumerate(results.systems.items(), 1)
    ]


def _named(results: Results) -> list[tuple[str, Measured]]:
    return list(zip(numbered(results), results.systems.values(), strict=True))


def _dot(results: Results, one: Measured, metric: str, digits: int, kind: str = "") -> Dot:
    value, (low, high) = one.values[metric], one.intervals[metric]
    said = f"{results.published.label(one.name)}: {number(value, digits)}"
    if low is not None and high is not None:
        said += f", interval {number(low, digits)} to {number(high, digits)}"
    return Dot(
        value=value,
        kind=kind or results.published.method(one.name).kind,
        title=said,
        interval=one.intervals[metric],
    )


def _kinds(results: Results, prefix: str = "") -> Sequence[tuple[str, str]]:
    used = {results.published.method(one.name).kind for one in results.systems.values()}
    return [(kind, f"{prefix}{title}") for kind, title in _KINDS if kind in used]


def _kinds_legend(results: Results) -> str:
    return legend(_kinds(results))


def _signed(value: float) -> str:
    return number(value, 3, signed=True)


def _level(results: Results) -> str:
    return f"{100 * results.settings.confidence:.0f} %"
