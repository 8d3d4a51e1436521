"""Chats as the token ids that a model is tuned on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mint.policy.chat import after_reply, render_chat
from mint.policy.warm_start import Example

Chat = Sequence[Mapping[str, str]]


class Encoder:
    """Renders chats with a tokenizer's own template."""

    def __init__(
        self, tokenizer: Any, max_length: int, *, enable_thinking: bool | None = None
    ) -> None:
        """`enable_thinking` is passed to the template, None passes nothing."""
        self._tokenizer, self._max_length = tokenizer, max_length
        self._arguments = {} if enable_thinking is None else {"enable_thinking": enable_thinking}
        self._end = after_reply(tokenizer).rstrip() or str(tokenizer.eos_token)

    def __call__(self, messages: Chat, reply: str | None, *, apart: bool = False) -> Example | None:
        """The prompt up to where the reply begins, and the reply with the end of its message.

        Where both are longer than `max_length`, the oldest messages after the system prompt are
        dropped, two at a time; None when what is left is still too long. `apart`: the prompt is
        shortened as if the reply had a fourth of `max_length`, so that nothing of it can be told
        from the prompt, and a reply that needs more is cut. Raises ConfigError for messages that
        the template refuses.
        """
        kept, room = list(messages), self._max_length // 4 if apart else 0
        while True:
            example = self._encode(kept, None if apart else reply)
            if example.num_tokens + room <= self._max_length:
                break
            first = int(kept[0]["role"] == "system")
            if len(kept) - first < 3:
                return None
            del kept[first : first + 2]
        if not apart:
            return example
        prompt, said = self._encode(kept, reply)
        return Example(prompt, said[: self._max_length - len(prompt)])

    def _encode(self, messages: Chat, reply: str | None) -> Example:
        text = render_chat(self._tokenizer, messages, **self._arguments)
        said = "" if reply is None else reply.strip() + self._end
        prompt, after = self._tokenizer([text, said], add_special_tokens=False)["input_ids"]
        return Example(prompt, after if said else [])
