"""Scatter plots, heat maps and the matrix of every pair, and how to read them."""

from __future__ import annotations

from mint.pages.grids import heat_map, pair_matrix
from mint.pages.html import figure, spaced
from mint.pages.marks import legend
from mint.pages.scatter import Frame, Point, scatter
from mint.pages.svg import Axis
from mint.reproduction.compare import Comparison
from mint.reproduction.results import Results
from mint.reproduction.sums import PREVALENCE
from rewards.tactics import NUM_TACTICS, TACTIC_NAMES

SIGNIFICANT = 0.05
PAIR_KEYS = (
    ("up", "row higher than column (Holm p < 0.05)"),
    ("down", "row lower (Holm)"),
    ("maybe-up", "row higher (Benjamini-Hochberg only)"),
    ("maybe-down", "row lower (Benjamini-Hochberg only)"),
    ("even", "no clear difference"),
)
_KINDS = (
    ("people", "people"),
    ("prompted", "prompted only"),
    ("trained", "trained"),
    ("other", "not in the paper"),
)
_HABITS = (
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
"""Habits that are counts -> digits shown."""


def numbered(results: Results) -> list[str]:
    """The systems as "1 Human", ..., as rows are named."""
    return [f"{n} {results.label(folder)}" for n, folder in enumerate(results.systems, 1)]


def kinds(results: Results, prefix: str = "") -> list[tuple[str, str]]:
    """Kinds among the systems with their meaning, for a legend."""
    used = {results.published.method(one.name).kind for one in results.systems.values()}
    return [(kind, f"{prefix}{title}") for kind, title in _KINDS if kind in used]


def pareto(results: Results) -> str:
    """Empathy against lift: the headline."""
    points = _points(results, "lift", "aggregated_empathy")
    x_axis = Axis(title="lift: repetition beyond chance", digits=3, mark=0.0, mark_label="chance")
    y_axis = Axis(title="aggregate empathy, 1 to 5")
    return figure(
        "Empathy against repetition beyond chance",
        legend(kinds(results)) + scatter(points, x_axis, y_axis),
        "Up is more empathic to the judge. On the dotted line a reply does not depend on which "
        "tactics the person used in the turn before; to the right it repeats them, to the left it "
        "avoids them. Neither side is better: see where people are. Lines are "
        f"{results.settings.confidence:.0%} intervals over conversations.",
    )


def confound(results: Results) -> str:
    """Stickiness against tactics a turn."""
    points = _points(results, "tac_per_turn", "stickiness")
    x_axis = Axis(title="distinct tactics a turn, 0 to 10", low=0.0, high=float(NUM_TACTICS))
    y_axis = Axis(title="stickiness, 0 to 1", digits=3, low=0.0, high=1.0)
    frame = Frame(points, x_axis, y_axis)
    guide = _guide(
        f"M{frame.x(0):.1f} {frame.y(0):.1f}L{frame.x(NUM_TACTICS):.1f} {frame.y(1):.1f}"
    )
    return figure(
        "Why stickiness alone misleads",
        legend(kinds(results)) + scatter(points, x_axis, y_axis, guide),
        "Stickiness rises with the number of tactics a turn uses. On the dashed line are systems "
        "that use all tactics equally often and ignore the turn before: with t of ten tactics a "
        "turn, any tactic comes back by chance with probability t/10.",
    )


def pairs(results: Results, metric: str) -> str:
    """Matrix of all pairs for one metric."""
    folders = list(results.systems)
    found = {(c.first, c.second): c for c in results.comparisons[metric]}
    states = [[_state(found, a, b) for b in folders] for a in folders]
    clear = sum(c.holm < SIGNIFICANT for c in found.values())
    title = spaced(metric.replace("self_", "self-")).replace("tac per", "tactics per")
    chart = pair_matrix(
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


def prevalence(results: Results) -> str:
    """Heat map of the share of turns with each tactic."""
    shares = [
        [one.values[f"{PREVALENCE}{tactic}"] for tactic in TACTIC_NAMES]
        for one in results.systems.values()
    ]
    chart = heat_map(
        numbered(results),
        [spaced(name) for name in TACTIC_NAMES],
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


def hack_profile(results: Results) -> str:
    """Heat map of habits; counts are shaded by their largest."""
    shares: list[list[float]] = [[] for _ in results.systems]
    shown: list[list[str]] = [[] for _ in results.systems]
    for key, _ in _HABITS:
        values = [one.values[key] for one in results.systems.values()]
        most = (max(values) or 1.0) if key in _COUNTED else 1.0
        for r, value in enumerate(values):
            shares[r].append(value / most)
            counted = key in _COUNTED
            shown[r].append(f"{value:.{_COUNTED[key]}f}" if counted else f"{100 * value:.0f}")
    chart = heat_map(
        numbered(results),
        [title for _, title in _HABITS],
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


def _points(results: Results, x: str, y: str) -> list[Point]:
    """Every system as a point of two metrics with intervals."""
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


def _guide(shape: str) -> str:
    return f'<path class="guide" d="{shape}"/>'


def _state(found: dict[tuple[str, str], Comparison], row: str, column: str) -> str:
    """State of a cell of the matrix."""
    if row == column:
        return "self"
    pair = found[row, column] if (row, column) in found else found[column, row]
    row_gains = pair.difference > 0 if pair.second == row else pair.difference < 0
    way = "up" if row_gains else "down"
    if pair.holm < SIGNIFICANT:
        return way
    return f"maybe-{way}" if pair.benjamini_hochberg < SIGNIFICANT else "even"
