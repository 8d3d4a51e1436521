"""ESConv (Liu et al. 2021): support conversations with a strategy for each supporter turn.

Read are its JSON (a list of {"dialog": [{"speaker", "annotation": {"strategy"}, "content"}]}) and
the TSV of its authors' code: a line for each supporter turn, utterances joined by ` EOS `, each
WEIGHT SPEAKER NUMBER TEXT with SPEAKER 0 for the seeker and 1 for the supporter, whose text begins
with [Strategy]. The last utterance is the one to be said; earlier ones may be a window.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mint.data.control_tokens import neutralised
from mint.shell.files import parse_json, read_text, text_lines
from mint.supervised.labels import Labels
from mint.supervised.place import numbers as place_numbers
from mint.supervised.samples import Text
from rewards.errors import DataError

NAME = "esconv"
_JOINT = " EOS "
_UTTERANCE = re.compile(r"\s*[\d.]+ ([01]) (\d+) (?:\[([^\]]+)\] ?)?(.*)", re.DOTALL)
_SILENCE = "..."
"""Stands for a seeker who says nothing, where a supporter speaks first or twice: chat templates
want users and assistants in turn."""


class Said(NamedTuple):
    """An utterance."""

    supporter: bool
    number: int
    """Place in the conversation, from 0."""
    strategy: str | None
    content: str


def read_support(path: Path, labels: Labels, system: str, *, told: bool) -> list[Text]:
    """A sample for each supporter turn with a strategy.

    `system` is the system prompt; with `told` it also says the number of the message and the
    strategies of the supporter's earlier turns, which are known to whoever writes the next. Raises
    ConfigError when the file cannot be read, DataError with file and line (TSV) or record (JSON).
    """
    text = read_text(path, f"data.{NAME}: ")
    turns = _tsv(path, text) if path.suffix == ".tsv" else _json(path, text)
    found = []
    for place, group, said in turns:
        *before, last = said
        if not last.supporter or last.strategy is None:
            raise DataError(f"{place}: the last utterance is no supporter's with a strategy")
        try:
            strategy = labels.index(last.strategy)
            earlier = [labels.index(s.strategy) for s in before if s.strategy is not None]
        except DataError as error:
            raise DataError(f"{place}: {error}") from error
        if not last.content.strip():
            continue  # a strategy without words
        note = _note(last.number, earlier, labels) if told else ""
        found.append(
            Text(
                source=NAME,
                group=group,
                messages=_chat(before, system + note),
                reply=last.content.strip(),
                strategy=strategy,
                place=place_numbers(last.number, earlier, len(labels.names)),
            )
        )
    if not found:
        raise DataError(f"{path}: no supporter turn with a strategy")
    return found


def _note(number: int, earlier: Sequence[int], labels: Labels) -> str:
    names = ", ".join(labels.names[strategy] for strategy in earlier)
    return f" Message {number + 1}. Strategies so far: {names or 'none'}."


def _chat(before: Sequence[Said], system: str) -> tuple[dict[str, str], ...]:
    """System prompt, then users and assistants in turn, a user last."""
    messages = [{"role": "system", "content": system}]
    for said in before:
        role = "assistant" if said.supporter else "user"
        content = neutralised(said.content.strip()) or _SILENCE
        if messages[-1]["role"] == role:
            messages[-1]["content"] += f"\n{content}"
            continue
        if role == "assistant" and len(messages) == 1:
            messages.append({"role": "user", "content": _SILENCE})
        messages.append({"role": role, "content": content})
    if messages[-1]["role"] != "user":
        messages.append({"role": "user", "content": _SILENCE})
    return tuple(messages)


def _tsv(path: Path, text: str) -> Iterator[tuple[str, str, list[Said]]]:
    """(place, conversation, utterances) of each line."""
    conversation, last = 0, -1
    for number, line in text_lines(text):
        place = f"{path}:{number}"
        said = []
        for part in line.rstrip("\r").split(_JOINT):
            match = _UTTERANCE.fullmatch(part)
            if match is None:
                raise DataError(
                    f"{place}: expected WEIGHT SPEAKER NUMBER TEXT between EOS, got {part!r:.60}"
                )
            speaker, at, strategy, content = match.groups()
            said.append(Said(speaker == "1", int(at), strategy, content))
        # The lines of a conversation follow each other.
        conversation += said[-1].number <= last
        last = said[-1].number
        yield place, f"{path.stem}-{conversation}", said


def _json(path: Path, text: str) -> Iterator[tuple[str, str, list[Said]]]:
    records = parse_json(text, path)
    if not isinstance(records, list):
        raise DataError(f"{path}: expected a JSON list of conversations")
    for index, record in enumerate(records):
        place = f"{path}: record {index}"
        try:
            said = [_said(turn, number) for number, turn in enumerate(record["dialog"])]
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{place}: expected {{dialog: [{{speaker, content, annotation}}]}}: {error!r}"
            ) from error
        for end, last in enumerate(said):
            if last.supporter and last.strategy is not None:
                yield f"{place}, message {end}", f"{path.stem}-{index}", said[: end + 1]


def _said(turn: Mapping[str, Any], number: int) -> Said:
    speaker = turn["speaker"].strip().lower()
    if speaker not in ("seeker", "usr", "supporter", "sys"):
        raise KeyError(f"unknown speaker {speaker!r}")
    supporter = speaker in ("supporter", "sys")
    strategy = None
    if supporter:
        own = turn["annotation"] if "annotation" in turn else turn
        strategy = own["strategy"] if "strategy" in own else None
        if strategy is not None and not isinstance(strategy, str):
            raise TypeError(f"strategy must be a text, got {strategy!r:.40}")
    return Said(supporter, number, strategy, str(turn["content"]))
