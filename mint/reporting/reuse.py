"""How often tactics are used again: of each tactic, and from turn to turn."""

from __future__ import annotations

from collections.abc import Iterator

from mint.evaluation.metrics.reuse import Reuse, by_tactic, by_turn
from mint.pages.html import figure, spaced, text
from mint.pages.marks import legend
from mint.pages.rows import Dot, Row, dot_rows
from mint.pages.svg import Axis
from mint.reporting.data import ReportData
from rewards.tactics import TACTIC_NAMES

_KINDS = {"before": "prompted", "after": "trained"}
_AXIS = Axis(title="share used again", low=0.0, high=1.0)


def reuse_figures(data: ReportData) -> Iterator[str]:
    """Both figures, of the replies before and after training."""
    settings = data.after["settings"] if data.after is not None else None
    confidence = 0.95 if settings is None else settings["confidence"]
    sides = {"before": data.before_replies, "after": data.after_replies}
    intervals = f"Lines are {confidence:.0%} intervals over scenarios; n, before and after, counts "
    tactics = {side: by_tactic(replies, confidence) for side, replies in sides.items()}
    yield _figure(
        "Chance that a tactic is used again",
        [
            _row(spaced(name), {side: rates[k] for side, rates in tactics.items()})
            for k, name in enumerate(TACTIC_NAMES)
        ],
        "Among replies whose previous supporter turn used the tactic; the mean over tactics is the "
        f"stickiness. {intervals}these replies.",
    )
    turns = {side: by_turn(replies, confidence) for side, replies in sides.items()}
    places = sorted({turn for rates in turns.values() for turn in rates})
    if places:
        none = Reuse(None, None, None, 0)
        yield _figure(
            "Reuse of tactics by turn",
            [
                _row(f"turn {turn + 1}", {side: own.get(turn, none) for side, own in turns.items()})
                for turn in places
            ],
            "Share of the tactics of the previous supporter turn that a reply at this turn uses "
            f"again. {intervals}replies whose previous turn used any.",
        )


def _figure(title: str, rows: list[Row], explanation: str) -> str:
    keys = legend([(kind, f"{side} training") for side, kind in _KINDS.items()])
    return figure(title, keys + dot_rows(rows, _AXIS, f"{title}."), text(explanation))


def _row(name: str, rates: dict[str, Reuse]) -> Row:
    dots = tuple(
        Dot(
            value=one.rate,
            kind=_KINDS[side],
            title=f"{name}, {side} training: {one.rate:.0%} of {one.n} replies{_ends(one)}",
            interval=(one.low, one.high),
        )
        for side, one in rates.items()
        if one.rate is not None
    )
    return Row(name=name, dots=dots, note="n " + "/".join(str(one.n) for one in rates.values()))


def _ends(one: Reuse) -> str:
    return "" if one.low is None else f", interval {one.low:.0%} to {one.high:.0%}"
