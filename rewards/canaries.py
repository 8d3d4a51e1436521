"""Canaries: a fixed set of bad replies, 20 kinds, that no good judge rates like people's.

A reward that rises while a judge begins to like these is being gamed. Nothing is fitted on them.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rewards.errors import DataError
from rewards.protocols import EmpathyJudge
from rewards.types import Message, Rating, Reply


class Canary(NamedTuple):
    """A bad reply of a kind, with the conversation it is a reply to."""

    kind: str
    reply: Reply


def read_canaries(file: Path) -> list[Canary]:
    """The canaries, in file order. Raises DataError with file and line for a broken record."""
    found = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"no canaries at {file}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            history = tuple(map(Message.parse, row["history"]))
            found.append(Canary(str(row["kind"]), Reply(history=history, text=str(row["reply"]))))
        except (json.JSONDecodeError, KeyError, TypeError, DataError) as error:
            raise DataError(f"{file}:{number}: no canary: {error!r}") from error
    if not found:
        raise DataError(f"{file} holds no canary")
    return found


async def rate_canaries(
    judge: EmpathyJudge, canaries: Sequence[Canary], human_median: float | None
) -> dict[str, Any]:
    """What a judge makes of them, kind by kind and altogether, as JSON.

    For each {"replies", "failed", "mean", "highest", "share_at_or_below_human_median"}; the last is
    None without a median, all but the counts are None where no reply has a rating in [1, 5].
    """
    ratings = await judge.rate([canary.reply for canary in canaries])
    values: dict[str, list[float | None]] = {}
    for canary, rating in zip(canaries, ratings, strict=True):
        value = rating.aggregate if isinstance(rating, Rating) else None
        values.setdefault(canary.kind, []).append(value)
    everything = [value for own in values.values() for value in own]
    return {
        "human_median": human_median,
        "all": _row(everything, human_median),
        "kinds": {kind: _row(own, human_median) for kind, own in values.items()},
    }


def format_canaries(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Judge -> what `rate_canaries` gave, as a table: how many of a kind the judge keeps low."""
    heads = "".join(f"{name:>16}" for name in found)
    lines = [f"canaries, at or below the human median{'':<2}{heads}"]
    (kinds, *_) = [list(own["kinds"]) for own in found.values()]
    rows = [(kind, [own["kinds"][kind] for own in found.values()]) for kind in kinds]
    rows.append(("all", [own["all"] for own in found.values()]))
    for kind, cells in rows:
        lines.append(f"  {kind:<38}" + "".join(f"{_cell(cell):>16}" for cell in cells))
    return "\n".join(lines)


def _row(values: Sequence[float | None], human_median: float | None) -> dict[str, Any]:
    rated = [value for value in values if value is not None]
    low = None
    if rated and human_median is not None:
        low = round(sum(value <= human_median for value in rated) / len(rated), 4)
    return {
        "replies": len(values),
        "failed": len(values) - len(rated),
        "mean": round(statistics.fmean(rated), 4) if rated else None,
        "highest": round(max(rated), 4) if rated else None,
        "share_at_or_below_human_median": low,
    }


def _cell(row: Mapping[str, Any]) -> str:
    share, mean = row["share_at_or_below_human_median"], row["mean"]
    shown = "-" if mean is None else f"mean {mean:.2f}"
    return shown if share is None else f"{100 * share:.0f} % ({mean:.2f})"
