"""A running summary of what a prompt no longer shows, written by the policy itself.

A prompt shows the newest `max_history_turns` seeker turns. With `memory` the policy is asked,
before it replies, to write down what stands in the messages that have just gone out of sight,
together with what it had written of the earlier ones; its system prompt then holds that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mint.config.prompts import PromptConfig
from mint.data.control_tokens import neutralised
from rewards.text import visible_reply
from rewards.types import Failure, Message

WORDS = 60
"""Longest summary that is asked for, words."""
_SPEAKERS = {"seeker": "Person", "supporter": "You"}


class Summary(NamedTuple):
    """What the policy has written of a conversation."""

    text: str
    """"" where nothing is written yet."""
    covers: int
    """Messages, from the first, that it tells of."""
    reason: str = ""
    """Why the newest messages that are out of sight are not in it; "" where they are."""


NOTHING = Summary("", 0)


def hidden_messages(config: PromptConfig, history: Sequence[Message]) -> int:
    """How many messages of a history, from the first, its prompt does not show."""
    if config.max_history_turns is None:
        return 0
    return max(0, len(history) - (2 * config.max_history_turns - 1))


def is_due(config: PromptConfig, history: Sequence[Message], summary: Summary) -> bool:
    """Whether the policy is to write before it replies to this history."""
    return config.memory and hidden_messages(config, history) > summary.covers


def summary_request(
    config: PromptConfig, history: Sequence[Message], summary: Summary
) -> list[dict[str, str]]:
    """Chat messages that ask for the summary with what has gone out of sight since."""
    gone = history[summary.covers : hidden_messages(config, history)]
    said = "\n".join(f"{_SPEAKERS[m.role]}: {neutralised(m.content)}" for m in gone)
    before = f"Your notes so far:\n{neutralised(summary.text)}\n\n" if summary.text else ""
    asked = (
        f"{before}What was said next:\n{said}\n\nWrite your notes anew in at most {WORDS} words: "
        "names, facts, feelings and wishes of the person. Keep what matters of the notes so far."
    )
    system = "You keep notes on a conversation in which you support a person."
    return [{"role": "system", "content": system}, {"role": "user", "content": asked}]


def renewed(
    config: PromptConfig, history: Sequence[Message], summary: Summary, answer: str | Failure
) -> Summary:
    """The summary after the policy's `answer`. What is no summary leaves the earlier one, with the
    reason."""
    if isinstance(answer, Failure):
        return summary._replace(reason=f"{answer.kind}: {answer.message}")
    seen = visible_reply(answer)
    if not seen.text:
        return summary._replace(reason=f"no summary: {seen.status.value}")
    words = seen.text.split()
    # A model that does not stop must not fill the prompt that the summary is to shorten.
    return Summary(" ".join(words[: 2 * WORDS]), hidden_messages(config, history))


def with_summary(config: PromptConfig, system: str, summary: Summary | None) -> str:
    """The system prompt with the summary, where there is one."""
    if summary is None or not summary.text:
        return system
    text = neutralised(summary.text)
    if config.compact:
        return f"{system} Earlier in this conversation: {text}"
    return f"{system}\n\n# Earlier in this conversation, in your own notes\n{text}"
