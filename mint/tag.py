"""Tag replies from the shell: `python -m mint.tag < replies.jsonl > tags.jsonl`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mint.filters.files import open_answers, read_requests
from mint.filters.lines import Answered, checked_text, clean_stdout, reply_field, run_filter
from mint.shell import cli
from rewards.build import EncoderConfig, TaggerConfig, build_encoder, build_tagger
from rewards.errors import DataError
from rewards.types import Failure, Reply, Tagging


@dataclass(frozen=True, kw_only=True)
class TagConfig:
    """Finds the empathy tactics of replies: JSON lines on stdin, one line each on stdout.

    In:   {"reply": "I hear you. What happened?", "sentences": ["I hear you.", "What happened?"]}
    Out:  {"sentences": [{"text": "...", "tactics": ["..."], "probabilities": {"...": 0.9}}]}

    `sentences` is optional; without it the reply is split. An id, conversation_id or turn of a line
    is repeated in its answer. A line that cannot be used is answered {"error": "..."} and the rest
    go on. Exit status 0 when all of the input was read.
    """

    input: str | None = None
    """File of JSON lines, or of conversations, whose supporter turns are tagged; null: stdin."""
    output: str | None = None
    """File for the answers; null: stdout."""
    pretty: bool = False
    """Show a table with coloured tactics instead of JSON lines."""
    encoder: str | None = None
    """Folder of the sentence encoder; null: the installed package or the hub."""
    weights: str | None = None
    """Fitted heads (.npz of python -m rewards.fit); null: the shipped ones."""


def main(config: TagConfig) -> int:
    """Exit status of the command."""
    requests = read_requests(config.input)
    # Files first: what cannot be written should not wait for the encoder.
    with (
        clean_stdout() as stdout,
        open_answers(config.output, config.pretty, stdout, _show) as take,
    ):
        encoder = EncoderConfig(path=config.encoder)
        tagger = build_tagger(TaggerConfig(weights=config.weights), lambda: build_encoder(encoder))

        def answer(replies: list[Reply]) -> list[dict[str, Any]]:
            return [_row(tagging) for tagging in asyncio.run(tagger.tag(replies))]

        for answers in run_filter(parse_request, answer, requests):
            take(answers)
    return 0


def parse_request(row: Mapping[str, Any]) -> Reply:
    """The reply of an input line. Raises DataError, naming the key, for anything else."""
    text = reply_field(row)
    sentences = row.get("sentences")
    if sentences is None:
        return Reply(history=(), text=text)
    if not isinstance(sentences, list) or not sentences:
        raise DataError("sentences must be a list of at least one text")
    checked = tuple(checked_text(sentence, "a sentence") for sentence in sentences)
    if not all(sentence.strip() for sentence in checked):
        raise DataError("sentences must not be blank")
    return Reply(history=(), text=text, sentences=checked)


def _row(tagging: Tagging | Failure) -> dict[str, Any]:
    if isinstance(tagging, Failure):
        return {"error": f"{tagging.kind}: {tagging.message}"}
    return {
        "sentences": [
            {
                "text": sentence.text,
                "tactics": list(sentence.tactics),
                "probabilities": {k: round(p, 4) for k, p in sentence.probabilities.items()},
            }
            for sentence in tagging.sentences
        ]
    }


def _show(answered: Answered) -> Any:
    # Imported here because a pipe needs no tables.
    from mint.filters.tables import tags_table

    return tags_table(answered)


if __name__ == "__main__":
    sys.exit(cli.run(TagConfig, main))
