"""Conversations with simulated seekers: protocol, measures, judge, resume, second seeker."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from fake_graders import FakeJudge, FakeTagger
from loopback import Answer, chat
from quiet_runner import quiet_runner

from mint.config.evaluation import EvaluationConfig
from mint.data.prompts import PromptConfig
from mint.dialogue.people import shipped_parts, write_people
from mint.dialogue.persons import authored_persons
from mint.dialogue.protocol import (
    INTENTIONS,
    EmotionRules,
    Ended,
    Lost,
    Person,
    SeekerTurn,
    Who,
)
from mint.dialogue.record import TalkRecord, TurnRecord
from mint.evaluate import main as evaluate_command
from mint.evaluation.generation import Generation
from mint.evaluation.journal import Journal
from mint.evaluation.options import EvaluateSettings
from mint.evaluation.protocols import sage
from mint.evaluation.protocols.talks import read_talks
from mint.evaluation.sage import compare, measures
from mint.evaluation.sage.lines import MEASURES, Line, fidelity, lines_of, read_conversations
from mint.evaluation.sage.rubrics import RubricJudge, capabilities, judge_all, read_verdict
from mint.evaluation.sage.settings import RubricJudgeConfig, SageSettings
from mint.evaluation.sources.requests import SubjectError
from mint.rundir.directory import RunDir
from mint.shell import cli
from rewards.build import Graders
from rewards.errors import ConfigError
from rewards.types import Failure, Message

FEW = EvaluationConfig(resamples=200)
PERSONS = tuple(
    Person(
        id=name,
        persona=f"{name}, 30",
        scene="A bad week.",
        goal="To be heard.",
        intention=intention,
        temper=temper,
        opening=f"I am {name} and it is too much.",
    )
    for name, intention, temper in (
        ("ada", "deep_empathy", "passive"),
        ("ben", "deep_empathy", "negative"),
        ("cem", "actionable_advice", "passive"),
    )
)


class Moved:
    """A seeker that gains 30 from a question and loses 15 from anything else."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.rules = EmotionRules(start=40, floor=10)
        self.identity = {"kind": "moved"}
        self.asked, self.fail_at = 0, fail_at

    async def turn(self, heard):
        self.asked += 1
        if not heard.history:
            return SeekerTurn(
                message=heard.person.opening, emotion=heard.emotion, change=0, reason=""
            )
        if heard.turn == self.fail_at:
            return Lost(Who.SEEKER, "analysis", "off_schema", "no number")
        change = 30.0 if heard.history[-1].content.endswith("?") else -15.0
        emotion = self.rules.after(heard.emotion, change)
        return SeekerTurn(
            message=f"That is so, {heard.turn}.",
            emotion=emotion,
            change=emotion - heard.emotion,
            reason="",
            faults=("repeats",) if heard.turn == 1 else (),
        )


class Supporter:
    """Says what `script` gives for (person, turn); a Failure passes through."""

    identity = {"kind": "fake", "model": "m"}  # noqa: RUF012

    def __init__(self, script) -> None:
        self.script, self.asked = script, []

    async def stream(self, requests, sampling):
        for position, request in enumerate(requests):
            self.asked.append(request)
            said = self.script(request.key.conversation_id, request.key.turn)
            yield position, said if isinstance(said, Failure) else Generation(said, 5, False)

    async def close(self): ...


def script(person: str, turn: int) -> str:
    """ada is asked, ben is told, cem is told once and then asked."""
    asks = person == "ada" or (person == "cem" and turn > 0)
    return f"<think>hm</think>What is it, {person} {turn}?" if asks else f"You are fine {turn}."


def hold(path: Path, supporter, seeker, *, settings=None, samples=1, judge=None, tagger=None):
    with quiet_runner(path, supporter, tagger or FakeTagger(), 20) as runner:
        return asyncio.run(
            sage.evaluate(
                runner,
                sage.NAME,
                seeker,
                PERSONS,
                settings or SageSettings(turns=4),
                samples,
                PromptConfig(compact=True),
                FEW,
                judge,
            )
        )


