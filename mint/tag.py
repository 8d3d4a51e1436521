"""Tag replies from the shell: `python -m mint.tag < replies.jsonl > tags.jsonl`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mint.filters.command import FilterSettings, Grade, grade_lines
from mint.filters.lines import Answered, checked_text, reply_field
from mint.shell import cli
from rewards.build import TaggerConfig, build_tagger
from rewards.errors import DataError
from rewards.protocols import Encoder
from rewards.types import Reply, Tagging


@dataclass(frozen=True, kw_only=True)
class TagConfig(FilterSettings):
    """Finds the empathy tactics of replies: JSON lines on stdin, one line each on stdout.

    In:   {"reply": "I hear you. What happened?", "sentences": ["I hear you.", "What happened?"]}
    Out:  {"sentences": [{"text": "...", "tactics": ["..."], "probabilities": {"...": 0.9}}]}

    `sentences` is optional; without it the reply is split. An id, conversation_id or turn of a line
    is repeated in its answer. A line that cannot be used is answered {"error": "..."} and the rest
    go on. Exit status 0 when all of the input was read, 1 when
    none of it could be used.
    """


def main(config: TagConfig) -> int:
    """Exit status of the command."""

    def build(encoder: Callable[[], Encoder]) -> Grade:
        return build_tagger(TaggerConfig(weights=config.weights), encoder).tag

    return grade_lines(config, parse_request, build, _row, _show)


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


def _row(tagging: Tagging) -> dict[str, Any]:
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
