"""Conversations made ready for a data set: those to leave out, and tags for those without."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mint.data.conversation import (
    BadRecord,
    Conversation,
    SentenceTactics,
    describe_bad,
    load_conversations,
    supporter_turns,
)
from mint.rundir.manifest import identity_row
from mint.shell.console import progress_bar
from mint.shell.files import read_text, text_lines
from rewards.errors import ConfigError, DataError, GraderError
from rewards.protocols import TacticTagger
from rewards.text import visible_reply
from rewards.types import Failure, Reply, Tagging

_BATCH = 64

Excluded = tuple[str, int | None]
"""A row to leave out: conversation and supporter turn; None stands for the whole conversation."""


class Prepared(NamedTuple):
    """Conversations that are ready to become rows."""

    conversations: list[Conversation]
    excluded: frozenset[Excluded]
    tagger: Any
    """Identity of the tagger as JSON, or "from file"."""
    turns_tagged: int
    skipped: list[BadRecord]


def load_tagged(
    source: Path,
    exclude: str | None,
    skip_bad: bool,
    tagger: TacticTagger | None,
    wanted: str = "auto",
) -> Prepared:
    """The conversations of `source`, all tagged, without those that the file `exclude` names.

    `tagger` tags supporter turns that have no tags; None builds the embedded one if any has none.
    Unusable records end it unless `skip_bad`. Raises ConfigError, DataError or GraderError.
    """
    loaded = load_conversations(source, skip_bad, wanted)
    excluded = read_exclusions(exclude, loaded.conversations)
    kept = [c for c in loaded.conversations if (c.conversation_id, None) not in excluded]
    todo = [
        Reply(history=turn.history, text=visible_reply(turn.turn.message.content).text)
        for conversation in kept
        for turn in supporter_turns(conversation)
        if turn.turn.sentence_tactics is None
    ]
    if not todo:
        return Prepared(kept, excluded, "from file", 0, loaded.bad)
    tagger = tagger or _embedded_tagger()
    answers = iter(asyncio.run(_tag_all(todo, tagger)))
    tagged = {c.conversation_id: _tagged(c, answers) for c in kept}
    done = [one for one in tagged.values() if isinstance(one, Conversation)]
    failed = [
        BadRecord(loaded.positions[name], name, f"tagger: {one.kind}: {one.message}")
        for name, one in tagged.items()
        if isinstance(one, Failure)
    ]
    if failed and not (skip_bad and done):
        raise GraderError(f"the tagger failed; {describe_bad(source, failed, len(kept))}")
    identity = identity_row(tagger.identity)
    return Prepared(done, excluded, identity, len(todo), [*loaded.bad, *failed])


def read_exclusions(path: str | None, conversations: Sequence[Conversation]) -> frozenset[Excluded]:
    """(conversation_id, turn or None for all of it) of an exclusion file; null gives none.

    Raises ConfigError when the file cannot be read, or leaves nothing; DataError with file and line
    for a wrong line, or one that fits no conversation.
    """
    if path is None:
        return frozenset()
    turns = {c.conversation_id: len(c.turns) // 2 for c in conversations}
    excluded = frozenset(
        _exclusion(line, f"{path}:{number}", turns)
        for number, line in text_lines(read_text(Path(path), "exclude="))
    )
    if {name for name, turn in excluded if turn is None} >= set(turns):
        raise ConfigError(f"exclude={path} leaves no conversation")
    return excluded


def summary(card: Mapping[str, Any], output: str) -> str:
    """A few lines on what was written."""
    lines = [
        f"{card['conversations']:,} conversations, {card['rows']:,} rows, "
        f"{card['first_turn_rows']:,} first-turn rows, {card['unique_prompts']:,} unique prompts"
    ]
    for name, split in card["splits"].items():
        lines.append(
            f"  {name:<5} {split['conversations']:>6,} conversations  {split['rows']:>7,} rows"
        )
    if card["turns_tagged"]:
        lines.append(f"{card['turns_tagged']:,} supporter turns tagged by {card['tagger']['name']}")
    if card["excluded"]:
        lines.append(f"{card['excluded']:,} entries of the exclusion file left out")
    if card["skipped"]:
        lines.append(f"{len(card['skipped']):,} records left out; card.json says why")
    if not card["splits"]["val"]["rows"]:
        lines.append("nothing is held out: set data.val_files yourself before training")
    return "\n".join([*lines, f"written to {output}"])


def _exclusion(line: str, place: str, turns: Mapping[str, int]) -> Excluded:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON: {error}") from error
    if not isinstance(row, dict) or "conversation_id" not in row:
        raise DataError(f"{place}: expected an object with conversation_id and perhaps turn")
    name, turn = row["conversation_id"], row["turn"] if "turn" in row else None
    if name not in turns:
        raise DataError(f"{place}: the input has no conversation {name!r:.60}")
    if turn is not None and (type(turn) is not int or not 0 <= turn < turns[name]):
        raise DataError(f"{place}: turn must be 0 to {turns[name] - 1}, got {turn!r:.40}")
    return name, turn


def _embedded_tagger() -> TacticTagger:
    # Imported here because it loads the encoder's libraries, which tagged files do not need.
    from rewards.build import EncoderConfig, TaggerConfig, build_encoder, build_tagger

    return build_tagger(TaggerConfig(), lambda: build_encoder(EncoderConfig()))


async def _tag_all(replies: Sequence[Reply], tagger: TacticTagger) -> list[Tagging | Failure]:
    """Answers in order; progress on stderr. An empty reply gets no sentences, unasked."""
    answers: list[Tagging | Failure] = [Tagging(sentences=())] * len(replies)
    asked = [index for index, reply in enumerate(replies) if reply.text]
    with progress_bar() as progress:
        task = progress.add_task("tagging supporter turns", total=len(asked))
        for start in range(0, len(asked), _BATCH):
            batch = asked[start : start + _BATCH]
            results = await tagger.tag([replies[index] for index in batch])
            for index, result in zip(batch, results, strict=True):
                answers[index] = result
            progress.advance(task, len(batch))
    return answers


def _tagged(
    conversation: Conversation, answers: Iterator[Tagging | Failure]
) -> Conversation | Failure:
    """The conversation with the next answers as tags of untagged turns, or its first failure."""
    turns = []
    failure: Failure | None = None
    for turn in conversation.turns:
        if turn.message.role == "supporter" and turn.sentence_tactics is None:
            answer = next(answers)
            if isinstance(answer, Failure):
                failure = failure or answer
                continue
            tactics = tuple(SentenceTactics(s.text, s.tactics) for s in answer.sentences)
            turn = replace(turn, sentence_tactics=tactics)
        turns.append(turn)
    return failure or replace(conversation, turns=tuple(turns))
