"""Rate replies from the shell: `python -m mint.judge < replies.jsonl > ratings.jsonl`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mint.filters.command import FilterSettings, Grade, grade_lines
from mint.filters.lines import Answered, checked_text, reply_field
from mint.shell import cli
from rewards.build import JudgeConfig, build_judge
from rewards.errors import DataError
from rewards.protocols import Encoder
from rewards.types import Message, Rating, Reply, ScalarRating


@dataclass(frozen=True, kw_only=True)
class JudgeFilterConfig(FilterSettings):
    """Rates the empathy of replies: JSON lines on stdin, one line each on stdout.

    In:   {"history": [{"role": "seeker", "content": "I lost my job."}], "reply": "I hear you."}
    Out:  {"validating_emotions": 2.9, ..., "dismissing_emotions": 1.2, "aggregated_empathy": 3.8,
           "uncertainty": 0.3, "parts": {"manner": 4.0, "relevance": 0.9, ...}, "tricks": []}

    `uncertainty` is the standard deviation of the aggregate's error; `tricks` names what holds the
    rating of a reply down that copies, repeats, interrogates or talks to the judge. Roles are
    seeker and supporter (user and assistant do as well), ratings run from 1 to 5. An id,
    conversation_id or turn of a line is repeated in its answer. A line that cannot be used is
    answered {"error": "..."} and the rest go on. Exit status 0 when all of the input was read, 1
    when none of it could be used.
    """


def main(config: JudgeFilterConfig) -> int:
    """Exit status of the command."""

    def build(encoder: Callable[[], Encoder]) -> Grade:
        return build_judge(JudgeConfig(weights=config.weights), encoder).rate

    return grade_lines(config, parse_request, build, _row, _show)


def parse_request(row: Mapping[str, Any]) -> Reply:
    """The reply and its history of an input line. Raises DataError for anything else."""
    text = reply_field(row)
    if "history" not in row:
        raise DataError("missing key 'history'")
    if not isinstance(row["history"], list):
        raise DataError(f"history must be a list, got {type(row['history']).__name__}")
    history = tuple(Message.parse(message) for message in row["history"])
    for message in history:
        checked_text(message.content, "a message")
    return Reply(history=history, text=text)


def _row(rating: Rating | ScalarRating) -> dict[str, Any]:
    if isinstance(rating, ScalarRating):
        return {"error": "this judge gives one number, not the six dimensions"}
    ratings = {name: round(value, 4) for name, value in rating.dimensions.items()}
    uncertainty = None if rating.uncertainty is None else round(rating.uncertainty, 4)
    return {
        **ratings,
        "aggregated_empathy": round(rating.aggregate, 4),
        "uncertainty": uncertainty,
        "parts": {name: round(value, 4) for name, value in rating.parts.items()},
        "tricks": list(rating.tricks),
    }


def _show(answered: Answered) -> Any:
    # Imported here because a pipe needs no tables.
    from mint.filters.tables import ratings_table

    return ratings_table(answered)


if __name__ == "__main__":
    sys.exit(cli.run(JudgeFilterConfig, main))