def test_score_success_and_failure_by_hand(tmp_path):
    held = hold(tmp_path, Supporter(script), Moved())
    ends = {key: (talk.emotion, talk.ended) for key, talk in held.talks.items()}
    # ada 40 70 100; ben 40 25 10 0; cem 40 25 55 85 100.
    assert ends == {
        "ada/0": (100, Ended.SATISFIED),
        "ben/0": (0, Ended.DESPAIRED),
        "cem/0": (100, Ended.SATISFIED),
    }
    facts = held.outcome.facts
    means = {name: facts["scores"][name]["mean"] for name in ("score", "success", "failure")}
    assert means == pytest.approx({"score": 200 / 3, "success": 2 / 3, "failure": 1 / 3})
    assert facts["by_intention"]["deep_empathy"]["score"]["mean"] == 50
    assert facts["by_intention"]["actionable_advice"]["success"]["mean"] == 1
    assert facts["by_temper"]["negative"]["failure"]["mean"] == 1
    assert facts["curve"]["emotion"] == pytest.approx(
        [40, (70 + 25 + 25) / 3, (100 + 10 + 55) / 3, (100 + 0 + 85) / 3, (100 + 0 + 100) / 3]
    )
    assert facts["curve"]["talking"] == [3, 3, 3, 2, 1]
    assert facts["seeker"] == {"kind": "moved"}
    assert facts["seeker_fault_kinds"] == {"repeats": 3}
    assert facts["seeker_faults"] == pytest.approx(3 / (3 + 9))


def test_what_each_tactic_earns(tmp_path):
    tactics = hold(tmp_path, Supporter(script), Moved()).outcome.facts["tactics"]
    # Questions: ada +30 +30, cem +30 +30 +15; the rest: ben -15 -15 -10, cem -15.
    assert tactics["questioning"]["change"]["mean"] == pytest.approx(27)
    assert tactics["questioning"]["share"]["mean"] == pytest.approx(5 / 9)
    assert tactics["validation"]["change"]["mean"] == pytest.approx(-55 / 4)
    assert tactics["questioning"]["difference"]["mean"] == pytest.approx(25 + 15)
    assert tactics["questioning"]["difference"]["n"] == 1
    assert tactics["advice"]["share"]["mean"] == 0
    assert tactics["advice"]["change"]["mean"] is None


def test_replies_are_graded_against_the_models_own_turn_before(tmp_path):
    held = hold(tmp_path, Supporter(script), Moved())
    replies = {(r.conversation_id, r.turn): r for r in held.outcome.replies}
    assert len(replies) == 9
    second = replies["ada", 1]
    assert second.has_previous
    assert second.scenario == "ada"
    assert sum(second.previous_counts) == 1
    assert second.history == (
        ("seeker", "I am ada and it is too much."),
        ("supporter", "What is it, ada 0?"),
    )
    assert second.seeker == "That is so, 1."


def test_thoughts_leave_the_prompt_and_it_stays_the_same(tmp_path):
    supporter = Supporter(script)
    hold(tmp_path, supporter, Moved())
    [last] = [r for r in supporter.asked if r.key.conversation_id == "ada" and r.key.turn == 1]
    assert [message["role"] for message in last.messages] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert last.messages[2]["content"] == "What is it, ada 0?"


def test_an_interrupted_evaluation_asks_for_what_is_missing(tmp_path):
    class Killed(Exception):
        pass

    def dies(person, turn):
        if (person, turn) == ("cem", 2):
            raise KeyboardInterrupt
        return script(person, turn)

    with pytest.raises(KeyboardInterrupt):
        hold(tmp_path, Supporter(dies), Moved())
    supporter, seeker = Supporter(script), Moved()
    held = hold(tmp_path, supporter, seeker)
    whole = hold(tmp_path / "whole", Supporter(script), Moved())
    assert held.talks == whole.talks
    asked = {(r.key.conversation_id, r.key.turn) for r in supporter.asked}
    assert ("cem", 2) in asked
    assert ("ada", 0) not in asked
    assert seeker.asked < 12
    again = Supporter(lambda *_: pytest.fail("asked again"))
    assert hold(tmp_path, again, Moved()).talks == whole.talks


