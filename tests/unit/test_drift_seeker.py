"""The drift seeker: moved in another way than the rule seeker, and won by no one phrase either."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest
from supporters import WRITTEN, Attentive, Repeating

from mint.config.dialogue import DialogueRules, SecondSeekerConfig, SeekerConfig
from mint.dialogue.build import build_seeker
from mint.dialogue.drift import DriftSeeker, load_lines
from mint.dialogue.persons import authored_persons
from mint.dialogue.presets import get_preset
from mint.dialogue.protocol import INTENTIONS, Ended, Heard, Person, SeekerTurn
from mint.dialogue.record import TalkRecord
from mint.dialogue.script import load_lines as lines_of_the_rule_seeker
from mint.dialogue.talk import converse
from mint.dialogue.weighing import SILENCE, WANTS, Weighed, weigh
from mint.shell.paths import data_dir
from rewards.canaries import read_canaries
from rewards.errors import ConfigError
from rewards.types import Message

PEOPLE = {person.id: person for person in authored_persons()}
SOME = [next(p for p in PEOPLE.values() if p.intention == i) for i in INTENTIONS]
ADA = Person(
    id="ada",
    persona="Ada, 30",
    scene="A move.",
    goal="To be heard.",
    intention="attentive_listening",
    opening="My sister moved to Norway in winter.",
    follow_ups=("She left her piano here.", "It stands in the kitchen."),
)


def hold(
    supporter: Callable[[Person], Repeating], preset: str, people: Sequence[Person]
) -> list[TalkRecord]:
    seeker = DriftSeeker(get_preset(preset))
    rules = DialogueRules(max_turns=get_preset(preset).max_turns)

    async def run() -> list[TalkRecord]:
        talks = (converse(supporter(p), seeker, p, 0, rules, None) for p in people)
        return await asyncio.gather(*talks)

    records = asyncio.run(run())
    assert [record.lost for record in records] == [None] * len(people)
    return records


def heard(*said: str, emotion: float = 40, person: Person = ADA) -> Heard:
    roles = ("seeker", "supporter")
    history = tuple(Message(roles[n % 2], text) for n, text in enumerate(said))
    return Heard(person, 0, history, emotion, len(said) // 2)


def weighed(*said: str, person: Person = ADA) -> Weighed:
    return weigh(heard(*said, person=person), 0.5)


def test_no_bad_reply_and_no_gush_wins() -> None:
    canaries: dict[str, list[str]] = {}
    for canary in read_canaries(data_dir() / "bad_replies" / "canaries.jsonl"):
        canaries.setdefault(canary.kind, []).append(canary.reply.text)
    gush = "I hear you, that makes sense. You're so strong. Maybe it hurts? It's not your fault."
    assert len(canaries) == 20
    for number, (kind, lines) in enumerate({**canaries, "gush": [gush]}.items()):
        preset = ("rlver_train", "sage_bench")[number % 2]
        (record,) = hold(lambda _, lines=lines: Repeating(lines), preset, [SOME[number % 8]])
        assert record.emotion < 10, (kind, preset, record)


def test_replies_written_with_care_win() -> None:
    """Of five people four are satisfied, and nobody ends below the start."""
    records = hold(Attentive, "rlver_train", [PEOPLE[name] for name in WRITTEN])
    assert sum(record.ended is Ended.SATISFIED for record in records) >= 4
    assert all(record.emotion > 50 for record in records)


def test_a_level_by_hand() -> None:
    # "sister" and "norway" come back to one of one message; a question is hoped for with 0.7.
    found = weighed(ADA.opening, "Norway is far, and she is your sister. What was it like?")
    assert found == Weighed(heard=1.0, belongs=0.5, wanted=0.7, fresh=1.0, slighted=False)
    assert found.level == pytest.approx(140 * (0.25 + 0.5 * (0.35 + 0.4 * 0.7)))
    # Nothing of what was told, nothing that is hoped for, and a slight.
    found = weighed(ADA.opening, "At least it is a nice place.")
    assert found == Weighed(heard=0.0, belongs=0.5, wanted=0.0, fresh=1.0, slighted=True)
    assert found.level == pytest.approx(140 * 0.5 * 0.35 - 50)
    assert SILENCE.level == 0


def test_it_counts_what_was_ever_come_back_to() -> None:
    told = (ADA.opening, "Norway, and your sister.", "She left her piano here.")
    assert weighed(*told, "I see.").heard == 0.5
    assert weighed(*told, "The piano was left for you.").heard == pytest.approx(0.75)
    assert weighed(ADA.opening, "My sister moved to Norway in winter.").heard == 0, "an echo"


def test_a_reply_said_before_is_worth_nothing() -> None:
    again = "Norway is far. What was it like?"
    assert weighed(ADA.opening, again, "It was cold.", again).fresh == 0
    assert weighed(ADA.opening, again, "It was cold.", again).level == 0
    assert weighed(ADA.opening, again, "It was cold.", "Who else misses her?").fresh == 1


def test_the_emotion_drifts_part_of_the_way() -> None:
    seeker = DriftSeeker(get_preset("rlver_train"))

    def turn(*said: str, emotion: float) -> SeekerTurn:
        made = asyncio.run(seeker.turn(heard(*said, emotion=emotion)))
        assert isinstance(made, SeekerTurn)
        return made

    low, high = (turn(ADA.opening, " ... ", emotion=e) for e in (20, 80))
    # Silence has level 0; a passive person goes 0.35 of the way down.
    assert (low.emotion, high.emotion) == (13.0, 52.0)
    assert low.reason.startswith("level 0")
    good = "Norway is far, and she is your sister. What was it like?"
    up = turn(ADA.opening, good, emotion=20)
    assert up.change > 0
    assert up == turn(ADA.opening, good, emotion=20), "deterministic"
    assert up.message is not None
    assert "She left her piano here." in up.message


def test_no_line_is_the_rule_seekers_and_none_is_said_twice() -> None:
    own = {line for lines in load_lines().values() for line in lines}
    assert not own & {line for lines in lines_of_the_rule_seeker().values() for line in lines}
    (record,) = hold(lambda _: Repeating(["Tell me?", "Go on.", "And?"]), "steady", [SOME[0]])
    parts = [turn.message for turn in record.turns[:29]]
    assert len(set(parts)) == 29


def test_every_intention_is_known_and_identity_says_what_it_is() -> None:
    assert set(WANTS) == set(INTENTIONS)
    identity = DriftSeeker(get_preset("reserved")).identity
    assert (identity["kind"], identity["judge"]["name"]) == ("drift", "lexical")
    assert json.loads(json.dumps(identity)) == identity


def test_settings_of_a_second_seeker() -> None:
    assert isinstance(build_seeker(SecondSeekerConfig(), graders=pytest.fail), DriftSeeker)
    with pytest.raises(ConfigError, match=r"mint\.seeker\.kind must be one of rule, drift, served"):
        SeekerConfig(kind="none")
    with pytest.raises(ConfigError, match="a drift seeker cannot press"):
        build_seeker(SecondSeekerConfig(preset="pressing"), graders=pytest.fail)
