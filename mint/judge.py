"""Rate replies from a shell pipe: `python -m mint.judge < replies.jsonl > ratings.jsonl`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mint import cli
from mint.jsonl_filter import checked_text, clean_stdout, reply_field, run_filter
from rewards.build import EncoderConfig, build_encoder
from rewards.errors import DataError
from rewards.graders.judge_embedded import EmbeddedJudge
from rewards.types import Failure, Message, Rating, Reply


@dataclass(frozen=True, kw_only=True)
class JudgeFilterConfig:
    """Rates the empathy of replies: JSON lines on stdin, one line each on stdout.

    In:   {"history": [{"role": "seeker", "content": "I lost my job."}], "reply": "I hear you."}
    Out:  {"validating_emotions": 2.9, ..., "dismissing_emotions": 1.2, "aggregated_empathy": 3.8}

    Roles are seeker and supporter (user and assistant do as well), ratings run from 1 to 5. A line
    that cannot be used is answered {"error": "..."} and the rest go on. Exit status 0 when all of
    stdin was read.
    """

    encoder: str | None = None
    """Folder of the sentence encoder; null: the installed package or the hub."""
    weights: str | None = None
    """Fitted heads (.npz of python -m rewards.fit); null: the shipped ones."""


def main(config: JudgeFilterConfig) -> int:
    """Exit status of the command."""
    with clean_stdout() as write:
        judge = EmbeddedJudge(build_encoder(EncoderConfig(path=config.encoder)), config.weights)
        run_filter(
            parse_request,
            lambda replies: [_row(rating) for rating in judge.rate_now(replies)],
            input_fd=sys.stdin.fileno(),
            write=write,
        )
    return 0


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


def _row(rating: Rating | Failure) -> dict[str, Any]:
    if isinstance(rating, Failure):
        return {"error": f"{rating.kind}: {rating.message}"}
    ratings = {name: round(value, 4) for name, value in rating.dimensions.items()}
    return {**ratings, "aggregated_empathy": round(rating.aggregate, 4)}


if __name__ == "__main__":
    sys.exit(cli.run(JudgeFilterConfig, main))
