"""A seeker played by a model behind an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, ClassVar

from mint.data.banks import Scenario
from mint.evaluation.seekers.dialogue import Dialogue
from mint.evaluation.sources.served import ROUTE, read_completion, request_seed
from rewards.errors import ConfigError
from rewards.serving.cassette import Request
from rewards.serving.client import GraderClient
from rewards.serving.settings import EndpointConfig
from rewards.text import visible_reply
from rewards.types import Failure, Status


@dataclass(frozen=True, kw_only=True)
class SeekerEndpoint(EndpointConfig):
    """The server of the model that plays the seeker."""

    where: ClassVar[str] = "seeker_endpoint"


class ServedSeeker:
    """A person played by an LLM."""

    def __init__(self, settings: EndpointConfig, seed: int, temperature: float) -> None:
        """Raises ConfigError when model or address are missing."""
        if not settings.model:
            raise ConfigError("seeker=served needs seeker_endpoint.urls and seeker_endpoint.model")
        self._client = GraderClient(settings)
        self._seed = seed
        self._temperature = temperature

    @property
    def identity(self) -> dict[str, Any]:
        """Model, revision, seed, temperature and the persona prompt."""
        settings = self._client.settings
        return {
            "kind": "served",
            "model": settings.model,
            "revision": settings.revision,
            "seed": self._seed,
            "temperature": self._temperature,
            "prompt": _persona(),
        }

    async def say(self, dialogues: Sequence[Dialogue]) -> list[str | Failure]:
        """See `Seeker`. The opening is the scenario's own first one."""
        asked = [dialogue for dialogue in dialogues if dialogue.history]
        requests = [Request(ROUTE, self._body(dialogue)) for dialogue in asked]
        answers = iter(await self._client.ask_all(requests, [_read_message] * len(requests)))
        return [next(answers) if d.history else d.scenario.openings[0] for d in dialogues]

    def _body(self, dialogue: Dialogue) -> dict[str, Any]:
        roles = {"seeker": "assistant", "supporter": "user"}
        return {
            "model": self._client.settings.model,
            "messages": [
                {"role": "system", "content": persona(dialogue.scenario)},
                {"role": "user", "content": "(You have opened the chat. Write first.)"},
                *({"role": roles[m.role], "content": m.content} for m in dialogue.history),
            ],
            "temperature": self._temperature,
            "max_tokens": 1024,
            "seed": request_seed(self._seed, dialogue.conversation_id, len(dialogue.history)),
        }


def persona(scenario: Scenario) -> str:
    """The system prompt of a played seeker."""
    return _persona().format(
        who=scenario.who,
        situation=scenario.situation,
        event=scenario.event,
        feelings=", ".join(scenario.feelings),
        details="\n".join(f"- {line}" for line in scenario.follow_ups),
    )


@cache
def _persona() -> str:
    file = resources.files("mint.evaluation.seekers") / "persona.txt"
    return file.read_text(encoding="utf-8").removesuffix("\n")


def _read_message(answer: Any) -> str | Failure:
    reply = read_completion(answer)
    if isinstance(reply, Failure):
        return reply
    seen = visible_reply(reply.raw)
    if seen.status is not Status.OK:
        return Failure("empty", "the seeker has said nothing visible")
    return seen.text