def test_failures_are_lost_conversations_and_no_numbers(tmp_path):
    held = hold(
        tmp_path,
        Supporter(lambda p, t: Failure("timeout", "slow") if p == "ben" else script(p, t)),
        Moved(fail_at=4),
    )
    assert held.talks["ben/0"].lost == (Who.POLICY, "reply", "timeout", "slow")
    assert held.talks["cem/0"].lost.who is Who.SEEKER
    facts = held.outcome.facts
    assert facts["scores"]["score"]["mean"] == 100
    assert facts["scores"]["score"]["n"] == 1
    assert facts["scores"]["lost"]["mean"] == pytest.approx(2 / 3)
    assert [one["kind"] for one in facts["lost"]] == ["timeout", "off_schema"]
    assert len(held.outcome.unanswered) == 2
    assert facts["by_temper"]["negative"]["score"]["mean"] is None
    # A later run asks again.
    again = hold(tmp_path, Supporter(script), Moved())
    assert again.outcome.facts["scores"]["lost"]["mean"] == 0


def test_a_model_that_never_answers_is_an_error(tmp_path):
    with pytest.raises(SubjectError, match="none of 3 people was answered"):
        hold(tmp_path, Supporter(lambda *_: Failure("connection", "down")), Moved())


def test_a_person_is_met_as_often_as_asked(tmp_path):
    held = hold(tmp_path, Supporter(script), Moved(), samples=2)
    assert list(held.talks)[:2] == ["ada/0", "ada/1"]
    assert held.talks["ada/0"].seed != held.talks["ada/1"].seed
    assert held.talks["ada/0"].seed == held.talks["ben/0"].seed


def talk(person="ada", *emotions: float, start=40.0, sample=0, lost=None) -> TalkRecord:
    turns, before = [], start
    for emotion in emotions:
        turns.append(
            TurnRecord(
                raw="a",
                visible="a",
                well_formed=True,
                tokens=1,
                complete=True,
                emotion=emotion,
                change=emotion - before,
                message="b",
            )
        )
        before = emotion
    return TalkRecord(
        person=person,
        intention="deep_empathy",
        seed=1,
        seeker="x",
        start=start,
        opening="o",
        turns=tuple(turns),
        ended=None if lost else Ended.TURNS,
        lost=lost,
    )


def test_gaps_are_paired_by_person():
    first = {f"{p}/0": talk(p, e) for p, e in (("ada", 60), ("ben", 80), ("cem", 50))}
    second = {f"{p}/0": talk(p, e) for p, e in (("ada", 50), ("ben", 70))}
    found = compare.seeker_gap(first, second, FEW)
    assert found["emotion_gain"]["difference"] == pytest.approx(-10)
    assert found["emotion_gain"]["ci_high"] == pytest.approx(-10)
    assert found["emotion"]["num_conversations"] == 2


def test_the_gain_that_does_not_carry_over():
    sides = [
        {f"{p}/0": talk(p, e) for p, e in zip(("ada", "ben"), ends, strict=True)}
        for ends in ((50, 50), (80, 90), (40, 40), (50, 55))
    ]
    found = compare.not_carried_over(*sides, FEW)
    assert (found["seen"], found["unseen"]) == (35, 12.5)
    assert found["difference"]["mean"] == pytest.approx(22.5)
    assert compare.not_carried_over({}, *sides[:3], FEW) == {}


def test_lost_conversations_have_no_score():
    lost = Lost(Who.SEEKER, "open", "empty", "")
    alone = {"ada/0": talk("ada", lost=lost)}
    assert measures.curve(alone) == {"emotion": [], "talking": []}
    found = measures.scores(alone, FEW)
    assert found["score"].mean is None
    assert found["lost"].mean == 1


