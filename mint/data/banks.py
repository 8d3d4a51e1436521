"""The authored material of the demo: sentence banks and scenarios, read and checked.

<data>/sentences/<tactic>.txt   one sentence a line, with slots {feeling} and {event}
<data>/scenarios/<area>.json    list of scenarios
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mint.shell.files import parse_json, read_text
from rewards.errors import ConfigError, DataError
from rewards.tactics import TACTIC_NAMES
from rewards.text import split_sentences

SLOTS: tuple[str, ...] = ("feeling", "event")
"""What a sentence may leave open: an adjective after "feel", a noun phrase for what happened."""

_BRACES = re.compile(r"\{([^{}]*)\}")
_MIN_ITEMS = {"feelings": 2, "openings": 1, "follow_ups": 4}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """An invented person with something on their mind."""

    id: str
    who: str
    situation: str
    event: str
    """Noun phrase in the second person, fits after "about" or "after" and as a subject."""
    feelings: tuple[str, ...]
    """Adjectives that fit after "feel"."""
    openings: tuple[str, ...]
    """Alternative first messages."""
    follow_ups: tuple[str, ...]
    """Later messages; any of them in this order."""


@dataclass(frozen=True, kw_only=True)
class Banks:
    """Sentences by tactic, and scenarios in file order."""

    sentences: Mapping[str, tuple[str, ...]]
    scenarios: tuple[Scenario, ...]

    @property
    def sha256(self) -> str:
        """Hash of the content, independent of file names and layout."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def load_banks(directory: Path) -> Banks:
    """The material under `directory`.

    Raises ConfigError when files are missing, DataError with file and line (or record) when one
    does not follow its format.
    """
    return Banks(
        sentences=load_sentences(directory / "sentences"),
        scenarios=load_scenarios(directory / "scenarios"),
    )


def load_sentences(directory: Path) -> dict[str, tuple[str, ...]]:
    """Sentences by tactic, in taxonomy order. Errors as for `load_banks`."""
    files = {path.stem: path for path in sorted(directory.glob("*.txt"))}
    for name, path in files.items():
        if name not in TACTIC_NAMES:
            raise DataError(f"{path}: no such tactic; allowed: {', '.join(TACTIC_NAMES)}")
    missing = [name for name in TACTIC_NAMES if name not in files]
    if missing:
        raise ConfigError(f"{directory} lacks {', '.join(f'{name}.txt' for name in missing)}")
    seen: dict[str, str] = {}
    return {name: _read_bank(files[name], seen) for name in TACTIC_NAMES}


def load_scenarios(directory: Path) -> tuple[Scenario, ...]:
    """Scenarios of all files. Errors as for `load_banks`."""
    paths = sorted(directory.glob("*.json"))
    if not paths:
        raise ConfigError(f"{directory} holds no scenarios (*.json)")
    scenarios = [s for path in paths for s in _read_scenarios(path)]
    name, times = Counter(scenario.id for scenario in scenarios).most_common(1)[0]
    if times > 1:
        raise DataError(f"{directory}: the scenario id {name!r} is used twice")
    return tuple(scenarios)


def fill(sentence: str, slots: Mapping[str, str]) -> str:
    """`sentence` with its slots replaced.

    >>> fill("You feel {feeling}.", {"feeling": "tired", "event": "the move"})
    'You feel tired.'
    """
    return _BRACES.sub(lambda match: slots[match[1]], sentence)


def slots_of(sentence: str) -> frozenset[str]:
    """Names of the slots in `sentence`."""
    return frozenset(_BRACES.findall(sentence))


def _read_bank(path: Path, seen: dict[str, str]) -> tuple[str, ...]:
    sentences = read_text(path).removesuffix("\n").split("\n")
    for number, sentence in enumerate(sentences, start=1):
        place = f"{path}:{number}"
        problem = _sentence_problem(sentence)
        if problem is None and sentence in seen:
            problem = f"the sentence occurs before, at {seen[sentence]}"
        if problem is not None:
            raise DataError(f"{place}: {problem}: {sentence!r:.80}")
        seen[sentence] = place
    # The generator fills each slot at most once a turn, so it must be able to do without.
    if all(slots_of(sentence) for sentence in sentences):
        raise DataError(f"{path}: needs at least one sentence without slots")
    return tuple(sentences)


def _sentence_problem(sentence: str) -> str | None:
    if not sentence.strip() or sentence != sentence.strip():
        return "a line must be one sentence without white space around it"
    slots = _BRACES.findall(sentence)
    unknown = [slot for slot in slots if slot not in SLOTS]
    if unknown or set(_BRACES.sub("", sentence)) & set("{}"):
        return f"slots are {', '.join(f'{{{slot}}}' for slot in SLOTS)}, nothing else in braces"
    if len(slots) > len(set(slots)):
        return "a slot may occur once"
    if sentence.startswith("{"):
        return "a sentence must not start with a slot"
    if sentence[-1] not in ".?!" or len(split_sentences(_BRACES.sub("x", sentence))) != 1:
        return "expected exactly one sentence that ends with . ? or !"
    return None


def _read_scenarios(path: Path) -> list[Scenario]:
    records = parse_json(read_text(path), path)
    if not isinstance(records, list) or not records:
        raise DataError(f"{path}: expected a non-empty JSON list of scenarios")
    scenarios = []
    for index, record in enumerate(records):
        try:
            scenarios.append(_scenario(record))
        except DataError as error:
            name = f" (id {record['id']!r})" if isinstance(record, dict) and "id" in record else ""
            raise DataError(f"{path}: record {index}{name}: {error}") from error
    return scenarios


def _scenario(record: Any) -> Scenario:
    if not isinstance(record, dict):
        raise DataError("expected an object")
    names = [f.name for f in fields(Scenario)]
    wrong = sorted(set(names) ^ set(record))
    if wrong:
        raise DataError(f"{wrong[0]!r} is missing or unknown; keys: {', '.join(names)}")
    for name in names:
        value = record[name]
        if name in _MIN_ITEMS:
            if not isinstance(value, list) or not all(map(_is_text, value)):
                raise DataError(f"{name} must be a list of texts without braces")
            if len(value) < _MIN_ITEMS[name]:
                raise DataError(
                    f"{name} needs at least {_MIN_ITEMS[name]} entries, got {len(value)}"
                )
        elif not _is_text(value):
            raise DataError(f"{name} must be text without braces")
    values: dict[str, Any] = {k: tuple(record[k]) if k in _MIN_ITEMS else record[k] for k in names}
    return Scenario(**values)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not set(value) & set("{}")
