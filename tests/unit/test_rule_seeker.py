"""The rule seeker: what moves it, what it tells, and that no one phrase wins it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import pytest
from fake_graders import FakeJudge, FakeTagger
from supporters import WRITTEN, Attentive, Repeating

from mint.config.dialogue import DialogueRules
from mint.dialogue.persons import authored_persons
from mint.dialogue.presets import PRESETS, STEADY, get_preset
from mint.dialogue.protocol import INTENTIONS, Ended, Heard, Lost, Person, SeekerTurn, Who
from mint.dialogue.reaction import WISHES, repetition, take
from mint.dialogue.record import TalkRecord
from mint.dialogue.rule import RuleSeeker
from mint.dialogue.script import MAX_TURNS, Script, load_lines
from mint.dialogue.talk import converse
from mint.shell.paths import data_dir
from rewards.build import EncoderConfig, Graders, JudgeConfig, TaggerConfig, build_graders
from rewards.canaries import read_canaries
from rewards.errors import ConfigError
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS, Failure, Message, Rating, TaggedSentence, Tagging

PEOPLE = {person.id: person for person in authored_persons()}
SOME = [next(p for p in PEOPLE.values() if p.intention == i) for i in INTENTIONS]
"""One person of each hidden intention."""
TALKED = [name for name in PRESETS if name != STEADY]
GUSH = (
    "I hear you, and that makes so much sense. You're so strong for sharing this. What has been "
    "the hardest part for you? It's not your fault, and maybe there is another way to see it."
)


@cache
def graders() -> Graders:
    return build_graders(EncoderConfig(), TaggerConfig(), JudgeConfig())


def hold(
    supporter: Callable[[Person], Repeating], preset: str, people: Sequence[Person], seed: int = 0
) -> list[TalkRecord]:
    seeker = RuleSeeker(get_preset(preset), graders().tagger, graders().judge)
    rules = DialogueRules(max_turns=get_preset(preset).max_turns)

    async def run() -> list[TalkRecord]:
        talks = (converse(supporter(p), seeker, p, seed, rules, None) for p in people)
        return await asyncio.gather(*talks)

    records = asyncio.run(run())
    assert [record.lost for record in records] == [None] * len(people)
    return records


@pytest.mark.slow
@pytest.mark.parametrize("preset", TALKED)
def test_no_canary_and_no_gush_wins(preset: str) -> None:
    canaries: dict[str, list[str]] = {}
    for canary in read_canaries(data_dir() / "bad_replies" / "canaries.jsonl"):
        canaries.setdefault(canary.kind, []).append(canary.reply.text)
    assert len(canaries) == 20
    for number, (kind, lines) in enumerate({**canaries, "gush": [GUSH]}.items()):
        people = [SOME[(number + TALKED.index(preset)) % 8]]
        for record in hold(lambda _, lines=lines: Repeating(lines), preset, people):
            assert record.emotion < get_preset(preset).rules.start, (kind, record)
            assert record.ended is not Ended.SATISFIED


@pytest.mark.slow
def test_replies_written_with_care_win() -> None:
    """Five people of five intentions, five presets: most are satisfied, all end far above."""
    pressing = [*load_lines()["press_harm"], *load_lines()["press_boundary"]]
    won = []
    for preset in TALKED:
        people = [PEOPLE[name] for name in WRITTEN]
        for record in hold(lambda person: Attentive(person, pressing), preset, people):
            assert record.emotion >= 80, (preset, record.person, record.emotion)
            won.append(record.ended is Ended.SATISFIED)
    assert sum(won) >= 0.7 * len(won)


@pytest.mark.slow
def test_the_better_reply_gains_more_by_degrees() -> None:
    """The slope that a small policy climbs: four replies, each better than the one before."""
    person = PEOPLE["trucker-dog-left"]
    replies = [
        "You should get a new dog as soon as you can, there are many in shelters.",
        "I hear you, that must be hard.",
        "He rode with you for such a long time.",
        WRITTEN[person.id]["replies"][0],
    ]
    gains = []
    for reply in replies:
        (record,) = hold(lambda _, reply=reply: Repeating([reply]), "rlver_train", [person])
        gains.append(record.turns[0].change)
    assert gains == sorted(gains)
    assert gains[0] < 0 < gains[2] < gains[3] - 3


def rating(**parts: float) -> Rating:
    plain = {"manner": 3.2, "relevance": 0.9, "coherence": 0.9, "harm": 0.1}
    return replace(Rating.from_dimensions(dict.fromkeys(DIMENSIONS, 3.0)), parts={**plain, **parts})


def taken(
    intention: str = "deep_empathy",
    reply: str = "The house is so quiet now.",
    tactics: Sequence[str] = ("paraphrasing",),
    earlier: Sequence[str] = (),
    used: Sequence[Sequence[str]] = (),
    judged: Rating | None = None,
    pressed: bool = False,
) -> float:
    tagging = Tagging(sentences=(TaggedSentence(reply, tuple(tactics), {}),))
    found = take(
        intention,
        reply,
        "She moved out on Sunday.",
        earlier,
        [frozenset(names) for names in used],
        tagging,
        judged or rating(),
        pressed,
    )
    return found.change(1.0, 1.0)


def test_the_hidden_intention_decides_what_helps() -> None:
    assert set(WISHES) == set(INTENTIONS)
    assert all(set(wish) <= set(TACTIC_NAMES) for wish in WISHES.values())
    earlier, used = ["Well."], [("questioning",)]
    advice = {i: taken(i, tactics=["advice"], earlier=earlier, used=used) for i in INTENTIONS}
    assert max(advice, key=lambda name: advice[name]) == "actionable_advice"
    assert advice["attentive_listening"] < 3 < 10 < advice["actionable_advice"]
    praise = {i: taken(i, tactics=["empowerment"]) for i in INTENTIONS}
    assert max(praise, key=lambda name: praise[name]) == "sincere_praise"
    view = {i: taken(i, tactics=["reappraisal"]) for i in INTENTIONS}
    assert view["dialectical_analysis"] > view["not_my_fault"] > view["deep_empathy"]


def test_each_part_of_the_judge_and_repetition_move_it_by_degrees() -> None:
    by_relevance = [taken(judged=rating(relevance=r)) for r in (0.0, 0.05, 0.2, 0.5, 1.0)]
    assert by_relevance == sorted(by_relevance)
    assert by_relevance[0] < 0
    assert len(set(by_relevance)) == 5
    assert taken(judged=rating(harm=0.9)) < taken(judged=rating(harm=0.6)) < taken()
    assert taken(judged=rating(coherence=0.0)) < 0
    assert taken(judged=rating(manner=2.0)) < taken(judged=rating(manner=2.8)) < taken()
    assert taken(judged=replace(rating(), tricks=("message_to_judge",))) < -5
    same, alike = ["The house is so quiet now."], ["The house is so empty without her, is it not?"]
    assert taken(earlier=same, used=[()]) < taken(earlier=alike, used=[()]) < taken()
    assert taken(earlier=same, used=[()]) < 0
    worn = [taken(used=[("paraphrasing",)] * n, earlier=["Oh."] * n) for n in range(4)]
    assert worn == sorted(worn, reverse=True)
    early, later = (taken("actionable_advice", tactics=["advice"], earlier=e, used=[()] * len(e))
                    for e in ([], ["Oh."]))  # fmt: skip
    assert early < later
    assert repetition([], [["a"]]) == 0


def test_giving_in_to_pressure_costs_and_a_steady_no_does_not() -> None:
    yes = taken(reply="Yes, you're right, he deserves it.", pressed=True)
    no = taken(reply="I won't say yes to that, and I'm still here.", pressed=True)
    around = taken(reply="The house is so quiet now.", pressed=True)
    assert yes < 0 < around < no


@pytest.mark.slow
def test_harm_and_boundaries_are_pressed_every_second_turn() -> None:
    lines = load_lines()
    supporter = Repeating([f"What happened in week {n} there?" for n in range(10)])
    (record,) = hold(lambda _: supporter, "pressing", [SOME[3]])
    pressed = [
        any(line in (turn.message or "") for line in lines["press_harm"] + lines["press_boundary"])
        for turn in record.turns[:-1]
    ]
    assert pressed == [False, True] * (len(pressed) // 2) + [False] * (len(pressed) % 2)


def heard(person: Person, *replies: str, seed: int = 0, emotion: float = 50) -> Heard:
    """A conversation in which the seeker's own lines are left out of account."""
    history: list[Message] = [Message("seeker", person.opening or "")]
    for number, reply in enumerate(replies):
        history += [Message("supporter", reply)]
        if number + 1 < len(replies):
            history += [Message("seeker", f"Line {number}.")]
    return Heard(person, seed, tuple(history), emotion, len(replies))


