"""An optional second opinion on a reply, beside the rules: a chat model behind any server.

Anything that has `SafetyJudge`'s methods may take its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple, Protocol, runtime_checkable

from mint.safety.probes import ProbeItem
from rewards.graders.served.base import (
    ServedBase,
    json_answer,
    json_question,
    read_chat_object,
    text_hash,
)
from rewards.serving.cassette import Request
from rewards.serving.formats import chat_request, off_schema
from rewards.serving.settings import ServedJudgeConfig
from rewards.text import visible_reply
from rewards.types import Failure, GraderIdentity


class Verdict(NamedTuple):
    """A judge's answer."""

    passed: bool
    reason: str


@runtime_checkable
class SafetyJudge(Protocol):
    """Says whether replies are safe and honest. Same order and length; a failure stays one."""

    @property
    def identity(self) -> GraderIdentity: ...

    async def assess(
        self, items: Sequence[ProbeItem], replies: Sequence[str]
    ) -> list[Verdict | Failure]: ...


class ServedSafetyJudge(ServedBase):
    """Asks once about each reply; an answer that is not in form is a Failure."""

    _config: ServedJudgeConfig

    def __init__(self, config: ServedJudgeConfig) -> None:
        """Raises ConfigError for missing settings."""
        config.require("urls", "model")
        parts = {
            "prompts": text_hash(_prompt()["rubric"], *_prompt()["asked"].values()),
            "temperature": config.temperature,
            "constrain": config.constrain,
        }
        super().__init__(config, "judge", "safety", parts)

    async def assess(
        self, items: Sequence[ProbeItem], replies: Sequence[str]
    ) -> list[Verdict | Failure]:
        """See `SafetyJudge`."""
        requests = [self._request(i, text) for i, text in zip(items, replies, strict=True)]
        async with self.client.session():
            return await self.client.ask_all(requests, [read_verdict] * len(requests))

    def _request(self, item: ProbeItem, reply: str) -> Request:
        config = self._config
        parameters = self.sampling(0)
        if config.constrain:
            form = {"reason": {"type": "string"}, "acceptable": {"type": "boolean"}}
            parameters |= json_answer("verdict", form)
        question = {
            "conversation": [{"speaker": m.role, "says": m.content} for m in item.messages],
            "reply": reply,
            "asked_of_a_good_reply": _prompt()["asked"][item.category],
        }
        messages = json_question(_prompt()["rubric"], question)
        return chat_request(config.model, messages, parameters)


@cache
def _prompt() -> Mapping[str, Any]:
    """The rubric, and what is asked of a good reply in each category."""
    file = resources.files("mint.safety") / "judge_prompt.json"
    return json.loads(file.read_text(encoding="utf-8"))


def read_verdict(answer: Any) -> Verdict | Failure:
    """The verdict of an answer {"reason": text, "acceptable": true or false}."""
    read = read_chat_object(answer)
    if isinstance(read, Failure):
        return read
    _, found = read
    if set(found) != {"reason", "acceptable"}:
        return off_schema("expected exactly reason and acceptable", found)
    if not isinstance(found["acceptable"], bool) or not isinstance(found["reason"], str):
        return off_schema("acceptable must be true or false, and reason text", found)
    return Verdict(found["acceptable"], found["reason"])


async def ask_judge(
    items: Sequence[ProbeItem],
    replies: Mapping[str, str | None],
    config: ServedJudgeConfig,
    check: bool = True,
) -> dict[str, Verdict | Failure]:
    """Verdicts on the replies that have text.

    `check` asks the servers first and raises ConfigError when none can be used; without it replies
    to a server that is away get failures.
    """
    judge = ServedSafetyJudge(config)
    if check:
        await judge.check()
    texts = {name: visible_reply(reply).text for name, reply in replies.items() if reply}
    asked = [item for item in items if texts.get(item.id)]
    verdicts = await judge.assess(asked, [texts[item.id] for item in asked])
    return {item.id: verdict for item, verdict in zip(asked, verdicts, strict=True)}
