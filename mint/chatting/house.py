"""Everything that a page or a terminal asks for: models, graders, seekers, conversations, files."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mint.chatting.conversation import Conversation, MakeSeeker
from mint.chatting.feed import Feed
from mint.chatting.models import ChatModel, Models
from mint.chatting.options import RULE, YOU, ChatSettings
from mint.chatting.records import save
from mint.chatting.side import Side
from mint.chatting.subjects import Subject, find_graders, find_subjects
from mint.dialogue.human import HumanSeeker
from mint.dialogue.persons import authored_persons, read_persons
from mint.dialogue.presets import PRESETS, STEADY, get_preset
from mint.dialogue.protocol import Person, Seeker
from mint.dialogue.rule import RuleSeeker
from mint.dialogue.served import ServedSeeker
from mint.evaluation.rating.sheets import add_vote
from mint.shell.console import say
from mint.shell.files import check_can_write
from rewards.build import Graders
from rewards.errors import ConfigError, DataError
from rewards.tactics import TACTIC_NAMES

_KEPT = 64
"""Conversations kept in memory; the oldest is ended for a new one."""
_ENDLESS = 10_000
"""Replies in a conversation with you."""
_YOU = Person(
    id="you",
    persona="The person at the keyboard.",
    scene="Unknown.",
    goal="To look at the model.",
    intention="attentive_listening",
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A conversation to begin. Raises DataError for what there is not."""

    models: tuple[int, ...] = (0,)
    """Numbers of one or two models."""
    blind: bool = False
    seeker: str = YOU
    preset: str = ChatSettings.preset
    person: str | None = None
    """Id; None: the first."""

    @classmethod
    def parse(cls, raw: object) -> Asked:
        """From a page's JSON. Raises DataError for anything else."""
        if not isinstance(raw, Mapping) or set(raw) - set(cls.__dataclass_fields__):
            raise DataError("expected models, blind, seeker, preset and person")
        kinds = {"models": list, "blind": bool, "seeker": str, "preset": str, "person": str}
        for name, value in raw.items():
            if not isinstance(value, kinds[name]):
                raise DataError(f"{name} is of the wrong kind")
        models = raw.get("models", [0])
        if not all(type(number) is int for number in models):
            raise DataError("models must be numbers")
        return cls(**{**raw, "models": tuple(models)})