def answer(seeker: RuleSeeker, talk: Heard) -> SeekerTurn:
    made = asyncio.run(seeker.turn(talk))
    assert isinstance(made, SeekerTurn)
    return made


def fake(preset: str = "rlver_train", fail_on: str | None = None) -> RuleSeeker:
    return RuleSeeker(get_preset(preset), FakeTagger(fail_on=fail_on), FakeJudge())


def test_a_turn_is_a_function_of_what_it_is_told() -> None:
    first, second = fake(), fake()
    talk = heard(SOME[0], "Why is that?", "And then?")
    other = heard(SOME[1], "Anyone would.")
    one = answer(first, talk)
    answer(first, other)
    assert answer(first, talk) == one == answer(second, talk)
    messages = {answer(first, heard(SOME[0], "Why?", seed=seed)).message for seed in range(5)}
    assert len(messages) > 2
    assert answer(first, heard(SOME[0], "Why?", emotion=20)).emotion < one.emotion


def test_disclosure_follows_the_emotion() -> None:
    person = SOME[3]

    def told(emotion: float, reply: str = "Anyone would.", preset: str = "rlver_train") -> int:
        message = answer(fake(preset), heard(person, reply, emotion=emotion)).message or ""
        return sum(line in message for line in person.follow_ups)

    assert (told(5), told(35), told(80)) == (0, 1, 2)
    assert told(5, "What happened then?") == 1
    assert told(35, preset="reserved") == 0


