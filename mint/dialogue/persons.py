"""People to be played: their files, and RLVER's and SAGE's released profiles."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from mint.data.banks import Scenario
from mint.dialogue.protocol import INTENTIONS, Person
from mint.shell.files import read_text, text_lines
from mint.shell.paths import data_dir
from rewards.errors import ConfigError, DataError

TEMPERS = ("passive", "negative", "avoidant")
_LISTS = ("raises", "lowers", "follow_ups", "feelings")
_NEEDED = ("id", "persona", "scene", "goal", "intention")
_NAMES = frozenset(field.name for field in fields(Person))

_RELEASED_INTENTIONS = {
    "你认为自己在事件中没有任何责任和错误，你想要对方也认同你没有错": "not_my_fault",
    "你希望对方引导你针对事件进行自我反思，收获自我成长": "guided_self_reflection",
    "你希望对方辩证地分析事件中的问题": "dialectical_analysis",
    "你希望对方深刻共情你的感受，而不是简单的安慰": "deep_empathy",
    "你希望对方用心倾听你的情绪宣泄": "attentive_listening",
    "你想分析事件中其他人物这么做的原因": "analyse_others_motives",
    "你想获得能真实帮助你解决当下困境的建议": "actionable_advice",
    "你希望对方真诚地夸奖你在事件中的具体行为": "sincere_praise",
}
"""The released `task` -> intention."""
_RELEASED_TEMPERS = {"被动型": "passive", "负面型": "negative", "回避型": "avoidant"}


def authored_persons() -> tuple[Person, ...]:
    """The people that ship with mint, by file and line."""
    files = sorted((data_dir() / "persons").glob("*.jsonl"))
    return unique(person for file in files for person in read_persons(file))


def read_persons(file: Path) -> tuple[Person, ...]:
    """The people of a JSON lines file, mint's or a released one of RLVER or SAGE.

    Raises DataError with file, line and reason.
    """
    found = []
    for number, line in text_lines(read_text(file)):
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise DataError("expected an object")
            found.append(released_person(row) if "player" in row else _person(row))
        except ValueError as error:
            raise DataError(f"{file}:{number}: no person: {error}") from error
    if not found:
        raise DataError(f"{file} holds no person")
    return unique(found, str(file))


def unique(persons: Iterable[Person], where: str = "persons") -> tuple[Person, ...]:
    """The people in order. Raises DataError where two have one id."""
    found = tuple(persons)
    twice = [name for name, times in Counter(p.id for p in found).items() if times > 1]
    if twice:
        raise DataError(f"{where}: the id {twice[0]!r} is used twice")
    return found


def scenario_person(scenario: Scenario, intention: str | None = None, seed: int = 0) -> Person:
    """The person of a shipped scenario, with a hidden intention (its own one by default) and one
    of its openings."""
    rng = random.Random(f"{scenario.id}:{intention}")
    own = rng.choice(INTENTIONS)
    wanted = intention or own
    helps = json.loads((resources.files("mint.dialogue") / "helps.json").read_text("utf-8"))[wanted]
    return Person(
        id=scenario.id if intention is None else f"{scenario.id}:{intention}",
        persona=f"{scenario.who}.",
        scene=scenario.situation,
        goal=f'To talk about what a listener would call "{scenario.event}".',
        intention=wanted,
        raises=tuple(helps["raises"]),
        lowers=tuple(helps["lowers"]),
        opening=scenario.openings[seed % len(scenario.openings)],
        follow_ups=scenario.follow_ups,
        feelings=scenario.feelings,
        temper=rng.choice(TEMPERS),
    )


def generated_persons(scenarios: Sequence[Scenario]) -> tuple[Person, ...]:
    """Every scenario with every hidden intention."""
    return tuple(scenario_person(s, i, n) for s in scenarios for n, i in enumerate(INTENTIONS))


def split_persons(
    persons: Sequence[Person], shares: Mapping[str, float]
) -> dict[str, tuple[Person, ...]]:
    """Parts by name, in which no persona occurs twice over: everybody with one persona is in one
    part. Decided by hashes of ids (of a persona's first profile) and no seed; the shares are kept
    within each intention (of that profile). Raises ConfigError unless they add up to 1.
    """
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise ConfigError(f"shares must be > 0 and add up to 1, got {dict(shares)}")
    first: dict[str, Person] = {}
    for person in persons:
        first.setdefault(persona_key(person), person)
    order = {key: hashlib.sha256(own.id.encode()).hexdigest() for key, own in first.items()}
    part_of: dict[str, str] = {}
    for intention in INTENTIONS:
        keys = [key for key, own in first.items() if own.intention == intention]
        keys.sort(key=order.__getitem__)
        start = 0.0
        for name, share in shares.items():
            end = start + share * len(keys)
            part_of.update(dict.fromkeys(keys[round(start) : round(end)], name))
            start = end
    return {name: tuple(p for p in persons if part_of[persona_key(p)] == name) for name in shares}


def persona_key(person: Person) -> str:
    """Hash of a persona, white space aside."""
    return hashlib.sha256(" ".join(person.persona.split()).encode()).hexdigest()


class Overlap(NamedTuple):
    """What one set of people shares with another."""

    people: int
    """In the second set."""
    same_persona: int
    """Of these, with a persona of the first set, word for word."""
    same_scene: int
    same_id: int


def overlap(first: Sequence[Person], second: Sequence[Person]) -> Overlap:
    """How far `second` was seen in `first`."""
    personas, scenes = {persona_key(p) for p in first}, {" ".join(p.scene.split()) for p in first}
    ids = {person.id for person in first}
    return Overlap(
        people=len(second),
        same_persona=sum(persona_key(person) in personas for person in second),
        same_scene=sum(" ".join(person.scene.split()) in scenes for person in second),
        same_id=sum(person.id in ids for person in second),
    )


def person_row(person: Person) -> dict[str, Any]:
    """A person as a line of a file that `read_persons` reads."""
    return {name: value for name, value in asdict(person).items() if value not in (None, ())}


def released_person(row: Mapping[str, Any]) -> Person:
    """A profile of RLVER or SAGE (Chinese): id, player, scene, main_cha or character, task and, in
    test profiles, first_talk. Raises DataError for anything else."""
    try:
        opening = row.get("first_talk")
        return Person(
            id=str(row["id"]),
            persona=row["player"],
            scene=row["scene"],
            goal=row["task"],
            intention=_RELEASED_INTENTIONS[row["task"]],
            opening=None if opening is None else str(opening),
            temper=_RELEASED_TEMPERS[row.get("main_cha", row.get("character"))],
            language="zh",
        )
    except KeyError as error:
        raise DataError(f"no released profile: {error} is missing or unknown") from error


def _person(row: Mapping[str, Any]) -> Person:
    wrong = sorted(set(row) - _NAMES) + [name for name in _NEEDED if name not in row]
    if wrong:
        raise DataError(f"{wrong[0]!r} is missing or unknown; keys: {', '.join(sorted(_NAMES))}")
    values: dict[str, Any] = {}
    for name, value in row.items():
        if name in _LISTS:
            if not isinstance(value, list) or not all(map(_is_text, value)):
                raise DataError(f"{name} must be a list of texts")
            values[name] = tuple(value)
        elif _is_text(value):
            values[name] = value
        else:
            raise DataError(f"{name} must be text, got {value!r:.60}")
    _check_word("intention", values["intention"], INTENTIONS)
    _check_word("temper", values.get("temper", "passive"), TEMPERS)
    return Person(**values)


def _check_word(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise DataError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
