"""A supporter turn to be written: what a file says of it, and what the policy and graders see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mint.data.conversation import Conversation, supporter_turns
from mint.data.memory import Summary
from mint.data.prompts import PromptConfig, chat_messages
from rewards.errors import DataError
from rewards.tactics import count_tactics
from rewards.types import Message

TurnTags = tuple[tuple[str, ...], ...]
"""Tactics of one supporter turn, sentence by sentence."""

_CHAT_ROLES = {"seeker": "user", "supporter": "assistant"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A supporter turn to be written, with the conversation's own earlier turns as history."""

    conversation_id: str
    turn: int
    """0-based supporter turn."""
    history: tuple[Message, ...]
    """Ends with a seeker message."""
    tags: tuple[TurnTags | None, ...]
    """Tactics of each earlier supporter turn by sentence; None where the file has none."""
    reply: str | None = None
    """What the supporter said; None where the file has only the prompts."""
    source: str = "unknown"
    model: str = "unknown"
    scenario: str = ""
    """What several conversations may be about; "" when not known."""
    summary: Summary | None = None
    """What the policy has written of the messages that its prompt does not show."""


@dataclass(frozen=True, kw_only=True)
class PromptRow:
    """A supporter turn as the policy and the graders see it."""

    conversation_id: str
    turn: int
    """0-based number of the supporter turn."""
    prompt: tuple[Message, ...]
    """The chat messages after the system prompt, possibly only the newest."""
    system: str
    """The system prompt."""
    history: tuple[Message, ...]
    """All earlier messages, without system prompt; ends with a seeker message."""
    history_tactics: tuple[TurnTags, ...]
    """Earlier supporter turns -> sentences -> tactics."""
    scenario: str = ""
    """What several conversations may be about; "" when not known."""
    summary: Summary | None = None
    """What the system prompt tells of messages that are not shown; None without memory."""

    @property
    def previous_counts(self) -> tuple[int, ...]:
        """Sentences of the last supporter turn that carry each tactic; zeros at the start."""
        return count_tactics(self.history_tactics[-1] if self.history_tactics else ())


def conversation_cases(conversations: Iterable[Conversation]) -> list[Case]:
    """Every supporter turn of the conversations, in order."""
    return [
        Case(
            conversation_id=conversation.conversation_id,
            turn=turn.turn_index,
            history=turn.history,
            tags=tuple(
                None if tags is None else tuple(sentence.tactics for sentence in tags)
                for tags in (earlier.sentence_tactics for earlier in turn.previous)
            ),
            reply=turn.turn.message.content,
            source=conversation.source,
            model=conversation.model,
            scenario=conversation.scenario,
        )
        for conversation in conversations
        for turn in supporter_turns(conversation)
    ]


def prompt_row(case: Case, prompts: PromptConfig) -> PromptRow:
    """The case with its prompt. Raises DataError unless every earlier turn is tagged."""
    tags = tuple(turn for turn in case.tags if turn is not None)
    if len(tags) != len(case.tags):
        raise DataError(f"conversation {case.conversation_id!r} has untagged supporter turns")
    system, *shown = chat_messages(prompts, case.history, tags, case.summary)
    return PromptRow(
        conversation_id=case.conversation_id,
        turn=case.turn,
        prompt=tuple(Message.parse(message) for message in shown),
        system=system["content"],
        history=case.history,
        history_tactics=tags,
        scenario=case.scenario,
        summary=case.summary,
    )


def row_messages(row: PromptRow) -> tuple[dict[str, str], ...]:
    """The chat messages of a row, system prompt first."""
    shown = [{"role": _CHAT_ROLES[m.role], "content": m.content} for m in row.prompt]
    return ({"role": "system", "content": row.system}, *shown)