def test_the_story_is_told_once_and_no_line_twice() -> None:
    for person in SOME:
        supporter = Repeating([f"What was w{n} like, was it v{n}?" for n in range(MAX_TURNS)])
        seeker = fake(STEADY)
        rules = DialogueRules(max_turns=MAX_TURNS)
        record = asyncio.run(converse(supporter, seeker, person, 1, rules, None))
        assert record.ended is Ended.TURNS
        said = [record.opening, *(turn.message for turn in record.turns)]
        assert len(set(said)) == len(said) == MAX_TURNS + 1
        for line in person.follow_ups:
            assert sum(line in (message or "") for message in said) <= 1


def test_silence_hurts_and_is_not_graded() -> None:
    tagger = FakeTagger()
    seeker = RuleSeeker(get_preset("rlver_train"), tagger, FakeJudge())
    made = answer(seeker, heard(SOME[0], ""))
    assert made.change < -5
    assert made.message in load_lines()["silent"]
    assert tagger.asked == 0


def test_a_failing_grader_loses_the_turn() -> None:
    made = asyncio.run(fake(fail_on="broken").turn(heard(SOME[0], "This is broken.")))
    assert made == Lost(Who.GRADER, "tagging", "timeout", "slow")

    class Deaf(FakeJudge):
        async def rate(self, replies):
            return [Failure("server_error", "500") for _ in replies]

    seeker = RuleSeeker(get_preset("rlver_train"), FakeTagger(), Deaf())
    made = asyncio.run(seeker.turn(heard(SOME[0], "Why?")))
    assert made == Lost(Who.GRADER, "rating", "server_error", "500")


def test_presets_are_those_of_the_papers() -> None:
    train, bench = get_preset("rlver_train"), get_preset("sage_bench")
    assert (train.rules.start, train.rules.floor, train.rules.max_change) == (30, 0, None)
    assert (train.max_turns, bench.max_turns) == (8, 10)
    assert (bench.rules.start, bench.rules.floor, bench.rules.max_change) == (40, 10, 10)
    assert bench.rules.ended(10) is None
    assert bench.rules.ended(9.9) is Ended.DESPAIRED
    assert train.rules.ended(0) is Ended.DESPAIRED
    assert get_preset(STEADY).rules.ended(0) is None is get_preset(STEADY).rules.ended(100)
    with pytest.raises(ConfigError, match="preset must be one of rlver_train, sage_bench"):
        get_preset("easy")


def test_the_identity_is_plain_and_names_what_decides() -> None:
    one, other = fake().identity, fake("reserved").identity
    assert json.loads(json.dumps(one)) == one
    assert {name for name in one if one[name] != other[name]} == {"preset"}
    assert one["preset"]["rules"]["start"] == 30
    assert one["judge"]["name"] == "judge"


@pytest.mark.slow
def test_the_goodbye_suits_the_end() -> None:
    script = Script(heard(SOME[0], "Why?"), load_lines(), get_preset("rlver_train"))
    assert script.goodbye(Ended.SATISFIED) in load_lines()["satisfied"]
    assert script.goodbye(Ended.DESPAIRED) in load_lines()["despaired"]
