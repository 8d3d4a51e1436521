"""A seeker scripted from banks.

The bank seeker follows rules: it opens up when it is validated, answers questions, turns short
after unasked-for advice and shorter when it is brushed off or hears the same message again. What
it says is a function of scenario, seed and the conversation so far, and it never says a line
twice. It knows advice and validation by the reply's wording or by its tags, so a dialogue depends
a little on the tagger, which the journal records.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from typing import Any

from mint.data.banks import Scenario
from mint.evaluation.metrics.wording import words
from mint.evaluation.seekers.dialogue import Dialogue
from rewards.errors import ConfigError
from rewards.text import split_sentences
from rewards.types import Failure

MAX_TURNS = 30
"""Supporter turns a bank seeker can answer without repeating itself."""
_START, _MOST_OPEN = 2, 4
_CHANGES = {
    "validated": 1,
    "asked": 0,
    "asked_feeling": 0,
    "neutral": 0,
    "advised": -1,
    "repeated": -1,
    "silent": -1,
    "dismissed": -2,
}
REACTIONS = tuple(_CHANGES)
"""Ways in which a bank seeker takes a reply."""

_DISMISSING = re.compile(
    r"get over it|overreact|not (that|such a) big|(could|have it|has it) (be )?worse|calm down"
    r"|don't worry|stop (worrying|complaining|feeling|dwelling)|cheer up|bright side|it's nothing"
    r"|just (move on|forget|relax)|no reason to (feel|be)|too sensitive|being dramatic"
)
_ADVISING = re.compile(
    r"\byou (should|could|might want to|need to|ought to|must|can (try|always))\b"
    r"|have you (tried|considered|thought (about|of))|why don't you|how about \w+ing"
    r"|\btry (to|\w+ing)|i('d| would) (suggest|recommend)|consider \w+ing|might help to"
    r"|make sure (to|you)"
)
_VALIDATING = re.compile(
    r"makes? (perfect |a lot of |complete )?sense|understandabl|any(one|body) would|no wonder"
    r"|of course you|every (right|reason) to|(it's|is) (ok|okay|normal|natural|all right)\b"
    r"|not alone|(sounds?|seems|must (be|feel|have been)|that's|that is)"
    r" (so |really |very |incredibly )?"
    r"(hard|tough|heavy|painful|difficult|exhausting|frustrating|lonely|a lot)"
    r"|\bsorry\b|valid\b|sounds? (like|as if)|i (can )?hear (that|how|you)|\bso you\b"
    r"|you('re| are) (saying|telling)"
)
_UNDERSTANDING = frozenset({"validation", "paraphrasing"})
_FEELING = re.compile(r"\bfeel|\bemotion|\bmood\b")
_OPENING_WORDS = 5


class BankSeeker:
    """The scripted seeker."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lines = load_lines()

    @property
    def identity(self) -> dict[str, Any]:
        """Kind, seed and number of lines."""
        return {"kind": "bank", "seed": self._seed, "lines": self._lines}

    async def say(self, dialogues: Sequence[Dialogue]) -> list[str | Failure]:
        """See `Seeker`; never fails."""
        return [self.next_message(dialogue) for dialogue in dialogues]

    def next_message(self, dialogue: Dialogue) -> str:
        """What the person says next."""
        script = _Script(dialogue.scenario, self._lines, f"{self._seed}:{dialogue.conversation_id}")
        message = script.opening
        for kind in reactions(dialogue):
            message = script.react(kind)
        return message


def reactions(dialogue: Dialogue) -> list[str]:
    """How the person has taken each supporter message of a dialogue."""
    replies = [m.content for m in dialogue.history if m.role == "supporter"]
    return [
        reaction(reply, replies[:number], used)
        for number, (reply, used) in enumerate(zip(replies, dialogue.tactics, strict=True))
    ]


def reaction(reply: str, earlier: Sequence[str], tactics: Collection[str]) -> str:
    """How the person takes a reply; one of `REACTIONS`.

    `earlier`: the supporter's replies before; `tactics`: those found in this one.

    >>> reaction("You should sleep more.", [], ())
    'advised'
    >>> reaction("No wonder you are worn out. What happened then?", [], ())
    'asked'
    """
    text = reply.lower().replace("’", "'")
    if not any(character.isalnum() for character in text):
        return "silent"
    if _DISMISSING.search(text):
        return "dismissed"
    if any(_alike(reply, other) for other in earlier):
        return "repeated"
    questions = [s for s in split_sentences(text) if s.rstrip("\"')").endswith("?")]
    questions = [question for question in questions if not _ADVISING.search(question)]
    validated = bool(_UNDERSTANDING & set(tactics)) or _VALIDATING.search(text) is not None
    advised = "advice" in tactics or _ADVISING.search(text) is not None
    if advised and not (questions or validated):
        return "advised"
    if questions:
        return "asked_feeling" if any(_FEELING.search(q) for q in questions) else "asked"
    return "validated" if validated else "neutral"


def load_lines() -> dict[str, list[str]]:
    """Reaction -> lines, from the shipped file. Raises ConfigError when it is not complete."""
    file = resources.files("mint.evaluation.seekers") / "lines.json"
    lines = json.loads(file.read_text(encoding="utf-8"))
    if set(lines) != set(REACTIONS):
        raise ConfigError(f"{file} must have lines for {', '.join(REACTIONS)}")
    return lines


def _alike(reply: str, other: str) -> bool:
    """Whether two replies begin with the same five words or share most of their words."""
    a, b = words(reply), words(other)
    if len(a) >= _OPENING_WORDS and a[:_OPENING_WORDS] == b[:_OPENING_WORDS]:
        return True
    both = set(a) | set(b)
    return bool(both) and len(set(a) & set(b)) / len(both) > 0.8


class _Script:
    """One person's lines in this conversation; each is used at most once."""

    def __init__(self, scenario: Scenario, lines: Mapping[str, Sequence[str]], seed: str) -> None:
        rng = random.Random(seed)
        self.opening = rng.choice(scenario.openings)
        self._follow_ups = list(scenario.follow_ups)
        feelings = list(scenario.feelings)
        rng.shuffle(feelings)
        self._pools: dict[str, list[str]] = {}
        for name, own in lines.items():
            shuffled = rng.sample(list(own), len(own))
            self._pools[name] = [
                line.replace("{feeling}", feelings[i % len(feelings)])
                for i, line in enumerate(shuffled)
            ]
        self._open = _START

    def react(self, kind: str) -> str:
        """The next message: a reaction, and more of the story the more open the person is."""
        self._open = max(0, min(_MOST_OPEN, self._open + _CHANGES[kind]))
        parts = [self._line(kind)]
        told = 0 if kind in ("dismissed", "silent") or self._open == 0 else 1
        if kind == "validated" and self._open == _MOST_OPEN and len(self._follow_ups) > 2:
            told = 2
        for _ in range(min(told, len(self._follow_ups))):
            parts.append(self._follow_ups.pop(0))
        return " ".join(parts)

    def _line(self, kind: str) -> str:
        for name in (kind, "neutral", "asked_feeling", *self._pools):
            if self._pools[name]:
                return self._pools[name].pop()
        raise ConfigError(f"a bank seeker has lines for {MAX_TURNS} turns; lower turns")
