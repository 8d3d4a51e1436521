"""Running summaries of given conversations, written turn by turn by the model that is to reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mint.config.prompts import PromptConfig
from mint.data.conversation import Conversation
from mint.data.memory import NOTHING, Summary, is_due, renewed, summary_request
from mint.evaluation.generation import Generation
from mint.evaluation.journal import Journal, fingerprint
from mint.evaluation.runner import Asker
from mint.evaluation.silence import OF_NOTES
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest, ReplySource, Sampling
from mint.shell.console import progress_bar
from rewards.types import Message

SUMMARY = "summary"
"""Condition of replies that were given the summary."""
NOTES = f"{SUMMARY}{OF_NOTES}"
"""Condition of the requests for it."""
_TOKENS = 160
"""Longest summary, tokens: what `mint.data.memory` asks for, and room for a model that is wordy."""


async def running_summaries(
    asker: Asker, prompts: PromptConfig, histories: Mapping[str, Sequence[Message]]
) -> dict[str, list[Summary]]:
    """Name of a conversation -> its summary before each supporter turn.

    `histories`: messages up to the seeker's last one. What the model does not answer leaves the
    summary as it was, with the reason.
    """
    found: dict[str, list[Summary]] = {name: [] for name in histories}
    length = max(map(len, histories.values()), default=0)
    task = asker.progress.add_task("summaries", total=None)
    for end in range(1, length + 1, 2):
        seen = {name: own[:end] for name, own in histories.items() if len(own) >= end}
        last = {name: found[name][-1] if found[name] else NOTHING for name in seen}
        due = [name for name, own in seen.items() if is_due(prompts, own, last[name])]
        requests = [
            ReplyRequest(
                ReplyKey(NOTES, name, end // 2, 0),
                tuple(summary_request(prompts, seen[name], last[name])),
            )
            for name in due
        ]
        answers = await asker.ask(requests, task)
        for name, answer in zip(due, answers.values(), strict=True):
            said = answer.raw if isinstance(answer, Generation) else answer
            last[name] = renewed(prompts, seen[name], last[name], said)
        for name in seen:
            found[name].append(last[name])
    return found


async def summaries_of(
    source: ReplySource,
    conversations: Sequence[Conversation],
    prompts: PromptConfig,
    journal: Path,
    seed: int,
) -> dict[tuple[str, int], Summary]:
    """(conversation, supporter turn) -> what `source` has written before it.

    The file `journal` keeps what was answered, so that an interrupted call goes on.
    """
    sampling = Sampling(
        temperature=0.7, top_p=1.0, max_new_tokens=_TOKENS, thinking=False, seed=seed
    )
    histories = {
        one.conversation_id: tuple(
            turn.message for turn in one.turns[: len(one.turns) // 2 * 2 - 1]
        )
        for one in conversations
    }
    about: dict[str, Any] = {
        "subject": source.identity,
        "sampling": asdict(sampling),
        "max_history_turns": prompts.max_history_turns,
        "conversations": fingerprint({name: str(said) for name, said in histories.items()}),
    }
    with Journal(journal, about) as kept, progress_bar(transient=True) as progress:
        asker = Asker(source=source, sampling=sampling, journal=kept, progress=progress)
        try:
            found = await running_summaries(asker, prompts, histories)
        finally:
            await source.close()
    return {(name, turn): one for name, own in found.items() for turn, one in enumerate(own)}
