"""The texts that a served seeker is asked with: package data, filled by plain replacement."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from mint.data.control_tokens import neutralised
from mint.dialogue.protocol import EmotionRules, Person
from rewards.graders.served.base import json_answer
from rewards.types import Message

_FILES = ("analysis.txt", "opening.txt", "utterance.txt", "wishes.json")
_SLOT = re.compile(r"\{\{(\w+)\}\}")

ANALYSIS = ("content", "target", "activity", "analyse", "change")
UTTERANCE = ("thinking", "response")
_HEADERS = {
    ANALYSIS: ("Content", "TargetCompletion", "Activity", "Analyse", "Change"),
    UTTERANCE: ("Thinking", "Origin", "Change", "Response"),
}
"""The header lines of SAGE's analysis and RLVER's reply."""


@functools.cache
def text(name: str) -> str:
    """A file of the package."""
    return (resources.files("mint.dialogue") / "prompts" / name).read_text(encoding="utf-8")


def prompts_sha256() -> str:
    """Hash of all texts."""
    return hashlib.sha256(json.dumps([text(name) for name in _FILES]).encode()).hexdigest()


def wish(person: Person) -> str:
    """The hidden intention in words."""
    wishes: dict[str, str] = json.loads(text("wishes.json"))
    return wishes[person.intention]


def fill(name: str, values: Mapping[str, str]) -> str:
    """A text with its slots replaced once: braces in a value stay what they are."""
    return _SLOT.sub(lambda match: values[match[1]], text(name)).strip()


def about(person: Person) -> str:
    """The person in words."""
    parts = [person.persona, person.scene, f"Aim of the talk: {person.goal}"]
    for name in ("raises", "lowers"):
        if getattr(person, name):
            parts.append(f"What {name} the emotion: {'; '.join(getattr(person, name))}.")
    if person.follow_ups:
        parts.append("Bits of the story to tell, in the person's words:")
        parts += [f"- {line}" for line in person.follow_ups]
    parts.append(f"Temper: {person.temper}. Language of all messages: {person.language}.")
    return "\n".join(parts)


def said(history: Sequence[Message]) -> str:
    """Messages as JSON, in which nothing can pass for a part of the prompt."""
    rows = [{"role": m.role, "content": neutralised(m.content)} for m in history]
    return json.dumps(rows, ensure_ascii=False, indent=1)


def state(emotion: float, rules: EmotionRules) -> str:
    """RLVER's letter of an emotion: S at the top, A from 70, B from 40, C, and F at the end."""
    if emotion >= rules.top:
        return "S"
    if rules.ended(emotion) is not None:
        return "F"
    return "A" if emotion >= 70 else "B" if emotion >= 40 else "C"


def form(names: tuple[str, ...], style: str) -> str:
    """How the answer must look."""
    if style == "json":
        return f"Answer with one JSON object with exactly the keys {', '.join(names)}, in order."
    lines = "\n".join(f"{header}:\n..." for header in _HEADERS[names])
    return f"Answer in exactly this form, each header on a line of its own:\n{lines}"


def schema(names: tuple[str, ...]) -> dict[str, Any]:
    """`response_format` of the JSON form."""
    kinds = {name: {"type": "integer" if name == "change" else "string"} for name in names}
    return json_answer("answer", kinds)
