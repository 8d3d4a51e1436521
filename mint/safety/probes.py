"""The probes: what a person writes, and what a good reply must and must not do. Read and checked.

<data>/probes/<category>.jsonl     one item a line: {id, subcategory, messages, [pair, sadness]}
<data>/probes/expectations.json    category -> subcategory -> {must, must_early, must_not, harms}

An item may list further expectations of its own under the same keys. Two items with one
`pair` say the same, once without and once with sadness.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mint.safety.finders import FINDERS
from mint.shell.files import parse_json
from mint.shell.paths import data_dir
from rewards.errors import ConfigError, DataError
from rewards.types import Message

CATEGORIES: tuple[str, ...] = (
    "crisis",
    "medical",
    "legal",
    "harmful_plan",
    "false_belief",
    "human_claim",
    "dependence",
    "third_party_anger",
)
EXPECTATIONS = "expectations.json"
_KINDS = ("must", "must_early", "must_not", "harms")
_REQUIRED = ("id", "subcategory", "messages")
_KEYS = (*_REQUIRED, "pair", "sadness", *_KINDS)


@dataclass(frozen=True, kw_only=True)
class ProbeItem:
    """One probe."""

    id: str
    category: str
    """One of CATEGORIES."""
    subcategory: str
    messages: tuple[Message, ...]
    """Alternating, seeker first and last; the model writes what follows."""
    must: tuple[str, ...] = ()
    """Finders (`mint.safety.finders.FINDERS`) that must find something in the reply."""
    must_early: tuple[str, ...] = ()
    """The same, within the first sentences."""
    must_not: tuple[str, ...] = ()
    """Finders that must find nothing."""
    harms: tuple[str, ...] = ()
    """Finders that must find nothing either: harm in the right words, beside the help it names."""
    pair: str | None = None
    """Shared by the two items of a matched pair."""
    sadness: bool | None = None
    """Which of the two; None outside pairs."""

    @property
    def finders(self) -> tuple[str, ...]:
        """Names of all finders that the expectations use, without repeats."""
        return tuple(dict.fromkeys((*self.must, *self.must_early, *self.must_not, *self.harms)))


def load_probes(directory: Path | None = None) -> tuple[ProbeItem, ...]:
    """Items in the order of CATEGORIES and file; None takes the shipped ones.

    Raises ConfigError when files are missing, DataError with file and line for a wrong item.
    """
    directory = data_dir() / "probes" if directory is None else directory
    expected = _read_expectations(directory / EXPECTATIONS)
    items: list[ProbeItem] = []
    places: dict[str, str] = {}
    for category in CATEGORIES:
        path = directory / f"{category}.jsonl"
        for number, line in enumerate(_lines(path), start=1):
            place = f"{path}:{number}"
            try:
                item = _item(category, line, expected)
                if item.id in places:
                    raise DataError(f"the id {item.id!r} is used before, at {places[item.id]}")
            except DataError as error:
                raise DataError(f"{place}: {error}") from error
            places[item.id] = place
            items.append(item)
    _check_pairs(items, places)
    return tuple(items)


def _read_expectations(path: Path) -> Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]]:
    table = parse_json("\n".join(_lines(path)), path)
    if not isinstance(table, dict) or set(table) != set(CATEGORIES):
        raise DataError(f"{path}: expected an object with the keys {', '.join(CATEGORIES)}")
    expected = {}
    for category, subcategories in table.items():
        if not isinstance(subcategories, dict):
            raise DataError(f"{path}: {category}: expected an object of subcategories")
        for name, raw in subcategories.items():
            try:
                expected[category, name] = _expectations(raw)
            except DataError as error:
                raise DataError(f"{path}: {category}: {name}: {error}") from error
    return expected


def _item(
    category: str,
    line: str,
    expected: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]],
) -> ProbeItem:
    record = _record(line)
    subcategory = _text(record, "subcategory")
    if (category, subcategory) not in expected:
        known = [name for owner, name in expected if owner == category]
        raise DataError(f"subcategory {subcategory!r} is none of {', '.join(known)}")
    common = expected[category, subcategory]
    own = _expectations({kind: record[kind] for kind in _KINDS if kind in record}, needs_any=False)
    pair = _text(record, "pair") if "pair" in record else None
    sadness = record["sadness"] if "sadness" in record else None
    if (pair is None) != (sadness is None) or not isinstance(sadness, bool | None):
        raise DataError("pair (text) and sadness (true or false) go together")
    return ProbeItem(
        id=_text(record, "id"),
        category=category,
        subcategory=subcategory,
        messages=_messages(record["messages"]),
        pair=pair,
        sadness=sadness,
        **{kind: tuple(dict.fromkeys((*common[kind], *own[kind]))) for kind in _KINDS},
    )


def _record(line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise DataError("expected a JSON object")
    wrong = [key for key in _REQUIRED if key not in record] or sorted(set(record) - set(_KEYS))
    if wrong:
        raise DataError(f"{wrong[0]!r} is missing or unknown; keys: {', '.join(_KEYS)}")
    return record


def _messages(raw: object) -> tuple[Message, ...]:
    if not isinstance(raw, list) or len(raw) % 2 == 0:
        raise DataError("messages must be a list that starts and ends with the seeker")
    messages = tuple(Message.parse(message) for message in raw)
    for position, message in enumerate(messages):
        role = "supporter" if position % 2 else "seeker"
        if message.role != role or not message.content.strip():
            raise DataError(f"message {position} must be a text of the {role}'s")
    return messages


def _expectations(raw: object, needs_any: bool = True) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(raw, dict) or set(raw) - set(_KINDS) or (needs_any and not raw):
        raise DataError(f"expected an object with some of {', '.join(_KINDS)}")
    result: dict[str, tuple[str, ...]] = dict.fromkeys(_KINDS, ())
    for kind, names in raw.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{kind} must be a list of names")
        for name in names:
            if name not in FINDERS:
                raise DataError(f"{kind}: no check {name!r:.40}; checks: {', '.join(FINDERS)}")
        result[kind] = tuple(names)
    both = {*result["must_not"], *result["harms"]} & {*result["must"], *result["must_early"]}
    if both:
        raise DataError(f"{sorted(both)[0]} is both required and forbidden")
    return result


def _check_pairs(items: Sequence[ProbeItem], places: Mapping[str, str]) -> None:
    count = Counter((item.pair, item.sadness) for item in items if item.pair is not None)
    for item in items:
        if item.pair is None:
            continue
        if [count[item.pair, sad] for sad in (False, True)] != [1, 1]:
            raise DataError(
                f"{places[item.id]}: pair {item.pair!r} needs one item with and one without sadness"
            )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; a folder of probes needs it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from error


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record[key]
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{key} must be a text, got {value!r:.40}")
    return value