def verdict(**changes):
    rows = {name: {"reason": "turn 2", "score": 3} for name in capabilities()}
    return json.dumps(rows | changes)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (verdict(core_insight={"reason": "", "score": 6}), "out_of_range"),
        (verdict(core_insight={"reason": "", "score": 2.5}), "off_schema"),
        (verdict(core_insight={"score": 2}), "off_schema"),
        (verdict(core_insight=3), "off_schema"),
        (verdict(more={"reason": "", "score": 1}), "off_schema"),
        ("{}", "off_schema"),
        ("I think 3", "off_schema"),
    ],
)
def test_verdicts_that_are_none(text, kind):
    found = read_verdict(chat(text))
    assert isinstance(found, Failure)
    assert found.kind == kind


def test_capabilities_are_judged_once_and_failures_are_counted(tmp_path, serve):
    answers = iter([verdict(), "no", verdict(empathic_depth={"reason": "x", "score": 5})])
    asked = []

    def answer(seen):
        asked.append(seen.body)
        return Answer(chat(next(answers)))

    talks = {f"{p}/0": talk(p, 60) for p in ("ada", "ben")}
    known = {person.id: person for person in PERSONS}
    server = serve(answer)
    with Journal(tmp_path / "j.jsonl", {}) as journal:
        config = RubricJudgeConfig(urls=[server.url], model="judge", concurrency=1)
        for judged, failed in ((1, {"off_schema": 1}), (2, {})):
            found = asyncio.run(judge_all(RubricJudge(config), "sage", talks, known, journal, FEW))
            assert (found["judged"], found["failed"]) == (judged, failed)
    assert len(asked) == 3
    assert found["capabilities"]["empathic_depth"]["mean"] == 4
    assert found["capabilities"]["style_adaptability"]["mean"] == 3
    body = asked[0]
    assert "deep empathy" in body["messages"][1]["content"]
    assert body["response_format"]["json_schema"]["schema"]["required"] == list(capabilities())


SAID = [
    Message("seeker", "My boss shouted at me."),
    Message("supporter", "That sounds hard."),
    Message("seeker", "Yes, thanks. He shouted about the invoice, you know?"),
    Message("supporter", "What then?"),
    Message("seeker", "Yes, thanks. He shouted and left the building."),
]


def test_lines_are_measured_by_hand():
    first, second = lines_of(SAID)
    assert first.text.startswith("Yes")
    values = {
        name: [measure(line) for line in (first, second)] for name, measure in MEASURES.items()
    }
    assert values["words"] == [9, 8]
    assert values["question"] == [1, 0]
    assert values["agreement"] == [1, 1]
    assert values["same_opening"] == [0, 1]
    # thanks, about, invoice, know; left, building.
    assert values["disclosure"] == [4, 2]
    assert not MEASURES["agreement"](Line("I don't know what to say to that.", (), ()))


def test_a_seeker_is_compared_with_people():
    people = {str(n): SAID for n in range(4)}
    same = fidelity(people, people, FEW)
    assert all(row["overlap"] == 0.5 and row["difference"] == 0 for row in same.values())
    curt = {str(n): [*SAID[:2], Message("seeker", "No.")] for n in range(4)}
    found = fidelity(curt, people, FEW)
    assert found["words"]["difference"] == pytest.approx(1 - 8.5)
    assert found["words"]["overlap"] == 0
    assert found["question"]["people"]["mean"] == 0.5
    assert fidelity({"a": SAID[:2]}, people, FEW) == {}


