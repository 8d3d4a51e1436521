"""The second judge, the canaries, and the alarm when the first judge alone is pleased."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_graders import FakeJudge, FakeTagger

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics.summary import compare
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.second import grade_canaries, learnt_the_judge, read_canary_rows, with_second
from mint.reporting.canaries import canaries_section
from mint.reporting.data import load
from mint.rundir.directory import RunDir
from mint.validation.measure import learning_the_judge
from rewards.build import Graders, SecondJudgeConfig, build_second_judge
from rewards.canaries import format_canaries, rate_canaries, read_canaries
from rewards.errors import ConfigError, DataError, GraderError
from rewards.fitting.second import Pair, fit_second, fitted, foreign, training_pairs
from rewards.graders.embedded.arrays import write_arrays
from rewards.graders.embedded.heads import shipped_card
from rewards.graders.lexical.judge import LexicalJudge, LexicalWeights
from rewards.protocols import EmpathyJudge
from rewards.types import Failure, Message, Rating, Reply

pytestmark = pytest.mark.slow

TALK = (
    Message("seeker", "My dog Rex died last night and the house is so quiet."),
    Message("supporter", "I am so sorry. What was Rex like?"),
    Message("seeker", "He slept at my feet for twelve years. I miss the sound of his paws."),
)
OWN = (
    "Twelve years with Rex at your feet, and now the house is quiet. It makes sense that you miss "
    "the sound of his paws. What do you remember most about your dog?"
)
FOREIGN = (Message("seeker", "My boss gave the promotion to somebody else and I feel worthless."),)
SETTINGS = EvaluationConfig(resamples=400)


def evaluated(conversation: int, first: float | None, second: float | None) -> EvaluatedReply:
    return EvaluatedReply(
        conversation_id=f"c{conversation}",
        turn=0,
        sample=0,
        seeker="Hello.",
        reply="I hear you.",
        status="ok" if first is not None else "empty",
        previous_counts=(0.0,) * 10,
        has_previous=False,
        num_tokens=3,
        truncated=False,
        empathy=first,
        second_empathy=second,
        counts=(0,) * 9 + (1,),
    )


def set_of(first: float, second: float) -> list[EvaluatedReply]:
    """Thirty conversations around two means."""
    return [evaluated(i, first + i % 3 * 0.1, second - i % 2 * 0.1) for i in range(30)]


def rating(reply: Reply, judge: LexicalJudge | None = None) -> Rating:
    (found,) = (judge or LexicalJudge()).grade_now([reply])
    assert isinstance(found, Rating)
    return found


def test_the_second_judge_reads_the_conversation() -> None:
    judge = LexicalJudge()
    assert isinstance(judge, EmpathyJudge)
    own, foreign_ = (rating(Reply(history=h, text=OWN), judge) for h in (TALK, FOREIGN))
    assert set(own.parts) == {"manner", "relevance"}
    assert own.parts["manner"] == foreign_.parts["manner"]
    assert own.parts["relevance"] > foreign_.parts["relevance"]
    assert 1 <= foreign_.aggregate < own.aggregate <= 5
    alone = rating(Reply(history=(), text=OWN), judge)
    assert alone.aggregate == alone.parts["manner"]


def test_a_reply_without_words_is_a_failure_and_order_is_kept() -> None:
    replies = [Reply(history=TALK, text=text) for text in (OWN, "?!", "No.")]
    found = asyncio.run(LexicalJudge().rate(replies))
    assert isinstance(found[1], Failure)
    assert isinstance(found[0], Rating)
    assert isinstance(found[2], Rating)
    assert found[0].aggregate > found[2].aggregate
    assert LexicalJudge().grade_now([]) == []


def test_a_reply_is_rated_alike_alone_and_among_others_and_quickly() -> None:
    judge = LexicalJudge()
    replies = [Reply(history=TALK, text=f"{OWN} {i}") for i in range(192)]
    started = time.process_time()
    many = judge.grade_now(replies)
    assert time.process_time() - started < 10  # 0.1 s where the machine is free
    assert isinstance(many[7], Rating)
    assert many[7].aggregate == pytest.approx(rating(replies[7], judge).aggregate, abs=1e-4)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    write_arrays(path, {"coef": np.zeros(3)})
    with pytest.raises(ConfigError, match="lack phrase_idf"):
        LexicalJudge(str(path))
    with pytest.raises(ConfigError, match=r"python -m rewards\.fit"):
        LexicalJudge(str(tmp_path / "none.npz"))


def test_the_shipped_card_is_of_the_shipped_weights_and_decent() -> None:
    card = shipped_card("second_judge.json")
    assert card["sha256"] == LexicalJudge().identity.revision
    unseen = card["unseen_conversation"]
    assert unseen["within_prompt"] >= 0.75
    assert unseen["own_against_foreign"]["people"]["auc"] >= 0.6
    assert len(card["canaries"]["kinds"]) == 20


def test_the_fit_learns_follows_its_seed_and_never_swaps_within_a_conversation() -> None:
    topics = ("dog paws", "exam marks", "boss office", "rent landlord", "sister wedding")
    pairs = [
        Pair(
            f"c{i % 5}",
            "gold",
            f"I keep thinking about the {topics[i % 5]} {i}",
            f"It sounds hard about the {topics[i % 5]}. What happened?" if i % 2 else "Get over it",
            (3.0,) * 6 + (4.0 if i % 2 else 1.5,),
        )
        for i in range(90)
    ]
    for swap in foreign(pairs, 2, 0):
        assert all(pairs[i].conversation != pairs[j].conversation for i, j in enumerate(swap))
    first, again = (fitted(pairs, [], 0) for _ in range(2))
    for name, array in first.as_arrays().items():
        assert np.array_equal(array, again.as_arrays()[name]), name
    weights = LexicalWeights.of(first.as_arrays(), "fitted")
    good, bad = weights.manner(["It sounds hard. What happened?", "Get over it"])[:, -1]
    assert good > bad


def test_kinds_of_second_judge() -> None:
    assert build_second_judge(SecondJudgeConfig(kind="none")) is None
    assert isinstance(build_second_judge(SecondJudgeConfig()), LexicalJudge)
    custom = SecondJudgeConfig(kind="custom", factory="fake_graders:FakeJudge")
    assert isinstance(build_second_judge(custom), FakeJudge)
    with pytest.raises(ConfigError, match="none, lexical, language_model, custom, got 'x'"):
        build_second_judge(SecondJudgeConfig(kind="x"))
    with pytest.raises(ConfigError, match=r"needs mint\.second_judge\.factory"):
        build_second_judge(SecondJudgeConfig(kind="custom"))
    with pytest.raises(ConfigError, match="no judge"):
        build_second_judge(SecondJudgeConfig(kind="custom", factory="builtins:dict"))
    with pytest.raises(ConfigError, match="max_gap_gain must be >= 0"):
        SecondJudgeConfig(max_gap_gain=-1.0)


class Partial:
    """Fails on every second reply, or forgets the last."""

    identity = FakeJudge.identity

    def __init__(self, forgets: bool = False) -> None:
        self._forgets = forgets

    async def rate(self, replies: list[Reply]) -> list[Rating | Failure]:
        rated = await FakeJudge().rate(replies)
        found = [Failure("timeout", "slow") if i % 2 else r for i, r in enumerate(rated)]
        return found[:-1] if self._forgets else found


def test_a_failure_of_the_second_judge_is_no_rating() -> None:
    replies = [evaluated(i, 3.0, None) for i in range(3)] + [evaluated(3, None, None)]
    histories = [TALK] * 4
    found = asyncio.run(with_second(Partial(), histories, replies))
    assert [reply.second_empathy for reply in found] == [3.0, None, 3.0, None]
    assert asyncio.run(with_second(None, histories, replies)) == replies
    with pytest.raises(GraderError, match="2 ratings for 3 replies"):
        asyncio.run(with_second(Partial(forgets=True), histories, replies))


@pytest.mark.parametrize(
    ("first", "second", "alarm"),
    [
        (4.0, 3.0, True),  # the judge alone is pleased
        (4.0, 4.0, False),  # both are
        (3.2, 3.0, False),  # a small gap
        (3.0, 2.0, True),  # the second judge's rating falls
        (2.0, 3.0, False),  # the judge's falls
    ],
)
def test_the_alarm_is_for_a_gain_that_only_the_judge_sees(
    first: float, second: float, alarm: bool
) -> None:
    start, end = set_of(3.0, 3.0), set_of(first, second)
    said = learnt_the_judge(compare(start, end, SETTINGS), 0.3)
    assert bool(said) == alarm
    assert learning_the_judge(start, end, SETTINGS, 0.3) == float(alarm)
    if alarm:
        assert said.startswith("the policy is learning the judge: ")
        assert learnt_the_judge(compare(start, end, SETTINGS), 2.0) == ""


def test_the_alarm_needs_the_whole_interval_and_both_judges() -> None:
    start, end = set_of(3.0, 3.0), set_of(3.35, 3.0)
    noisy = [replace(r, empathy=3.0 + 3.0 * (i % 5 == 0)) for i, r in enumerate(end)]
    assert learnt_the_judge(compare(start, noisy, SETTINGS), 0.3) == ""
    alone = [replace(reply, second_empathy=None) for reply in set_of(5.0, 3.0)]
    assert learnt_the_judge(compare(start, alone, SETTINGS), 0.3) == ""
    assert learning_the_judge(start, alone, SETTINGS, 0.3) is None
    assert learning_the_judge((), end, SETTINGS, 0.3) is None
    assert learnt_the_judge({}, 0.3) == ""


def test_canaries_are_twenty_kinds_and_broken_ones_are_named(root: Path, tmp_path: Path) -> None:
    canaries = read_canaries(root / "data" / "bad_replies" / "canaries.jsonl")
    assert len({canary.kind for canary in canaries}) == 20
    broken = tmp_path / "canaries.jsonl"
    broken.write_text('{"kind": "x", "history": [{"role": "seeker", "content": "a"}]}\n')
    with pytest.raises(DataError, match=r"canaries\.jsonl:1: no canary: KeyError"):
        read_canaries(broken)
    broken.write_text("")
    with pytest.raises(DataError, match="holds no canary"):
        read_canaries(broken)
    with pytest.raises(DataError, match="no canaries at"):
        read_canaries(tmp_path / "none.jsonl")


def test_shares_of_canaries_are_of_those_that_were_rated(root: Path) -> None:
    canaries = read_canaries(root / "data" / "bad_replies" / "canaries.jsonl")
    found = asyncio.run(rate_canaries(Partial(), canaries, 3.0))
    assert found["all"] == {
        "replies": 60,
        "failed": 30,
        "mean": 3.0,
        "highest": 3.0,
        "share_at_or_below_human_median": 1.0,
    }
    low = asyncio.run(rate_canaries(FakeJudge(), canaries, 2.9))
    assert low["all"]["share_at_or_below_human_median"] == 0.0
    unknown = asyncio.run(rate_canaries(FakeJudge(), canaries, None))
    assert unknown["all"]["share_at_or_below_human_median"] is None
    shown = format_canaries({"judge": found, "second_judge": unknown}).splitlines()
    assert len(shown) == 22
    assert shown[-1].split() == ["all", "100", "%", "(3.00)", "mean", "3.00"]


def test_an_evaluation_keeps_the_canaries_and_the_page_shows_them(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    graders = Graders(FakeTagger(), FakeJudge())
    folder = run.evaluation_path
    assert read_canary_rows(folder) == {}
    found = grade_canaries(graders, LexicalJudge(), folder)
    assert found == json.loads((folder / "canaries.json").read_text())
    assert found["judge"]["human_median"] is None
    assert (
        found["second_judge"]["human_median"] == shipped_card("second_judge.json")["human_median"]
    )
    before = (folder / "canaries.json").stat().st_mtime_ns
    assert grade_canaries(graders, LexicalJudge(), folder) == found
    assert (folder / "canaries.json").stat().st_mtime_ns == before
    assert set(grade_canaries(graders, None, folder)) == {"judge"}
    grade_canaries(graders, LexicalJudge(), folder)
    run.append_metrics(1, {"x": 1.0})
    page = canaries_section(load(run))
    assert "praise flood" in page
    assert "Second judge: mean" in page


def test_the_shipped_weights_are_what_the_command_makes(
    upstream: Path, root: Path, tmp_path: Path
) -> None:
    card = fit_second(upstream, tmp_path, root / "data/bad_replies/canaries.jsonl", seed=0)
    shipped = shipped_card("second_judge.json")
    assert card["fitted_on"] == shipped["fitted_on"]
    assert card["unseen_conversation"]["spearman"] == pytest.approx(
        shipped["unseen_conversation"]["spearman"], abs=0.01
    )
    assert LexicalJudge(str(tmp_path / "second_judge.npz")).identity.revision == card["sha256"]


@pytest.mark.parametrize("text", ["{", '[{"conversation_id": 1}]', '[{"conversation": 3}]'])
def test_broken_training_conversations_are_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "data" / "training" / "conversations_322.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(DataError, match=r"conversations_322\.json: not in the released form"):
        training_pairs(tmp_path)