class House:
    """Use within one event loop."""

    def __init__(
        self,
        settings: ChatSettings,
        subjects: Sequence[Subject],
        models: Sequence[ChatModel],
        graders: Graders,
    ) -> None:
        """Raises ConfigError or DataError when a person, a file or the served seeker is not
        usable, or the output folder cannot be written."""
        self.settings, self.subjects, self.graders = settings, tuple(subjects), graders
        self.persons = (
            authored_persons() if settings.persons is None else read_persons(Path(settings.persons))
        )
        self._models = tuple(models)
        self._conversations: dict[str, Conversation] = {}
        self._begun = 0
        if settings.person is not None:
            self._person(settings.person)
        if "served" in settings.seekers:
            ServedSeeker(get_preset(settings.preset), settings.seeker_endpoint)
        check_can_write(Path(settings.output), "output")

    @property
    def usual(self) -> Asked:
        """What the command line asks for."""
        settings = self.settings
        return Asked(
            models=tuple(range(min(2, len(self.subjects)))),
            blind=settings.blind,
            seeker=settings.seeker,
            preset=settings.preset,
            person=settings.person,
        )

    async def begin(self, asked: Asked) -> Conversation:
        """A new conversation under way. Raises DataError."""
        self._check(asked)
        you = asked.seeker == YOU
        self._begun += 1
        name = f"{datetime.now():%Y%m%d-%H%M%S}-{self._begun}"
        order = list(asked.models)
        if asked.blind:
            random.Random(f"{self.settings.seed}:{name}").shuffle(order)
        feed = Feed()
        sides = [
            Side(place, self.subjects[number], self._models[number], self.graders, feed)
            for place, number in enumerate(order)
        ]
        while len(self._conversations) >= _KEPT:
            await self._conversations.pop(next(iter(self._conversations))).stop()
        conversation = Conversation(
            name,
            sides,
            self._seeker(asked),
            replace(_YOU, id=f"you-{name}") if you else self._person(asked.person),
            you=you,
            blind=asked.blind,
            turns=_ENDLESS if you else get_preset(asked.preset).max_turns,
            seed=self.settings.seed,
        )
        self._conversations[name] = conversation
        conversation.begin()
        return conversation

    def find(self, name: str) -> Conversation:
        """A conversation by name. Raises DataError when it is not known any more."""
        if name not in self._conversations:
            raise DataError("there is no such conversation any more; begin a new one")
        return self._conversations[name]

    def vote(self, conversation: Conversation, turn: int, choice: str, comment: str = "") -> Path:
        """Note a vote; returns the sheet that it stands in. Raises DataError."""
        vote = conversation.vote(turn, choice, comment)
        names = "--".join(_file_name(name) for name in sorted(vote.systems))
        folder = Path(self.settings.output) / "votes" / names
        return add_vote(folder, self.settings.rater, vote)

    def save(self, conversation: Conversation) -> Path:
        """Write a dialogue; returns the file. Raises DataError."""
        return save(conversation, Path(self.settings.output) / "dialogues")

    async def close(self) -> None:
        """End all conversations."""
        for conversation in self._conversations.values():
            await conversation.stop()

    def _check(self, asked: Asked) -> None:
        if asked.seeker not in self.settings.seekers:
            raise DataError(f"seeker must be one of {', '.join(self.settings.seekers)}")
        if asked.preset not in PRESETS:
            raise DataError(f"preset must be one of {', '.join(PRESETS)}")
        if not 1 <= len(asked.models) <= 2:
            raise DataError("a conversation has one model or two")
        if not all(0 <= number < len(self.subjects) for number in asked.models):
            raise DataError(f"models are numbered 0 to {len(self.subjects) - 1}")
        if len(set(asked.models)) != len(asked.models):
            raise DataError("the two models are the same one")

    def _person(self, name: str | None) -> Person:
        known = {person.id: person for person in self.persons}
        if name is None:
            return self.persons[0]
        if name not in known:
            raise ConfigError(f"person={name} is not among the {len(known)} people")
        return known[name]

    def _seeker(self, asked: Asked) -> MakeSeeker:
        if asked.seeker == YOU:
            return lambda ask: HumanSeeker(get_preset(STEADY), ask)
        preset = get_preset(asked.preset)
        seeker: Seeker = (
            RuleSeeker(preset, self.graders.tagger, self.graders.judge)
            if asked.seeker == RULE
            else ServedSeeker(preset, self.settings.seeker_endpoint)
        )
        return lambda ask: seeker


@contextmanager
def open_house(settings: ChatSettings, tell: Callable[[str], None] = say) -> Iterator[House]:
    """The models loaded, the graders ready. Raises ConfigError or DataError before a model is
    loaded where that can be known; says what is loaded."""
    subjects = find_subjects(settings)
    graders = find_graders(settings)
    with Models() as models:
        loaded = []
        for number, subject in enumerate(subjects, start=1):
            tell(f"loading model {number} of {len(subjects)}: {subject.name}")
            loaded.append(models.load(subject.path, subject.generation(settings), len(subjects)))
        yield House(settings, subjects, loaded, graders)


def _file_name(name: str) -> str:
    """A model's name as part of a file's."""
    return re.sub(r"[^\w.-]+", "_", name)[-80:].strip("._") or "model"


def facts_of(house: House) -> dict[str, Any]:
    """What a page offers: plain JSON."""
    return {
        "tactics": list(TACTIC_NAMES),
        "models": [subject.name for subject in house.subjects],
        "seekers": list(house.settings.seekers),
        "presets": list(PRESETS),
        "persons": [{"id": p.id, "about": p.persona, "hopes": p.intention} for p in house.persons],
        "usual": {
            "blind": house.usual.blind,
            "seeker": house.usual.seeker,
            "preset": house.usual.preset,
            "person": house.usual.person,
        },
    }
