"""A conversation: who hears what, how it ends, and how it is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mint.config.dialogue import DialogueRules
from mint.dialogue.protocol import (
    EmotionRules,
    Ended,
    Heard,
    Lost,
    Person,
    SeekerTurn,
    Who,
)
from mint.dialogue.record import TalkRecord
from mint.dialogue.talk import Said, converse
from rewards.errors import ConfigError, DataError
from rewards.types import Message

RULES = DialogueRules(
    max_turns=3, seeker_timeout_s=0.2, reply_timeout_s=0.2, dialogue_timeout_s=0.5
)
PERSON = Person(
    id="ada", persona="", scene="", goal="", intention="deep_empathy", opening="I lost my job."
)


class Echo:
    """A seeker that gains what the script says and repeats what it heard."""

    def __init__(self, changes: Sequence[Any] = (5.0, 5.0, 5.0), start: float = 40) -> None:
        self.rules = EmotionRules(start=start)
        self.identity = {"kind": "echo"}
        self.changes = changes
        self.heard: list[Heard] = []

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        self.heard.append(heard)
        if not heard.history:
            return SeekerTurn(
                message=heard.person.opening, emotion=heard.emotion, change=0, reason=""
            )
        change = self.changes[heard.turn - 1]
        if isinstance(change, Exception):
            raise change
        if isinstance(change, (SeekerTurn, Lost)):
            return change
        if change == "sleep":
            await asyncio.sleep(5)
        return SeekerTurn(
            message=f"You said {heard.history[-1].content!r}",
            emotion=self.rules.after(heard.emotion, change),
            change=change,
            reason="it was said",
            faults=("repeats",) if heard.turn == 1 else (),
        )


class Script:
    """A policy that says given lines."""

    def __init__(self, *lines: Any, room: int = 10) -> None:
        self.lines = list(lines)
        self.told: list[Any] = []
        self.room = room

    async def start(self, messages: Sequence[dict[str, str]]) -> bool:
        self.told += messages
        return self.room > 0

    async def reply(self, max_tokens: int) -> Said | Lost:
        line = self.lines.pop(0)
        if isinstance(line, Exception):
            raise line
        if line == "sleep":
            await asyncio.sleep(5)
        return line if isinstance(line, Lost) else Said(line, min(max_tokens, 7), True)

    async def hear(self, message: str) -> bool:
        self.room -= 1
        if self.room > 0:
            self.told.append(message)
        return self.room > 0


def talk(policy: Script, seeker: Echo, rules: DialogueRules = RULES) -> TalkRecord:
    return asyncio.run(converse(policy, seeker, PERSON, 3, rules, "Be kind."))


def test_the_whole_of_a_conversation_is_recorded() -> None:
    policy, seeker = Script("a", "<think>x</think>b", "c"), Echo((5, -2.5, 5))
    record = talk(policy, seeker)
    assert record.ended is Ended.TURNS
    assert [turn.emotion for turn in record.turns] == [45, 42.5, 47.5]
    assert [turn.visible for turn in record.turns] == ["a", "b", "c"]
    assert [turn.well_formed for turn in record.turns] == [True, False, True]
    assert record.turns[0].faults == ("repeats",)
    assert (record.emotion, record.start, record.seed) == (47.5, 40, 3)
    assert [message.content for message in record.messages] == [
        "I lost my job.",
        "a",
        "You said 'a'",
        "b",
        "You said 'b'",
        "c",
    ]
    assert policy.told == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "I lost my job."},
        "You said 'a'",
        "You said 'b'",
    ]
    assert TalkRecord.from_json(json.loads(json.dumps(record.as_json()))) == record


def test_the_seeker_is_told_the_updated_emotion_and_only_what_is_visible() -> None:
    seeker = Echo((5, 5, 5))
    talk(Script("a", "<think>he is sad</think>b", "<think>never closed"), seeker)
    assert [(heard.turn, heard.emotion) for heard in seeker.heard] == [
        (0, 40),
        (1, 40),
        (2, 45),
        (3, 50),
    ]
    said = [heard.history[-1] for heard in seeker.heard[1:]]
    assert said == [Message("supporter", text) for text in ("a", "b", "")]


@pytest.mark.parametrize(
    ("changes", "start", "ended"),
    [((70,), 40, Ended.SATISFIED), ((-50,), 40, Ended.DESPAIRED)],
)
def test_an_emotion_at_its_end_ends_it(changes: Any, start: float, ended: Ended) -> None:
    record = talk(Script("a"), Echo(changes, start))
    assert (record.ended, len(record.turns)) == (ended, 1)


def test_the_seeker_can_say_goodbye_without_a_message() -> None:
    bye = SeekerTurn(message=None, emotion=50, change=10, reason="", ended=Ended.CLOSED)
    record = talk(Script("a"), Echo([bye]))
    assert (record.ended, record.emotion) == (Ended.CLOSED, 50)


def test_a_message_that_does_not_fit_ends_it_after_the_reply_has_counted() -> None:
    policy = Script("a", "b", room=2)
    record = talk(policy, Echo())
    assert (record.ended, record.emotion) == (Ended.TOKENS, 50)
    assert record.messages[-1] == Message("supporter", "b")
    assert policy.told[-1] == "You said 'a'"
    unfit = talk(Script("a", room=0), Echo())
    assert unfit.lost == Lost(Who.BUDGET, "start", "too_long", "the first prompt does not fit")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "changes", "who", "stage", "kind"),
    [
        (["a", "b"], [1, RuntimeError("down")], Who.SEEKER, "hear", "exception"),
        (["a", "b"], [1, TimeoutError("its own")], Who.SEEKER, "hear", "exception"),
        (["a", "b"], [1, "sleep"], Who.SEEKER, "hear", "timeout"),
        (
            ["a"],
            [Lost(Who.SERVER, "analysis", "off_schema", "no change")],
            Who.SERVER,
            "analysis",
            "off_schema",
        ),
        (
            ["a"],
            [SeekerTurn(message=" ", emotion=50, change=1, reason="")],
            Who.SEEKER,
            "utterance",
            "empty",
        ),
        (
            ["a"],
            [SeekerTurn(message="x", emotion=float("nan"), change=1, reason="")],
            Who.SEEKER,
            "hear",
            "out_of_range",
        ),
        ([ValueError("no")], [1], Who.POLICY, "reply", "exception"),
        (["sleep"], [1], Who.POLICY, "reply", "timeout"),
        (
            [Lost(Who.SERVER, "reply", "connection", "refused")],
            [],
            Who.SERVER,
            "reply",
            "connection",
        ),
    ],
)
def test_a_failure_names_who_and_where(
    policy: list[Any], changes: list[Any], who: Who, stage: str, kind: str
) -> None:
    record = talk(Script(*policy), Echo(changes))
    assert record.ended is None
    assert record.lost is not None
    assert (record.lost.who, record.lost.stage, record.lost.kind) == (who, stage, kind)
    if who is not Who.POLICY and record.turns and kind in ("exception", "timeout"):
        assert record.turns[-1].emotion is None
        assert record.emotion == 41, "the last emotion that is known"
    assert TalkRecord.from_json(record.as_json()) == record


@pytest.mark.slow
def test_a_conversation_that_takes_too_long_is_lost() -> None:
    class Slow(Script):
        async def reply(self, max_tokens: int) -> Said | Lost:
            await asyncio.sleep(0.15)
            return await super().reply(max_tokens)

    rules = replace(RULES, max_turns=50)
    record = talk(Slow(*"abcdefgh"), Echo([1] * 9), rules)
    assert record.lost is not None
    assert (record.lost.who, record.lost.kind) == (Who.BUDGET, "timeout")
    assert 1 <= len(record.turns) <= 3


def test_cancelling_is_no_failure_of_the_seeker() -> None:
    async def run() -> None:
        task = asyncio.create_task(converse(Script("sleep"), Echo(), PERSON, 3, RULES, None))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_conversations_of_unequal_length_never_mix() -> None:
    """Eight at once with one seeker: each hears only its own replies and emotions."""

    class Patient(Echo):
        async def turn(self, heard: Heard) -> SeekerTurn | Lost:
            await asyncio.sleep(0.001 * (hash((heard.seed, heard.turn)) % 7))
            if not heard.history:
                return await super().turn(heard)
            change = heard.seed + 1 if heard.turn <= heard.seed else -100
            return SeekerTurn(
                message=f"{heard.seed}:{heard.turn}",
                emotion=self.rules.after(heard.emotion, change),
                change=change,
                reason="",
            )

    async def run() -> list[TalkRecord]:
        seeker, rules = Patient(), replace(RULES, max_turns=8)
        talks = (
            converse(Script(*(f"{seed}-{n}" for n in range(9))), seeker, PERSON, seed, rules, None)
            for seed in range(8)
        )
        return await asyncio.gather(*talks)

    for seed, record in enumerate(asyncio.run(run())):
        length = min(seed + 1, 8)
        assert len(record.turns) == length
        assert [turn.visible for turn in record.turns] == [f"{seed}-{n}" for n in range(length)]
        assert [turn.message for turn in record.turns] == [f"{seed}:{n + 1}" for n in range(length)]
        if length > 1:
            assert record.turns[-2].emotion == 40 + seed * (seed + 1)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"max_turns": 0}, "mint.dialogue.max_turns must be >= 1, got 0"),
        ({"turn_tokens": 8}, "mint.dialogue.turn_tokens must be >= 16, got 8"),
        ({"thinking": "some"}, "mint.dialogue.thinking must be one of none, keep, drop"),
        ({"seeker_timeout_s": 0}, "mint.dialogue.seeker_timeout_s must be > 0"),
        (
            {"dialogue_timeout_s": 180},
            "dialogue_timeout_s must be more than seeker_timeout_s \\+ reply_timeout_s = 180",
        ),
    ],
)
def test_limits_are_checked(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        DialogueRules(**values)


@pytest.mark.parametrize(
    ("raw", "with_thoughts", "without"),
    [
        ("<think>tired</think>\nYou sound tired.", True, False),
        ("You sound tired.", False, True),
        ("<think>\n\n</think>You sound tired.", False, False),
        ("<think>tired</think>", False, False),
        ("<think>tired", False, False),
        ("tired</think>You sound tired.", False, False),
        ("Well <think>tired</think>You sound tired.", False, False),
        ("<think>a</think>b<think>c</think>d", False, False),
        ("", False, False),
        ("[THINK]tired[/THINK]You sound tired.", True, False),
        ("<|START_THINKING|>tired<|END_THINKING|>You sound tired.", True, False),
        ("<reasoning>tired</reasoning>You sound tired.", True, False),
        ("[THINK]a[/THINK]b<think>c</think>d", False, False),
        (
            "<|channel|>analysis<|message|>tired<|end|><|channel|>final<|message|>Tired?",
            True,
            False,
        ),
        ('You wrote "<think>" and "</think>" there.', False, True),
    ],
)
def test_the_format_of_a_reply(raw: str, with_thoughts: bool, without: bool) -> None:
    assert replace(RULES, thinking="keep").well_formed(raw) is with_thoughts
    assert replace(RULES, thinking="drop").well_formed(raw) is with_thoughts
    assert replace(RULES, thinking="none").well_formed(raw) is without


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"ended": None}, {"turns": None}, {"ended": "bored"}])
def test_anything_else_is_no_record(change: dict[str, Any]) -> None:
    plain = talk(Script("a", "b", "c"), Echo()).as_json()
    with pytest.raises(DataError):
        TalkRecord.from_json({**plain, **change})
