"""Reading what a model that plays a seeker has answered: strictly, as JSON or by header lines.

The header form is that of RLVER and SAGE; their released answers are read by it. Nothing is
guessed: an answer without its number, its line or one of its parts is a Failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mint.dialogue.asking import ANALYSIS, UTTERANCE
from rewards.graders.served.base import read_object
from rewards.serving.formats import off_schema
from rewards.types import Failure

_NUMBER = re.compile(r"\s*[\[(]?\s*([+-]?\d{1,4})\s*[\])]?\s*[.。]?\s*")
_OLD_NAMES = {"TargetCompletion": "target", "Reason": "target", "analyze": "analyse"}


class Analysis(NamedTuple):
    """What a message did to the person."""

    change: int
    texts: Mapping[str, str]
    """content, target, activity, analyse."""


class Utterance(NamedTuple):
    """The person's next message."""

    thinking: str
    response: str


def read_analysis(text: str, style: str, largest: float) -> Analysis | Failure:
    """An analysis; `largest`: the largest change either way."""
    found = _json(text, ANALYSIS) if style == "json" else analysis_headers(text)
    if isinstance(found, Failure):
        return found
    return planned(found, largest)


def planned(found: Mapping[str, Any], largest: float) -> Analysis | Failure:
    """The analysis of parts by name; also of the `planning` of SAGE's released files."""
    parts = {_OLD_NAMES.get(name, name): value for name, value in found.items()}
    if set(parts) != set(ANALYSIS):
        wrong = sorted(set(parts) ^ set(ANALYSIS))
        return off_schema(f"wrong parts are {', '.join(wrong)}", found)
    change = parts.pop("change")
    if isinstance(change, str):
        number = _NUMBER.fullmatch(change)
        change = int(number[1]) if number else change
    if isinstance(change, bool) or not isinstance(change, int):
        return off_schema("change must be one whole number", change)
    if abs(change) > largest:
        return Failure("out_of_range", f"change must be within {largest:g}, got {change}")
    if not all(isinstance(value, str) and value.strip() for value in parts.values()):
        return off_schema("every part must be text", parts)
    return Analysis(change, parts)


def read_utterance(text: str, style: str) -> Utterance | Failure:
    """A message of the person."""
    if style == "json":
        found = _json(text, UTTERANCE)
    else:
        found = headed(text, ("Thinking", "Origin", "Change", "Response"), ("Origin", "Change"))
    if isinstance(found, Failure):
        return found
    thinking, response = (found[name if name in found else name.title()] for name in UTTERANCE)
    if not isinstance(response, str) or not response.strip():
        return Failure("empty", "the message has no text")
    return Utterance(str(thinking).strip(), response.strip().strip('"“”').strip())


def analysis_headers(text: str) -> dict[str, str] | Failure:
    """Parts of the header form: Content, TargetCompletion or Reason, Activity, Analyse, Change."""
    second = "Reason" if re.search(r"^\W*Reason\W*$", text, re.MULTILINE) else "TargetCompletion"
    fourth = "Analyze" if re.search(r"^\W*Analyze\b", text, re.MULTILINE) else "Analyse"
    found = headed(text, ("Content", second, "Activity", fourth, "Change"))
    if isinstance(found, Failure):
        return found
    return {name if name in _OLD_NAMES else name.lower(): value for name, value in found.items()}


def thought_headers(text: str) -> dict[str, str] | Failure:
    """Parts of a `thinking` of SAGE's released files: Thinking (its header may be cut off), Origin,
    Change; the message itself stands beside it."""
    start = "" if re.match(r"\W*Thinking\b", text) else "Thinking:\n"
    return headed(start + text, ("Thinking", "Origin", "Change"))


def headed(
    text: str, names: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, str] | Failure:
    """Header -> text below it; headers stand at the start of a line, in order, each once."""
    found: dict[str, str] = {}
    place, spans = 0, []
    for name in names:
        header = re.compile(rf"^[\s*#\[【]*{name}\b[\]】*\s]*[:：]?[*\s]*", re.MULTILINE)
        match = header.search(text, place)
        if match is None and name not in optional:
            return off_schema(f"no header {name}", text)
        if match is not None:
            place = match.end()
            spans.append((name, match.start(), match.end()))
    if spans[0][1] > 0 and text[: spans[0][1]].strip():
        return off_schema("text before the first header", text)
    ends = [start for _, start, _ in spans[1:]] + [len(text)]
    for (name, _, start), end in zip(spans, ends, strict=True):
        found[name] = text[start:end].strip()
    return found


def _json(text: str, names: Sequence[str]) -> dict[str, Any] | Failure:
    found = read_object(text)
    if isinstance(found, dict) and set(found) != set(names):
        return off_schema(f"expected an object with exactly {', '.join(names)}", text)
    return found
