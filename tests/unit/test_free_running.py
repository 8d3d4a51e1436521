"""Dialogues with a simulated seeker, with supporters made up by code."""

from __future__ import annotations

import asyncio

import pytest
from fake_graders import FakeJudge, FakeTagger
from quiet_runner import quiet_runner

from mint.config.evaluation import EvaluationConfig
from mint.data.banks import load_banks
from mint.data.prompts import PromptConfig
from mint.dialogue.presets import STEADY, get_preset
from mint.dialogue.protocol import Lost, Who
from mint.dialogue.rule import RuleSeeker
from mint.evaluation.generation import Generation
from mint.evaluation.metrics.own_sequence import own_sequence
from mint.evaluation.protocols import free_running
from mint.evaluation.seekers.rounds import Rounds
from mint.evaluation.sources.requests import SubjectError
from mint.shell.paths import data_dir
from rewards.types import Failure

SCENARIOS = load_banks(data_dir()).scenarios
PROMPTS = PromptConfig(compact=True)
SETTINGS = EvaluationConfig(resamples=200)
TAGS = {"Why": "questioning", "Anyone": "validation", "You could": "advice", "I hope": "assistance"}


def tagger_of_openings() -> FakeTagger:
    """Knows a sentence by how it begins."""
    return FakeTagger(
        lambda sentence: tuple(t for opening, t in TAGS.items() if sentence.startswith(opening)),
        fail_on="broken",
    )


class Supporter:
    """Says what `script` gives for (conversation, turn); a Failure or an exception also passes."""

    identity = {"kind": "fake"}  # noqa: RUF012

    def __init__(self, script) -> None:
        self.script = script
        self.asked = []

    async def stream(self, requests, sampling):
        for position, request in enumerate(requests):
            said = self.script(request.key.conversation_id, request.key.turn)
            if isinstance(said, Exception):
                raise said
            self.asked.append(request)
            yield position, said if isinstance(said, Failure) else Generation(said, 5, False)

    async def close(self):
        pass


def rule_seeker(seeker=RuleSeeker):
    """Its graders are its own, so that tests can count what the runner asks."""
    return seeker(get_preset(STEADY), tagger_of_openings(), FakeJudge())


def run(path, supporter, turns=4, dialogues=3, tagger=None, seeker=None, prompts=PROMPTS):
    with quiet_runner(path, supporter, tagger or tagger_of_openings(), 9) as runner:
        chosen = free_running.choose_scenarios(SCENARIOS, dialogues, 3)
        return asyncio.run(
            free_running.evaluate(runner, seeker or rule_seeker(), chosen, turns, prompts, 3)
        )


def alternating(_, turn):
    return f"Why number {turn}?" if turn % 2 else f"Anyone would, {turn} times."


def test_repetition_is_measured_on_the_models_own_turns(tmp_path):
    same = run(tmp_path / "a", Supporter(lambda c, t: f"Why, {c} {t}?"))
    other = run(tmp_path / "b", Supporter(alternating))
    assert len(same.replies) == len(other.replies) == 12
    first, second = (own_sequence(o.replies, SETTINGS) for o in (same, other))
    assert first["self_stickiness"].mean == 1.0
    assert first["same_set"].mean == 1.0
    assert second["self_stickiness"].mean == 0.0
    assert second["self_lift"].mean == -1.0
    assert second["distinct_sets"].mean == 2.0
    for reply in other.replies:
        assert reply.has_previous == (reply.turn > 0)
        if reply.turn:
            assert reply.previous_counts[3 if reply.turn % 2 else 7] == 1
            assert reply.kl > 1


def test_the_model_sees_the_dialogue_so_far(tmp_path):
    supporter = Supporter(alternating)
    run(tmp_path, supporter, turns=3, dialogues=1)
    messages = supporter.asked[-1].messages
    assert [m["role"] for m in messages[1:]] == ["user", "assistant", "user", "assistant", "user"]
    assert messages[2]["content"] == "Anyone would, 0 times."
    assert "Last time: questioning" in messages[0]["content"]


def test_an_interrupted_evaluation_goes_on_without_asking_or_grading_twice(tmp_path):
    whole = run(tmp_path / "whole", Supporter(alternating))
    tagger = tagger_of_openings()

    supporter = Supporter(lambda c, t: RuntimeError("power cut") if t == 2 else alternating(c, t))
    with pytest.raises(RuntimeError, match="power cut"):
        run(tmp_path / "cut", supporter, tagger=tagger)
    assert tagger.asked == 6
    again = Supporter(alternating)
    resumed = run(tmp_path / "cut", again, tagger=tagger)
    assert {request.key.turn for request in again.asked} == {2, 3}
    assert tagger.asked == 12
    assert resumed.replies == whole.replies
    finished = Supporter(alternating)
    assert run(tmp_path / "cut", finished, tagger=tagger).replies == whole.replies
    assert finished.asked == []
    longer = run(tmp_path / "cut", finished, turns=5, tagger=tagger)
    assert {request.key.turn for request in finished.asked} == {4}
    assert len(longer.replies) == 15


