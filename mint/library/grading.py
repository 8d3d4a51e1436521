"""Tags, ratings and rewards of texts that other code has at hand."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from rewards.build import EncoderConfig, Graders, JudgeConfig, TaggerConfig, ready_graders
from rewards.errors import DataError
from rewards.formula import RewardWeights, group_rewards
from rewards.scorer import ReplyScorer, ScoringRequest
from rewards.tactics import NUM_TACTICS
from rewards.text import split_sentences
from rewards.types import (
    Failure,
    Message,
    Rating,
    Reply,
    ScalarRating,
    Signals,
    Tagging,
)

Chat = Sequence[Mapping[str, str]]
"""Messages {"role", "content"}; roles are user (or seeker), assistant (or supporter), system."""
Result = TypeVar("Result")


def load_graders(
    *,
    encoder: EncoderConfig | None = None,
    tagger: TaggerConfig | None = None,
    judge: JudgeConfig | None = None,
) -> Graders:
    """The tactic tagger and the empathy judge; without settings the shipped ones, which need no
    network (2 seconds). Both answer a list of the length they were given, in its order.

    Raises ConfigError for settings that cannot be used and servers that do not answer.
    """
    asked = (encoder or EncoderConfig(), tagger or TaggerConfig(), judge or JudgeConfig())
    return apart(lambda: ready_graders(*asked))


def tag(replies: Sequence[str], graders: Graders | None = None) -> list[Tagging | Failure]:
    """The tactics of N replies: N results in order, each with its sentences, their tactics (of
    `rewards.tactics.TACTIC_NAMES`) and a probability in [0, 1] for each of the ten.

    A reply that cannot be tagged is a Failure with its reason. `graders`: loaded once by
    `load_graders`, for more than one call. Raises TypeError for a single text.
    """
    if isinstance(replies, str):
        raise TypeError("tag takes a list of replies: tag([reply])")
    tagger = (graders or load_graders()).tagger
    return _now(tagger.tag([Reply(history=(), text=reply) for reply in replies]))


def judge(
    chats: Sequence[Chat], graders: Graders | None = None
) -> list[Rating | ScalarRating | Failure]:
    """The empathy of the last message of N chats, which is the assistant's: N results in order.

    A Rating has six dimensions and their `aggregate`, each in [1, 5] (higher is better for the
    aggregate), and what it was joined from; a reward model gives a ScalarRating without bounds; a
    reply that cannot be rated is a Failure with its reason. System messages are not shown to the
    judge. Raises DataError for a chat that does not end with the assistant.
    """
    found = []
    for number, chat in enumerate(chats):
        history, last = _split(chat, number)
        found.append(Reply(history=history, text=last))
    return list(_now((graders or load_graders()).judge.rate(found)))


def chat_rewards(
    prompts: Sequence[Chat],
    replies: Sequence[str],
    num_tokens: Sequence[int],
    *,
    graders: Graders,
    weights: RewardWeights | None = None,
) -> list[float]:
    """MINT's reward of N replies to N prompts, in order (`rewards.formula`; unbounded, about 0 to 2
    with the default weights).

    Neighbours with the same prompt are siblings, within whom ratings and novelty are scaled; give
    every group whole. `num_tokens`: length of each visible reply in the policy's tokens. A reply
    that could not be graded gets the mean of its siblings, so that it has no advantage, and a group
    of which too few could be graded gets 0 throughout. Novelty is measured against the last
    assistant message of the prompt, which the tagger reads.

    Raises GraderError when a grader cannot be used at all, DataError for a prompt without user.
    """
    used = weights or RewardWeights()
    signals = _now(score_chats(prompts, replies, num_tokens, graders, used))
    groups = [signals[start : start + size] for start, size in _groups(prompts)]
    return [score for group in groups for score in group_rewards(group, used).scores]


async def score_chats(
    prompts: Sequence[Chat],
    replies: Sequence[str],
    num_tokens: Sequence[int],
    graders: Graders,
    weights: RewardWeights,
) -> list[Signals]:
    """The raw signals of N replies to N prompts, in order: what `rewards.formula.group_rewards` and
    `raw_reward` make rewards of. Arguments and errors are those of `chat_rewards`."""
    known = [
        own
        for start, size in _groups(prompts)
        for own in [await _earlier(prompts[start], start, graders)] * size
    ]
    requests = [
        ScoringRequest(
            raw_reply=reply,
            history=history,
            previous_counts=tuple(map(float, counts)),
            history_tactics=tactics,
            num_tokens=length,
            truncated=False,
        )
        for reply, length, (history, counts, tactics) in zip(
            replies, num_tokens, known, strict=True
        )
    ]
    return await ReplyScorer(*graders, surprisals=weights.used_surprisals()).score(requests)


def _groups(prompts: Sequence[Chat]) -> list[tuple[int, int]]:
    """First place and size of each run of equal prompts."""
    sizes = [len(list(same)) for _, same in itertools.groupby(prompts, key=_key)]
    return list(zip(itertools.accumulate(sizes, initial=0), sizes, strict=False))


Earlier = tuple[tuple[Message, ...], Sequence[int], tuple[tuple[tuple[str, ...], ...], ...]]
"""History, tactic counts of its last supporter turn, tactics of all of them."""


async def _earlier(prompt: Chat, number: int, graders: Graders) -> Earlier:
    history = _messages(prompt)
    if not history or history[-1].role != "seeker":
        raise DataError(f"prompt {number} must end with a message of the user")
    said = [
        Reply(
            history=history[:i],
            text=message.content,
            sentences=tuple(split_sentences(message.content)),
        )
        for i, message in enumerate(history)
        if message.role == "supporter"
    ]
    counts: Sequence[int] = (0,) * NUM_TACTICS
    tactics = []
    for tagging in await graders.tagger.tag(said) if said else []:
        if isinstance(tagging, Failure):
            raise DataError(
                f"prompt {number}: an earlier message cannot be tagged: {tagging.message}"
            )
        counts = tagging.counts
        tactics.append(tuple(sentence.tactics for sentence in tagging.sentences))
    return history, counts, tuple(tactics)


def _split(chat: Chat, number: int) -> tuple[tuple[Message, ...], str]:
    messages = _messages(chat)
    if not messages or messages[-1].role != "supporter":
        raise DataError(f"chat {number} must end with a message of the assistant, which is rated")
    return messages[:-1], messages[-1].content


def _messages(chat: Chat) -> tuple[Message, ...]:
    return tuple(Message.parse(message) for message in chat if message["role"] != "system")


def _key(prompt: Chat) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in prompt]


def _now(work: Coroutine[Any, Any, Result]) -> Result:
    return apart(lambda: asyncio.run(work))


def apart(work: Callable[[], Result]) -> Result:
    """What `work` gives, in a thread of its own where a loop runs already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
