"""Replies that a grader failed on, kept with all that is needed to grade them again.

A row of RUN/quarantine.jsonl:

    {"stage": "train", "step": 7, "uid": "...", "conversation_id": "c12", "turn": 3,
     "failures": {"judge": {"kind": "timeout", "message": "..."}},
     "request": {"raw_reply": "...", "history": [{"role": "seeker", "content": "..."}], ...}}

`python -m mint.regrade run=RUN` reads it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mint.shell.files import read_json_lines
from rewards.errors import ConfigError, DataError
from rewards.scorer import ScoringRequest
from rewards.text import visible_reply
from rewards.types import Failure, Message


class Quarantined(NamedTuple):
    """One reply that could not be graded."""

    stage: str
    """What graded it, e.g. train."""
    step: int
    """Training step, 0 outside training."""
    uid: str
    """Group of the reply in its step."""
    conversation_id: str
    turn: int
    failures: Mapping[str, Failure]
    """Grader -> what went wrong."""
    request: ScoringRequest

    def as_row(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            **self._asdict(),
            "failures": failure_rows(self.failures),
            "request": request_row(self.request),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Quarantined:
        """Inverse of `as_row`. Raises DataError for anything else."""
        try:
            failures = {name: Failure(**failure) for name, failure in row["failures"].items()}
            request = request_from_row(row["request"])
            return cls(**{**row, "failures": failures, "request": request})
        except (KeyError, TypeError, AttributeError) as error:
            names = ", ".join(cls._fields)
            raise DataError(f"a quarantined reply needs the fields {names}: {error}") from error


def read_quarantine(path: Path) -> list[Quarantined]:
    """All rows of a file. Raises ConfigError when it is missing, DataError naming a bad line."""
    if not path.is_file():
        raise ConfigError(
            f"{path} does not exist: no reply of this run failed, or the path is wrong"
        )
    found = []
    for number, row in enumerate(read_json_lines(path), start=1):
        try:
            found.append(Quarantined.from_row(row))
        except DataError as error:
            raise DataError(f"{path}:{number}: {error}") from error
    return found


def request_row(request: ScoringRequest) -> dict[str, Any]:
    """A scoring request as JSON."""
    return {
        **request._asdict(),
        "history": [message._asdict() for message in request.history],
        "previous_counts": list(request.previous_counts),
        "history_tactics": [[list(s) for s in turn] for turn in request.history_tactics],
    }


def request_from_row(row: Mapping[str, Any]) -> ScoringRequest:
    """Inverse of `request_row`. Raises TypeError or KeyError for missing or unknown fields."""
    values = {
        **row,
        "history": tuple(Message.parse(message) for message in row["history"]),
        "previous_counts": tuple(float(count) for count in row["previous_counts"]),
        "history_tactics": tuple(
            tuple(tuple(tactics) for tactics in turn) for turn in row["history_tactics"]
        ),
    }
    return ScoringRequest(**values)


def turn_request(
    info: Mapping[str, Any], raw_reply: str, count_tokens: Callable[[str], int], *, truncated: bool
) -> ScoringRequest:
    """What to grade of a reply to a training row with this `extra_info`."""
    return request_from_row(
        {
            "raw_reply": raw_reply,
            "history": json.loads(info["history"]),
            "previous_counts": info["previous_counts"],
            "history_tactics": json.loads(info["history_tactics"]),
            "num_tokens": count_tokens(visible_reply(raw_reply).text),
            "truncated": truncated,
        }
    )


def failure_rows(failures: Mapping[str, Failure]) -> dict[str, dict[str, str]]:
    """Failures by grader as JSON."""
    return {grader: failure._asdict() for grader, failure in failures.items()}


def summary(failures: Sequence[Mapping[str, Failure]]) -> dict[str, int]:
    """ "grader: kind" -> how often, the most frequent first."""
    kinds = (f"{grader}: {f.kind}" for row in failures for grader, f in row.items())
    return dict(Counter(kinds).most_common())
