"""The policy in one conversation, token by token: what is served is what is trained on.

The prompt only ever grows: tokens that the policy has sampled are kept as they are (encoding their
text again may give others), and what the seeker says is appended by verl's Continuous Token
builder. The seeker's tokens and what a template adds have mask 0 and log-probability 0.0.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from mint.dialogue.protocol import Lost, Who
from mint.dialogue.talk import Said
from mint.policy.chat import after_reply
from mint.policy.replies import decode_reply, prompt_end
from rewards.text import with_opened_thought

ResultT = TypeVar("ResultT")


class Room(NamedTuple):
    """How many tokens there may be."""

    prompt: int
    """In the first prompt: system prompt and opening (`rollout.prompt_length`)."""
    response: int
    """From the first reply to the last (`rollout.response_length`)."""
    context: int | None
    """In all (`rollout.max_model_len`); None: only the two above count."""
    reply: int
    """Least room worth a further reply (`DialogueRules.min_turn_tokens`)."""


class Tokens(NamedTuple):
    """A conversation's tokens. Lists after the prompt are of one length."""

    prompt: list[int]
    response: list[int]
    mask: list[int]
    """1: sampled by the policy."""
    log_probs: list[float]


class TokenPolicy:
    """`mint.dialogue.talk.Policy` on verl's inference servers. One object a conversation."""

    def __init__(
        self, builder: Any, tokenizer: Any, server: Any, sampling: dict[str, Any], room: Room,
        request_id: str,
    ) -> None:  # fmt: skip
        """`builder`: verl's Continuous Token builder; `server`: its `LLMServerClient`;
        `request_id`: keeps the conversation on one server, whose cache knows its beginning."""
        self._builder, self._tokenizer, self._server = builder, tokenizer, server
        self._sampling, self._room, self._request_id = sampling, room, request_id
        after = tokenizer.encode(after_reply(tokenizer), add_special_tokens=False)
        self._end: list[int] = after or [tokenizer.eos_token_id]
        """What stands between a reply and the next message."""
        self._messages: list[dict[str, str]] = []
        self._ids: list[int] = []
        self._mask: list[int] = []
        self._log_probs: list[float] = []
        self.spans: list[tuple[int, int]] = []
        """First token of each reply and the one after its last, counted from the first reply."""
        self.steps: list[int] = []
        """Versions of the weights that replied."""
        self.num_preempted = -1

    async def start(self, messages: Sequence[dict[str, str]]) -> bool:
        """See `Policy`. Compared here: verl's own method cuts long prompts from the left, system
        prompt first."""
        ids = await _in_thread(self._builder.build_initial_tokens, list(messages))
        if len(ids) > self._room.prompt or self._left(len(ids), 0) < self._room.reply:
            return False
        self._messages, self._ids = list(messages), list(ids)
        return True

    async def reply(self, max_tokens: int) -> Said | Lost:
        """See `Policy`."""
        limit = min(max_tokens, self._left(len(self._ids), len(self._mask)))
        answer = await self._server.generate(
            request_id=self._request_id,
            prompt_ids=list(self._ids),
            # A copy: all siblings are given one dictionary.
            sampling_params={**self._sampling, "max_tokens": limit},
        )
        tokens = list(answer.token_ids)[:limit]
        if not tokens or answer.stop_reason == "aborted":
            return Lost(Who.SERVER, "reply", answer.stop_reason or "empty", "no tokens came back")
        if answer.log_probs is None or len(answer.log_probs) < len(tokens):
            return Lost(Who.SERVER, "reply", "no_log_probs", "the server gave no log-probabilities")
        text = decode_reply(self._tokenizer, "", tokens)
        raw = with_opened_thought(prompt_end(self._tokenizer, self._ids), text)
        self._append(tokens, 1, answer.log_probs[: len(tokens)])
        self.spans.append((len(self._mask) - len(tokens), len(self._mask)))
        self._messages.append({"role": "assistant", "content": text})
        self._note(answer)
        # A stop and the limit look alike to the server: both are "completed".
        return Said(raw, len(tokens), len(tokens) < limit or self._ends(tokens))

    async def hear(self, message: str) -> bool:
        """See `Policy`."""
        heard = [*self._messages, {"role": "user", "content": message}]
        ended = [*self._ids, *self._unwritten()]
        merged = await _in_thread(self._builder.merge_context_tokens, self._messages, heard, ended)
        added = list(merged.token_ids)[len(self._ids) :]
        ids, said = len(self._ids) + len(added), len(self._mask) + len(added)
        if merged.removed_prefix_token_count:
            raise ValueError(
                f"{type(self._builder).__name__}: models of this family take back tokens that they "
                "have sampled; dialogues cannot be trained with them"
            )
        if self._left(ids, said) < self._room.reply:
            return False
        self._append(added, 0, [0.0] * len(added))
        self._messages = heard
        return True

    def tokens(self) -> Tokens:
        """All tokens up to the policy's last one: a reward on a later one would be lost. Without
        any reply a single end token with mask 0, because a row cannot be empty."""
        length = self.spans[-1][1] if self.spans else 0
        start = len(self._ids) - len(self._mask)
        end = self._tokenizer.eos_token_id
        if not length:
            return Tokens(self._ids[:start] or [end], [end], [0], [0.0])
        return Tokens(
            self._ids[:start],
            self._ids[start : start + length],
            self._mask[:length],
            self._log_probs[:length],
        )

    def _append(self, ids: Sequence[int], mask: int, log_probs: Sequence[float]) -> None:
        self._ids += ids
        self._mask += [mask] * len(ids)
        self._log_probs += log_probs

    def _left(self, ids: int, said: int) -> int:
        """Tokens that the next reply may have: one is kept for an end it may not reach."""
        left = self._room.response - said
        if self._room.context is not None:
            left = min(left, self._room.context - ids)
        return left - 1

    def _ends(self, ids: Sequence[int]) -> bool:
        return bool(ids) and ids[-1] in (self._end[0], self._tokenizer.eos_token_id)

    def _unwritten(self) -> list[int]:
        """What is missing of `_end`: a reply stops at its first token, a cut one before it, and
        the builder adds what comes then for some families only."""
        told = (n for n in range(len(self._end), 0, -1) if self._ids[-n:] == self._end[:n])
        return self._end[next(told, 0) :]

    def _note(self, answer: Any) -> None:
        known = (answer.extra_fields.get(f"{end}_global_steps") for end in ("min", "max"))
        self.steps += [int(step) for step in known if step is not None]
        if answer.num_preempted is not None:
            self.num_preempted = max(0, self.num_preempted) + int(answer.num_preempted)


async def _in_thread(function: Callable[..., ResultT], *arguments: Any) -> ResultT:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, functools.partial(function, *arguments))