def test_failures_end_their_dialogue_only_and_are_counted(tmp_path):
    def script(conversation, turn):
        if turn == 1 and conversation.endswith("000"):
            return Failure("timeout", "no answer")
        if turn == 2 and conversation.endswith("001"):
            return "This is broken."
        return alternating(conversation, turn)

    found = run(tmp_path, Supporter(script))
    assert len(found.replies) == 1 + 3 + 4
    assert [lost.reason for lost in found.unanswered] == ["timeout: no answer"]
    assert found.facts["num_cut_short"] == 2
    assert [r.status for r in found.replies].count("failed") == 1
    # What failed is asked again; what did not is kept. A reply stays, its grading is repeated.
    again = Supporter(alternating)
    healed = run(tmp_path, again)
    assert len(healed.replies) == 1 * 4 + 3 + 4
    assert {(r.key.conversation_id[-3:], r.key.turn) for r in again.asked} == {
        ("000", 1),
        ("000", 2),
        ("000", 3),
    }


def test_a_dead_model_is_an_error(tmp_path):
    with pytest.raises(SubjectError, match=r"none of 3 prompts was answered.*refused"):
        run(tmp_path, Supporter(lambda c, t: Failure("connection", "refused")))


def test_a_failing_seeker_cuts_the_dialogue(tmp_path):
    class Mute(RuleSeeker):
        async def turn(self, heard):
            if heard.history:
                return Lost(Who.SEEKER, "utterance", "empty", "mute")
            return await super().turn(heard)

    found = run(tmp_path, Supporter(alternating), seeker=rule_seeker(Mute))
    assert len(found.replies) == 3
    assert found.facts["cut_short"] == ["seeker: empty: mute"] * 3
    assert found.facts["emotion_at_the_end"] == 40
    # What failed is asked again, what did not is kept.
    healed = run(tmp_path, Supporter(alternating))
    assert len(healed.replies) == 12


def test_scenarios_are_all_used_before_any_comes_again():
    chosen = free_running.choose_scenarios(SCENARIOS[:4], 10, 0)
    assert {s.id for s in chosen[:4]} == {s.id for s in SCENARIOS[:4]}
    assert chosen[:7] == free_running.choose_scenarios(SCENARIOS[:4], 7, 0)
    assert chosen != free_running.choose_scenarios(SCENARIOS[:4], 10, 1)


def test_rounds_wait_for_all_who_still_talk() -> None:
    async def hold() -> list[list[int]]:
        sent = []

        async def answer(asked):
            sent.append(sorted(asked))
            await asyncio.sleep(0.01)
            return [number * 10 for number in asked]

        rounds = Rounds(answer, 3)

        async def talk(number):
            for turn in range(number + 1):
                await asyncio.sleep(0.005 * number)
                assert await rounds.ask(10 * turn + number) == 10 * (10 * turn + number)
            rounds.leave()

        await asyncio.gather(*map(talk, range(3)))
        return sent

    assert asyncio.run(hold()) == [[0, 1, 2], [11, 12], [22]]


def test_a_model_with_memory_is_told_what_its_prompt_no_longer_shows(tmp_path):
    supporter = Supporter(lambda conversation, turn: f"Why, and turn {turn}?")
    prompts = PromptConfig(compact=True, max_history_turns=1, memory=True)
    outcome = run(tmp_path, supporter, turns=3, dialogues=1, prompts=prompts)
    kinds = [request.key.condition for request in supporter.asked]
    notes = free_running.NOTES
    # Before turns 1 and 2 the messages of the turn before go out of sight.
    assert kinds == ["free_running", notes, "free_running", notes, "free_running"]
    last = supporter.asked[-1].messages
    assert [m["role"] for m in last] == ["system", "user"]
    assert last[0]["content"].endswith("Earlier in this conversation: Why, and turn 2?")
    assert [r.summary for r in outcome.replies] == ["", "Why, and turn 1?", "Why, and turn 2?"]
    assert outcome.facts["num_summaries_failed"] == 0


def test_a_summary_that_fails_is_no_end_of_the_dialogue(tmp_path):
    class Forgetful(Supporter):
        async def stream(self, requests, sampling):
            for position, request in enumerate(requests):
                notes = request.key.condition == free_running.NOTES
                said = Generation("Why?", 5, False)
                yield position, Failure("timeout", "no answer") if notes else said

    prompts = PromptConfig(compact=True, max_history_turns=1, memory=True)
    outcome = run(tmp_path, Forgetful(None), turns=3, dialogues=1, prompts=prompts)
    assert [r.summary_reason for r in outcome.replies] == ["", *["timeout: no answer"] * 2]
    assert {r.summary for r in outcome.replies} == {""}
    assert outcome.facts["num_summaries_failed"] == 2
