"""One reply to one prompt: verl's loop for it without work that nobody reads the result of.

`rollout.agent.default_agent_loop: mint_reply` chooses it. `agent_loops.yaml` alone registers it:
verl's decorator `register` would overwrite that entry.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

_KEPT = 1024
"""Prompts whose tokens are kept; more than a step has."""


class ReplyLoop(SingleTurnAgentLoop):
    """Rewards come from token ids, so vLLM makes no text; siblings share their prompt's tokens."""

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        return await super().run({**sampling_params, "detokenize": False}, **row)

    async def ct_build_initial_tokens(
        self, messages: list[dict[str, Any]], **media: Any
    ) -> list[int]:
        if any(media.values()):
            return await super().ct_build_initial_tokens(messages, **media)
        text = json.dumps([dict(message) for message in messages])
        return self._cap_text_prompt_length(
            list(_tokens(_Prompt(text, self.continuous_token_builder)))
        )


@dataclass(frozen=True)
class _Prompt:
    messages: str
    """As JSON."""
    builder: Any = field(compare=False)
    """verl's; those of a process have the same tokenizer and template."""


@functools.lru_cache(maxsize=_KEPT)
def _tokens(prompt: _Prompt) -> tuple[int, ...]:
    return tuple(prompt.builder.build_initial_tokens(json.loads(prompt.messages)))
