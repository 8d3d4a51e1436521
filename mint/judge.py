"""Rate replies from the shell: `python -m mint.judge < replies.jsonl > ratings.jsonl`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mint.filters.files import open_answers, read_requests
from mint.filters.lines import Answered, checked_text, clean_stdout, reply_field, run_filter
from mint.shell import cli
from rewards.build import EncoderConfig, JudgeConfig, build_encoder, build_judge
from rewards.errors import DataError
from rewards.types import Failure, Message, Rating, Reply, ScalarRating


@dataclass(frozen=True, kw_only=True)
class JudgeFilterConfig:
    """Rates the empathy of replies: JSON lines on stdin, one line each on stdout.

    In:   {"history": [{"role": "seeker", "content": "I lost my job."}], "reply": "I hear you."}
    Out:  {"validating_emotions": 2.9, ..., "dismissing_emotions": 1.2, "aggregated_empathy": 3.8,
           "uncertainty": 0.3, "tricks": []}

    `uncertainty` is the standard deviation of the aggregate's error; `tricks` names what holds the
    rating of a reply down that copies, repeats, interrogates or talks to the judge. Roles are
    seeker and supporter (user and assistant do as well), ratings run from 1 to 5. An id,
    conversation_id or turn of a line is repeated in its answer. A line that cannot be used is
    answered {"error": "..."} and the rest go on. Exit status 0 when all of the input was read.
    """

    input: str | None = None
    """File of JSON lines, or of conversations, whose supporter turns are rated; null: stdin."""
    output: str | None = None
    """File for the answers; null: stdout."""
    pretty: bool = False
    """Show a table with a bar for each dimension instead of JSON lines."""
    encoder: str | None = None
    """Folder of the sentence encoder; null: the installed package or the hub."""
    weights: str | None = None
    """Fitted heads (.npz of python -m rewards.fit); null: the shipped ones."""


def main(config: JudgeFilterConfig) -> int:
    """Exit status of the command."""
    requests = read_requests(config.input)
    # Files first: what cannot be written should not wait for the encoder.
    with (
        clean_stdout() as stdout,
        open_answers(config.output, config.pretty, stdout, _show) as take,
    ):
        encoder = EncoderConfig(path=config.encoder)
        judge = build_judge(JudgeConfig(weights=config.weights), lambda: build_encoder(encoder))

        def answer(replies: list[Reply]) -> list[dict[str, Any]]:
            return [_row(rating) for rating in asyncio.run(judge.rate(replies))]

        for answers in run_filter(parse_request, answer, requests):
            take(answers)
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


def _row(rating: Rating | ScalarRating | Failure) -> dict[str, Any]:
    if isinstance(rating, Failure):
        return {"error": f"{rating.kind}: {rating.message}"}
    if isinstance(rating, ScalarRating):
        return {"error": "this judge gives one number, not the six dimensions"}
    ratings = {name: round(value, 4) for name, value in rating.dimensions.items()}
    uncertainty = None if rating.uncertainty is None else round(rating.uncertainty, 4)
    return {
        **ratings,
        "aggregated_empathy": round(rating.aggregate, 4),
        "uncertainty": uncertainty,
        "tricks": list(rating.tricks),
    }


def _show(answered: Answered) -> Any:
    # Imported here because a pipe needs no tables.
    from mint.filters.tables import ratings_table

    return ratings_table(answered)


if __name__ == "__main__":
    sys.exit(cli.run(JudgeFilterConfig, main))
