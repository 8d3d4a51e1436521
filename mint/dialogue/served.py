"""The LLM seeker: a model behind any OpenAI-compatible server plays the person.

Two calls a turn, as in RLVER and SAGE: an analysis with one whole change of emotion, which is
applied, and then the utterance in the new state. An answer that cannot be read is asked for again,
a few times, and then the turn is lost: never a number, never an empty line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from mint.config.seeker import SeekerEndpoint
from mint.dialogue import asking
from mint.dialogue.answers import Analysis, read_analysis, read_utterance
from mint.dialogue.faults import fault
from mint.dialogue.presets import STEADY, Preset
from mint.dialogue.protocol import EmotionRules, Ended, Heard, Lost, SeekerTurn, Who
from rewards.serving.client import RETRIED, GraderClient
from rewards.serving.formats import chat_request, read_chat, request_seed
from rewards.types import Failure

ParsedT = TypeVar("ParsedT")
_ASKED_AGAIN = frozenset({"off_schema", "out_of_range", "truncated", "empty"})
_SERVER = RETRIED | {"unauthorized", "client_error", "circuit_open", "not_recorded", "malformed"}
_LARGEST = 100.0
"""Largest change that can be meant where the rules set no limit."""
_LINES = 2
"""Lines written for one turn at most: the first, and one more where it has a fault."""


_GOODBYE = re.compile(
    r"\b(?:good-?bye|bye)(?: for now| then|,? and thank you| bye)?\W*$|再见|拜拜", re.IGNORECASE
)
"""RLVER ends a talk when the person says goodbye."""


class _Line(NamedTuple):
    """A line without faults, and the faults of those that were refused before it."""

    text: str | None
    faults: tuple[str, ...]


class ServedSeeker:
    """A seeker played by an LLM; record and replay are those of the client."""

    def __init__(self, preset: Preset, settings: SeekerEndpoint) -> None:
        """Raises ConfigError when model or address are missing."""
        settings.require("urls", "model")
        self.preset = preset
        self.client = GraderClient(settings)
        self._settings = settings

    @property
    def identity(self) -> dict[str, Any]:
        """Kind, preset, model, revision, sampling, and the hash of the prompts."""
        settings = self._settings
        names = ("model", "revision", "seed", "temperature", "max_tokens", "style", "constrain")
        return {
            "kind": "served",
            "preset": self.preset.name,
            **{name: getattr(settings, name) for name in names},
            "prompts": asking.prompts_sha256(),
        }

    @property
    def rules(self) -> EmotionRules:
        """See `Seeker`."""
        return self.preset.rules

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        """See `Seeker`. A given opening is said as it stands."""
        if not heard.history:
            return await self._open(heard)
        analysis = await self._analyse(heard)
        if isinstance(analysis, Failure):
            return _lost("analysis", analysis)
        emotion = self.rules.after(heard.emotion, analysis.change)
        ended: Ended | None = self.rules.ended(emotion)
        said = await self._say(heard, "utterance.txt", emotion, analysis)
        if isinstance(said, Lost) and ended is None:
            return said
        # Where it has ended, the outcome is known and only the goodbye may be missing.
        line = _Line(None, ()) if isinstance(said, Lost) else said
        if ended is None and self.preset.name != STEADY and _GOODBYE.search(line.text or ""):
            ended = Ended.CLOSED
        return SeekerTurn(
            message=line.text,
            emotion=emotion,
            change=emotion - heard.emotion,
            reason=analysis.texts["analyse"],
            ended=ended,
            faults=line.faults,
        )

    async def _open(self, heard: Heard) -> SeekerTurn | Lost:
        said: _Line | Lost = _Line(heard.person.opening, ())
        if heard.person.opening is None:
            said = await self._say(heard, "opening.txt", heard.emotion, None)
        if isinstance(said, Lost):
            return said
        return SeekerTurn(
            message=said.text, emotion=heard.emotion, change=0.0, reason="opens", faults=said.faults
        )

    async def _analyse(self, heard: Heard) -> Analysis | Failure:
        rules, style = self.rules, self._settings.style
        largest = _LARGEST if rules.max_change is None else rules.max_change
        prompt = asking.fill(
            "analysis.txt",
            {
                **self._about(heard),
                "emotion": f"{heard.emotion:g}",
                "state": asking.state(heard.emotion, rules),
                "low": f"{rules.floor:g}",
                "history": asking.said(heard.history[:-1]),
                "reply": asking.said(heard.history[-1:]),
                "least": f"{-largest:g}",
                "most": f"{largest:g}",
                "form": asking.form(asking.ANALYSIS, style),
            },
        )
        return await self._ask(
            heard,
            "analysis",
            prompt,
            asking.ANALYSIS,
            lambda text: read_analysis(text, style, largest),
        )

    async def _say(
        self, heard: Heard, name: str, emotion: float, analysis: Analysis | None
    ) -> _Line | Lost:
        """The next line; lost where two in a row have faults."""
        style = self._settings.style
        faults: list[str] = []
        refused = ""
        while len(faults) < _LINES:
            prompt = asking.fill(
                name,
                {
                    **self._about(heard),
                    "history": asking.said(heard.history),
                    "state": asking.state(emotion, self.rules),
                    "planning": _planning(analysis),
                    "again": _again(faults),
                    "form": asking.form(asking.UTTERANCE, style),
                },
            )
            stage = f"utterance{len(faults)}"
            said = await self._ask(
                heard, stage, prompt, asking.UTTERANCE, lambda text: read_utterance(text, style)
            )
            if isinstance(said, Failure):
                return _lost("utterance" if heard.history else "open", said)
            found = fault(said.response, heard.person, heard.history)
            if found is None:
                return _Line(said.response, tuple(faults))
            faults.append(found)
            refused = said.response
        told = f"{_LINES} lines were refused: {', '.join(faults)}; the last: {refused!r:.120}"
        return Lost(Who.SEEKER, "utterance" if heard.history else "open", "faulty", told)

    def _about(self, heard: Heard) -> dict[str, str]:
        return {
            "person": asking.about(heard.person),
            "wish": asking.wish(heard.person),
            "manner": self.preset.manner,
        }

    async def _ask(
        self,
        heard: Heard,
        stage: str,
        prompt: str,
        names: tuple[str, ...],
        read: Callable[[str], ParsedT | Failure],
    ) -> ParsedT | Failure:
        """A parsed answer; what cannot be parsed is asked again with another seed."""
        settings = self._settings
        answer: ParsedT | Failure = Failure("off_schema", "never asked")
        for attempt in range(settings.parse_retries + 1):
            parameters: dict[str, Any] = {
                "temperature": settings.temperature,
                "max_tokens": settings.max_tokens,
                "seed": _seed(settings.seed, heard, stage, attempt),
            }
            if settings.style == "json" and settings.constrain:
                parameters |= asking.schema(names)
            request = chat_request(
                settings.model, [{"role": "user", "content": prompt}], parameters
            )
            answer = await self.client.ask(request, lambda raw: _parsed(raw, read))
            if not isinstance(answer, Failure) or answer.kind not in _ASKED_AGAIN:
                break
        return answer


def _parsed(raw: Any, read: Callable[[str], ParsedT | Failure]) -> ParsedT | Failure:
    chat = read_chat(raw)
    return chat if isinstance(chat, Failure) else read(chat.text)


def _seed(own: int, heard: Heard, stage: str, attempt: int) -> int:
    """The seed of one request, below 2^31: of person, seed and history, and of nothing else."""
    said = asking.said(heard.history)
    return request_seed(own, heard.person.id, heard.seed, said, stage, attempt)


def _planning(analysis: Analysis | None) -> str:
    if analysis is None:
        return ""
    return "\n".join(f"- {name}: {value}" for name, value in analysis.texts.items())


def _again(faults: list[str]) -> str:
    if not faults:
        return ""
    return f"A first version was refused ({faults[-1].replace('_', ' ')}); write another one.\n"


def _lost(stage: str, failure: Failure) -> Lost:
    who = Who.SERVER if failure.kind in _SERVER else Who.SEEKER
    return Lost(who, stage, failure.kind, failure.message)
