"""One scale for all drawings of a table that show the same unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mint.reporting.changes import Change, reach_of
from mint.reporting.measures import MEASURES, OWN_MEASURES, SECOND_MEASURES, TALK_MEASURES

_UNITS = {
    name: measure.unit
    for measures in (MEASURES, OWN_MEASURES, TALK_MEASURES, SECOND_MEASURES)
    for name, measure in measures.items()
}


def reach_beside(name: str, changes: Mapping[str, Iterable[Change]]) -> float:
    """How far to either side of 0 the drawings of a measure reach, so that their lengths compare
    with those of all measures of its unit among `changes`, a table's."""
    return reach_of(
        change for other, own in changes.items() if _UNITS[other] == _UNITS[name] for change in own
    )