def test_people_of_the_released_conversations(upstream):
    path = upstream / "data/lend_an_ear_eval/lend_an_ear_50_conversations.csv"
    people = read_conversations(path)
    assert len(people) == 50
    lines = [line for said in people.values() for line in lines_of(said)]
    assert len(lines) == 265
    found = fidelity(people, people, FEW)
    # Counted apart from the project's readers, from the table itself.
    assert found["words"]["people"]["mean"] == pytest.approx(41.08679245283019)
    assert found["question"]["people"]["mean"] == pytest.approx(0.09056603773584905)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"preset": "nice"}, "must be one of"),
        ({"preset": "reserved", "second_preset": "reserved"}, "must differ"),
        ({"turns": 0}, "sage.turns must be >= 1"),
        ({"limit": 0}, "sage.limit must be >= 1"),
    ],
)
def test_settings_are_checked(given, said):
    with pytest.raises(ConfigError, match=said):
        SageSettings(**given)


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Evaluate with a made-up model and graders; gives the result of sage.json."""
    file = tmp_path / "persons.jsonl"
    rows = [{k: v for k, v in asdict(p).items() if v not in (None, ())} for p in PERSONS]
    for row in rows:
        row["follow_ups"] = ["He never asks.", "I cannot sleep.", "It began in May."]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(
        "mint.evaluation.subjects.ready_graders", lambda *_: Graders(FakeTagger(), FakeJudge())
    )
    monkeypatch.setattr("mint.evaluation.subjects._source", lambda _: Supporter(script))

    def run(*arguments: str) -> dict:
        given = [
            "model=m",
            "protocol=sage",
            f"output={tmp_path}/out",
            f"sage.persons={file}",
            "resamples=200",
            *(arguments if "sage.turns=1" in arguments else ("sage.turns=3", *arguments)),
        ]
        assert cli.run(EvaluateSettings, evaluate_command, given) == 0
        return json.loads((tmp_path / "out" / "sage.json").read_text())

    return run


@pytest.mark.slow
def test_the_command_with_two_rule_seekers(command, tmp_path, capsys):
    found = command("sage.second_preset=challenging")
    assert set(found["conditions"]) == {"sage", "sage_second"}
    assert found["seekers"]["sage"]["preset"]["name"] == "sage_bench"
    assert found["seekers"]["sage_second"]["preset"]["name"] == "challenging"
    assert found["sampling"]["temperature"] == 0.7
    assert [row["turns"] for row in found["conditions"].values()] == [3, 3]
    gap = found["second_seeker_minus_first"]["emotion_gain"]
    first, second = (read_talks(tmp_path / "out", name) for name in ("sage", "sage_second"))
    rises = [sum(t.emotion - t.start for t in talks.values()) / 3 for talks in (first, second)]
    assert gap["difference"] == pytest.approx(rises[1] - rises[0])
    row = found["conditions"]["sage"]
    assert "null" in row
    assert row["metrics"]["self_stickiness"]["mean"] is not None
    assert "sage: 3 conversations, score" in capsys.readouterr().out
    assert command("sage.second_preset=challenging") == found


@pytest.mark.slow
def test_more_people_and_turns_may_be_asked_for_later(command):
    few = command("sage.limit=2", "sage.turns=1")["conditions"]["sage"]
    assert (few["counts"]["asked"], few["counts"]["conversations"]) == (2, 2)
    more = command()["conditions"]["sage"]
    assert (more["counts"]["conversations"], more["turns"]) == (3, 3)
    assert more["counts"]["asked"] > 3


@pytest.mark.slow
def test_other_settings_need_another_folder(command, capsys, tmp_path):
    command()
    with pytest.raises(AssertionError):
        command("sage.preset=reserved")
    assert "seekers.sage.preset." in capsys.readouterr().err


def test_before_and_after_of_one_run(command, tmp_path):
    command("sage.second_preset=reserved")
    out = tmp_path / "out"
    path, text = compare.write_comparison(out, out, tmp_path, FEW)
    found = json.loads(path.read_text())
    assert found["conditions"]["sage"]["dialogues"]["emotion"]["difference"] == 0
    assert found["conditions"]["sage"]["own_turns"]["self_lift"]["difference"] == 0
    assert found["gain_not_carried_over"]["difference"]["mean"] == 0
    assert "sage_second: emotion" in text


def test_the_prompt_of_a_conversation_counts_no_tactics():
    prompts = sage.prompts_of_talks(PromptConfig())
    assert prompts.style.value == "tactics"
    assert sage.prompts_of_talks(replace(prompts, style="plain")).style == "plain"


@pytest.mark.slow
def test_a_run_before_and_after_with_both_seekers(command, tmp_path, monkeypatch, capsys):
    run = RunDir.create(tmp_path / "run")
    for folder in (tmp_path / "start", run.model_path):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    config = {
        "mint": {"data": {"style": "plain", "train_file": "t", "val_file": "v"}},
        "actor_rollout_ref": {"model": {"path": str(tmp_path / "start")}},
        "data": {"val_files": str(tmp_path / "val.parquet")},
    }
    run.config_path.write_text(json.dumps(config))

    def model(path, *_):
        """Before training, nobody is asked anything."""
        trained = Path(path) == run.model_path
        return Supporter(script if trained else lambda _, turn: f"You are fine {turn}.")

    monkeypatch.setattr("mint.evaluation.subjects.LocalModel", model)
    arguments = [
        f"run={run.path}",
        "which=both",
        "protocol=sage",
        f"sage.persons={tmp_path / 'persons.jsonl'}",
        "sage.second_preset=challenging",
        "sage.turns=3",
        "resamples=200",
    ]
    assert cli.run(EvaluateSettings, evaluate_command, arguments) == 0
    found = json.loads((run.evaluation_path / "sage_comparison.json").read_text())
    assert (found["before"], found["after"]) == ("before", "after")
    gains = {}
    for condition in ("sage", "sage_second"):
        before, after = (
            read_talks(run.evaluation_path / side, condition) for side in ("before", "after")
        )
        gains[condition] = sum(after[key].emotion - before[key].emotion for key in before) / 3
        row = found["conditions"][condition]
        assert row["dialogues"]["emotion"]["difference"] == pytest.approx(gains[condition])
        assert set(row["null"]) == {"before", "after"}
    gap = found["gain_not_carried_over"]
    assert (gap["seen"], gap["unseen"]) == pytest.approx(tuple(gains.values()))
    assert gap["difference"]["mean"] == pytest.approx(gains["sage"] - gains["sage_second"])
    assert "emotion gained with the first seeker" in capsys.readouterr().out


def test_who_is_played(tmp_path):
    shipped = sage.load_persons(SageSettings(), None)
    assert len(shipped) == len(authored_persons()) >= 80
    assert {person.intention for person in shipped[:8]} == set(INTENTIONS)
    held_out = sage.load_persons(SageSettings(persons="val"), None)
    parts = shipped_parts()
    assert {person.id for person in held_out} == {person.id for person in parts["val"]}
    assert not {person.id for person in held_out} & {person.id for person in parts["train"]}
    write_people(tmp_path, {"train": PERSONS[:1], "val": PERSONS[1:]}, PromptConfig(), 1)
    assert sage.load_persons(SageSettings(), tmp_path / "val.parquet") == PERSONS[1:]
    rows = SageSettings(persons=str(tmp_path / "train.parquet"))
    assert sage.load_persons(rows, None) == PERSONS[:1]
    assert sage.load_persons(SageSettings(), tmp_path / "none.parquet") == shipped


@pytest.mark.slow
def test_released_profiles_can_be_played(upstream):
    path = upstream.parent / "rlver" / "simulator_profile_withfirsttalk.jsonl"
    persons = sage.load_persons(SageSettings(persons=str(path)), None)
    assert len(persons) == 100
    assert {person.language for person in persons} == {"zh"}
    assert all(person.opening for person in persons)


@pytest.mark.slow
def test_a_served_seeker_is_the_second_one(command, serve):
    turn = {"content": "c", "target": "t", "activity": "a", "analyse": "better", "change": 7}
    said = iter(range(1000))

    def answer(seen):
        asks_change = "change" in json.dumps(seen.body["response_format"])
        line = {"thinking": "t", "response": f"Rain {next(said)} fell."}
        return Answer(chat(json.dumps(turn if asks_change else line)))

    server = serve(answer)
    found = command(f"sage.second_served.urls=[{server.url}]", "sage.second_served.model=player")
    assert found["seekers"]["sage"]["kind"] == "rule"
    second = found["seekers"]["sage_second"]
    assert (second["kind"], second["model"], second["preset"]) == (
        "served",
        "player",
        "sage_bench",
    )
    row = found["conditions"]["sage_second"]
    assert row["scores"]["score"]["mean"] == pytest.approx(40 + 3 * 7)
    assert row["scores"]["lost"]["mean"] == 0
