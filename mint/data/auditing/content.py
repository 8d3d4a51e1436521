"""Content that does not belong into support data: code, jailbreaks, role play, tasks, broken turns.

Each rule gives the words that decided. They are cues, not verdicts: somebody may talk about their
job and quote a line of code. Every pattern takes linear time: what may repeat without end starts
where it cannot start again, or has a limit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mint.data.control_tokens import CONTROL_TOKEN
from rewards.types import Message

_CODE = re.compile(
    r"```|</?(?:html|div|script|body|span|table)\b|#include\s*<|\bconsole\.log\(|\bSystem\.out\.print"
    r"|\bdef\s+\w+\(.{0,300}\):|\bpublic\s+(?:static\s+)?(?:void|class|int)\b|\bimport\s+(?:numpy|pandas|os"
    r"|java|React)\b|\bSELECT\s[\w*,\s]{1,300}\sFROM\s+\w+|\bfunction\s+\w*\([\w,\s]*\)\s*\{|=>\s*\{"
    r"|\bfor\s*\(\s*(?:int|let|var)\b|\\(?:frac|begin|sum)\{",
)
_JAILBREAK = re.compile(
    r"\b(?:ignore|disregard|forget)\s+(?:all\s+|any\s+|your\s+|the\s+)*(?:previous|prior|above|earlier"
    r"|ethical|safety)\s+(?:instructions?|prompts?|rules|guidelines)"
    r"|\bjailbreak|\bdeveloper\s+mode\b|\bdo\s+anything\s+now\b|(?-i:\bDAN\b)"
    r"|\bno\s+(?:ethical|moral)\s+(?:limits|restrictions|guidelines)|\bwithout\s+(?:any\s+)?(?:restrictions|censorship"
    r"|filters?)\b"
    r"|\bunfiltered\b|\b(?:product|licen[cs]e|activation|serial)\s+keys?\b"
    r"|\b(?:never|don't|do not|must not|cannot)\s+(?:break|leave)\s+character\b"
    r"|\bstay\s+in\s+character\b"
    r"|\bas\s+an\s+(?:unrestricted|evil|uncensored)\b|\bsystem\s+prompt\b",
    re.IGNORECASE,
)
_ROLE_PLAY = re.compile(
    r"\b(?:act|pretend|behave|respond|roleplay|role-play|simulate)\s+(?:as|like|to\s+be"
    r"|that\s+you\s+are)\s+(?:an?|my|if|the)\b|\byou\s+are\s+now\s+(?:an?|my|the)\b"
    r"|\brole-?\s?play(?:ing)?\b"
    r"|\bi\s+want\s+you\s+to\s+(?:act|be|play|pretend)\b|\bplay\s+the\s+role\s+of\b|^[^\S\n]*\*[^*\n]{4,80}\*",
    re.IGNORECASE | re.MULTILINE,
)
_TASK = re.compile(
    r"^[^\w\n]*+(?:please\s+|can\s+you\s+|could\s+you\s+|pls\s+|now\s+){0,9}(?:write|rewrite|re-write|paraphrase"
    r"|translate|summari[sz]e|generate|proofread|correct|solve|calculate|convert|create|compose|edit"
    r"|describe|list|explain|give\s+me)\s+(?:(?:me|a|an|the|this|that|these|in|my|some|it|\d+|following"
    r"|short|long|of|about)\s+)*(?:\w+\s+){0,3}?(?:essay|story|stories|poem|song|lyrics|script|dialogue"
    r"|scene|article|code|program|function|e-?mail|letter|paragraph|text|sentence|sentences|report"
    r"|summary|speech|list|table|title|titles|caption|captions|review|prompt|prompts|equation|question"
    r"|questions|answer|answers|translation|resume|cv|headlines?|names|ideas|words|english|spanish"
    r"|french|german|chinese|arabic|russian)\b",
    re.IGNORECASE,
)
_CUES = {
    "control_tokens": CONTROL_TOKEN,
    "code": _CODE,
    "jailbreak": _JAILBREAK,
    "role_play": _ROLE_PLAY,
    "task": _TASK,
}
_ANYBODY = frozenset({"code", "control_tokens"})
_HUGE_WORDS = 1500
_WIDTH = 80


def content_cues(message: Message) -> dict[str, str]:
    """Kind -> the words that point to it, for the kinds found in a message.

    Kinds: control_tokens and code in any message; jailbreak, role_play and task in the seeker's.
    """
    found = {}
    for kind, pattern in _CUES.items():
        if message.role != "seeker" and kind not in _ANYBODY:
            continue
        match = pattern.search(message.content)
        if match is not None:
            found[kind] = around(message.content, match.start(), match.end())
    return found


def degenerate(position: int, message: Message, earlier: Sequence[Message]) -> str | None:
    """What is wrong with the form of a message, or None.

    Empty, very long, one line over and over, or the speaker's own message before, word for word.
    """
    text = message.content.strip()
    if not any(character.isalnum() for character in text):
        return "empty"
    words = text.split()
    if len(words) > _HUGE_WORDS:
        return f"{len(words):,} words"
    if len(words) >= 60 and len(set(words)) < 0.15 * len(words):
        return f"{len(words)} words, {len(set(words))} different"
    before = [m.content.strip() for m in earlier[:position] if m.role == message.role]
    if text in before and len(words) >= 8:
        return "repeats an earlier message of the same speaker"
    return None


def around(text: str, start: int, end: int) -> str:
    """The match with some of what stands around it, on one line."""
    spare = max(0, _WIDTH - (end - start)) // 2
    piece = " ".join(text[max(0, start - spare) : end + spare].split())
    return piece[:_WIDTH]
