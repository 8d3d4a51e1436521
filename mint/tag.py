"""Tag replies from a shell pipe: `python -m mint.tag < replies.jsonl > tags.jsonl`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mint import cli
from mint.jsonl_filter import checked_text, clean_stdout, reply_field, run_filter
from rewards.build import EncoderConfig, build_encoder
from rewards.errors import DataError
from rewards.graders.tagger_embedded import EmbeddedTagger
from rewards.types import Failure, Reply, Tagging


@dataclass(frozen=True, kw_only=True)
class TagConfig:
    """Finds the empathy tactics of replies: JSON lines on stdin, one line each on stdout.

    In:   {"reply": "I hear you. What happened?", "sentences": ["I hear you.", "What happened?"]}
    Out:  {"sentences": [{"text": "...", "tactics": ["..."], "probabilities": {"...": 0.9}}]}

    `sentences` is optional; without it the reply is split. A line that cannot be used is answered
    {"error": "..."} and the rest go on. Exit status 0 when all of stdin was read.
    """

    encoder: str | None = None
    """Folder of the sentence encoder; null: the installed package or the hub."""
    weights: str | None = None
    """Fitted heads (.npz of python -m rewards.fit); null: the shipped ones."""


def main(config: TagConfig) -> int:
    """Exit status of the command."""
    with clean_stdout() as write:
        tagger = EmbeddedTagger(build_encoder(EncoderConfig(path=config.encoder)), config.weights)
        run_filter(
            parse_request,
            lambda replies: [_row(tagging) for tagging in tagger.tag_now(replies)],
            input_fd=sys.stdin.fileno(),
            write=write,
        )
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


if __name__ == "__main__":
    sys.exit(cli.run(TagConfig, main))
