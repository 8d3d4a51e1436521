"""Tactics of the earlier supporter turns of cases that came without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mint.data.rows import Case
from mint.evaluation.journal import Journal
from rewards.errors import GraderError
from rewards.protocols import TacticTagger
from rewards.text import split_sentences
from rewards.types import Failure, Reply


async def tag_missing(
    cases: Sequence[Case], tagger: TacticTagger, journal: Journal
) -> tuple[list[Case], int]:
    """The cases with every earlier turn tagged, and how many turns the tagger had to tag.

    Tags are kept in `journal`. Raises GraderError when a turn cannot be tagged: prompts and
    stickiness would rest on a guess.
    """
    untagged = {
        (case.conversation_id, number): _supporter_reply(case, number)
        for case in cases
        for number, tags in enumerate(case.tags)
        if tags is None
    }
    todo = {key: reply for key, reply in untagged.items() if journal.get("tags", key) is None}
    answers = await tagger.tag(list(todo.values())) if todo else []
    for (conversation, turn), answer in zip(todo, answers, strict=True):
        if isinstance(answer, Failure):
            raise GraderError(
                f"supporter turn {turn} of conversation {conversation!r} cannot be tagged: "
                f"{answer.kind}: {answer.message}"
            )
        journal.add("tags", {(conversation, turn): [s.tactics for s in answer.sentences]})
    tagged = {
        key: tuple(tuple(names) for names in journal.get("tags", key) or ()) for key in untagged
    }
    complete = [
        replace(
            case,
            tags=tuple(
                tagged[case.conversation_id, number] if tags is None else tags
                for number, tags in enumerate(case.tags)
            ),
        )
        for case in cases
    ]
    return complete, len(untagged)


def _supporter_reply(case: Case, number: int) -> Reply:
    position = [i for i, m in enumerate(case.history) if m.role == "supporter"][number]
    text = case.history[position].content
    return Reply(history=case.history[:position], text=text, sentences=tuple(split_sentences(text)))
