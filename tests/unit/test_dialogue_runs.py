"""Runs of mint.task=dialogues: people as data, checks before the start, validation prompts."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fake_graders import FakeJudge, FakeTagger
from fake_seekers import FaultySeeker, RuleSeeker, people

from mint.config import compose, recipes
from mint.config.dialogue import DialogueRules, SeekerConfig
from mint.config.evaluation import EvaluationConfig
from mint.config.prompts import PromptConfig, PromptStyle
from mint.config.schema import mint_config
from mint.config.validation import PROBE_SOURCE, ValidationConfig
from mint.dialogue.people import (
    dialogue_row,
    person_of_row,
    read_people_rows,
    shipped_parts,
    write_people,
)
from mint.dialogue.persons import authored_persons, overlap
from mint.dialogue.protocol import INTENTIONS, Ended
from mint.dialogue.replies import requests_of
from mint.evaluation.generation import Generation, Prompt
from mint.evaluation.metrics.talks import talk_differences, talk_estimates
from mint.evaluation.talking import Asked, hold
from mint.shell import console
from mint.training import dialogues
from rewards.errors import ConfigError, DataError
from rewards.scorer import ReplyScorer

PROMPTS = PromptConfig(style=PromptStyle.PLAIN, compact=True)


def written(folder: Path, number: int = 6) -> Path:
    everybody = people(number)
    write_people(folder, {"train": everybody[2:], "val": everybody[:2]}, PROMPTS, 7)
    return folder


def test_people_are_rows_that_say_everything(tmp_path: Path) -> None:
    folder = written(tmp_path / "people")
    rows = read_people_rows(folder / "train.parquet")
    assert [person_of_row(row["extra_info"]) for row in rows] == list(people(6)[2:])
    assert [row["extra_info"]["seed"] for row in rows] == [7, 8, 9, 10]
    assert rows[0]["prompt"][0]["content"] == "Reply with warmth in a few sentences."
    assert rows[0]["prompt"][1]["content"] == people(6)[2].opening
    card = json.loads((folder / "card.json").read_text())
    assert (card["style"], card["compact"]) == ("plain", True)
    assert card["splits"]["val"]["people"] == 2


def test_nobody_is_both_trained_with_and_held_out(tmp_path: Path) -> None:
    everybody = people(4)
    with pytest.raises(DataError, match="training or the held-out file"):
        write_people(tmp_path, {"train": everybody, "val": everybody[:1]}, PROMPTS, 0)
    parts = shipped_parts()
    train, held_out = parts["train"], parts["val"]
    assert {p.id for p in train} | {p.id for p in held_out} == {p.id for p in authored_persons()}
    assert overlap(train, held_out)[1:] == (0, 0, 0)
    assert {p.intention for p in held_out} == set(INTENTIONS) == {p.intention for p in train}
    assert (len(train), len(held_out)) == (64, 16)


def test_files_without_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.parquet does not exist"):
        read_people_rows(tmp_path / "no.parquet")


def run_config(*overrides: str) -> Any:
    recipes.register(recipes.find_recipes())
    return compose.compose_config(["+recipe=rlver_tiny", *overrides])


def checked(*overrides: str) -> list[str]:
    config = run_config(*overrides)
    mint = mint_config(config)
    dialogues.check(config, mint)
    return list(dialogues.notes(config, mint))


@pytest.mark.slow
def test_the_recipe_passes_its_checks() -> None:
    assert checked() == []
    recipes.register(recipes.find_recipes())
    config = compose.compose_config(["+recipe=rlver_smol"])
    mint = mint_config(config)
    dialogues.check(config, mint)
    assert list(dialogues.notes(config, mint)) == []
    assert (mint.policy.build, mint.task, mint.data.source) == ("smol", "dialogues", "persons")
    assert config.actor_rollout_ref.rollout.temperature == mint.evaluation.temperature == 0.7
    assert checked("mint.dialogue.thinking=keep", "mint.data.enable_thinking=true") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["mint.dialogue.thinking=drop"], "thinking=drop cannot be trained"),
        (["mint.dialogue.thinking=keep"], "set both"),
        (["mint.data.enable_thinking=true"], "set both"),
        (["mint.data.style=tactics_history"], "written once, at its start"),
        (["algorithm.adv_estimator=rloo"], "grpo and gae"),
        (["algorithm.use_kl_in_reward=true"], "know no KL; use"),
        (["mint.dialogue.turn_tokens=800"], "more than one reply"),
        (["actor_rollout_ref.rollout.agent.num_workers=8"], "num_workers=8: .* needs 1"),
        (["reward.reward_manager.name=SignalRewardManager"], "needs DialogueRewardManager"),
        (["mint.run.step_timeout_s=100"], r"dialogue_timeout_s \(120 s\) < .* \(100 s\) does not"),
        (
            ["mint.seeker.kind=served"],
            r"4 requests of mint.seeker.served \(\d+ s\) < mint.dialogue.seeker_timeout_s",
        ),
    ],
)
def test_what_cannot_work_is_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        checked(*overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["credit.reply=0.5", "dialogue.max_turns=3", "curriculum.prior=2"])
def test_settings_of_conversations_need_conversations(key: str) -> None:
    recipes.register(recipes.find_recipes())
    plain = mint_config(compose.compose_config(["+recipe=mint_tiny"]))
    dialogues.check_unused(plain)
    asked = mint_config(compose.compose_config(["+recipe=mint_tiny", f"mint.{key}"]))
    with pytest.raises(ConfigError, match=rf"mint.{key.split('.')[0]}.\* is set, but .*=replies"):
        dialogues.check_unused(asked)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["mint.second_seeker.kind=rule"], "mint.second_seeker.kind=rule is the seeker that"),
        (["mint.seeker.kind=drift"], "mint.second_seeker.kind=drift is the seeker that"),
        (
            ["mint.second_seeker.preset=kind"],
            "mint.second_seeker.preset must be one of",
        ),
        (["mint.second_seeker.kind=nobody"], "mint.second_seeker.kind must be one of rule, drift"),
    ],
)
def test_a_second_seeker_is_another_one(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        checked(*overrides)


@pytest.mark.slow
def test_another_preset_is_another_seeker() -> None:
    assert checked("mint.second_seeker.kind=rule", "mint.second_seeker.preset=reserved") == []


@pytest.mark.slow
def test_families_that_take_back_tokens_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "glm4_moe"}')
    with pytest.raises(ConfigError, match=r"is a glm4_moe: .* nor with glm4v, glm4v_moe, glm_moe"):
        checked(f"actor_rollout_ref.model.path={tmp_path}")


@pytest.mark.slow
def test_limits_that_nest_are_accepted() -> None:
    limits = ("seeker_timeout_s=150", "dialogue_timeout_s=900")
    wide = [f"mint.dialogue.{limit}" for limit in limits]
    assert checked("mint.seeker.kind=served", *wide, "mint.run.step_timeout_s=1000") == []


@pytest.mark.slow
def test_a_small_budget_is_told() -> None:
    (note,) = checked("data.max_response_length=500")
    assert note.startswith("data.max_response_length=500 may end dialogues early")


def test_a_custom_seeker_needs_its_factory() -> None:
    with pytest.raises(ConfigError, match="factory belongs to"):
        SeekerConfig(kind="custom")


def test_probes_stand_among_held_out_people(tmp_path: Path) -> None:
    folder = written(tmp_path / "people")
    path = tmp_path / "validation" / "prompts.parquet"
    settings = ValidationConfig(every_steps=1, max_conversations=1, probes_per_category=1)
    found = dialogues.write_prompts(path, folder / "val.parquet", settings, PROMPTS, FakeTagger())
    rows = pq.read_table(path).to_pylist()
    assert found == (1, 8)
    assert [row["data_source"] for row in rows] == ["dialogue", *[PROBE_SOURCE] * 8]
    assert [bool(row["extra_info"]["person"]) for row in rows] == [True, *[False] * 8]
    assert dialogues.prompt_writer("replies") is not dialogues.write_prompts


class Generator:
    """Answers by rule and notes which prompts it got together."""

    def __init__(self) -> None:
        self.batches: list[list[Prompt]] = []

    def tokenizer(self, text: str, **more: Any) -> dict[str, list[int]]:
        return {"input_ids": [1] * len(text.split())}

    def render(self, prompt: Prompt) -> str:
        return " ".join(message["content"] for message in prompt.messages)

    def replies(
        self, prompts: list[Prompt], advance: Callable[[int], None]
    ) -> list[list[Generation]]:
        self.batches.append(prompts)
        advance(len(prompts))
        return [[self.answer(prompt)] for prompt in prompts]

    def answer(self, prompt: Prompt) -> Generation:
        kind = "p0" in prompt.key
        return Generation("I am so sorry." if kind else "Get up.", 4, False)


RULES = DialogueRules(max_turns=6, turn_tokens=8, min_turn_tokens=4)


def held(seeker: Any, context: int = 500, number: int = 3) -> tuple[Generator, dict[str, Any]]:
    rows = [dialogue_row(p, PROMPTS, "val", i, i) for i, p in enumerate(people(number))]
    asked = [Asked(row, sample) for row in rows for sample in range(2)]
    generator = Generator()
    records = asyncio.run(hold(generator, asked, seeker, RULES, context))
    return generator, {one.key: record for one, record in zip(asked, records, strict=True)}


def test_a_thought_that_the_template_opens_is_opened_once() -> None:
    class Opening(Generator):
        def render(self, prompt: Prompt) -> str:
            told = (
                f"<think>{m['content']}" if m["role"] == "assistant" else m["content"]
                for m in prompt.messages
            )
            return " ".join([*told, "<think>"])

        def answer(self, prompt: Prompt) -> Generation:
            return Generation("<think>hm</think>I am so sorry.", 4, False)

    row = dialogue_row(people(1)[0], PROMPTS, "val", 0, 0)
    generator = Opening()
    asyncio.run(hold(generator, [Asked(row, 0)], RuleSeeker(), RULES, 500))
    third = generator.render(generator.batches[2][0])
    assert third.count("<think>") == 3
    assert "<think>hm</think>I am so sorry." in third
    assert "<think><think>" not in third


def test_dialogues_are_held_at_the_same_time() -> None:
    generator, talks = held(RuleSeeker())
    assert talks["p0/0"].ended is Ended.SATISFIED
    assert talks["p1/1"].ended is Ended.TURNS
    assert [len(batch) for batch in generator.batches][:2] == [6, 6], "all of them in one batch"
    keys = [prompt.key for batch in generator.batches for prompt in batch]
    assert len(set(keys)) == len(keys)
    for key, talk in talks.items():
        own = [p for batch in generator.batches for p in batch if p.key.startswith(f"{key}/")]
        shown = [m["content"] for m in own[-1].messages[1:]]
        assert shown == [message.content for message in talk.messages[:-1]]


def test_progress_counts_the_replies_of_all_rounds(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_S", 0.0)
    generator, _ = held(RuleSeeker())
    said = [line.partition(" after ")[0] for line in capfd.readouterr().err.splitlines()]
    done = list(itertools.accumulate(len(batch) for batch in generator.batches))
    assert said == [f"dialogues (fake seeker): replies: {n} of {6 * RULES.max_turns}" for n in done]
    assert done[-1] > len(generator.batches[0])


def test_a_dialogue_without_room_ends() -> None:
    _, talks = held(RuleSeeker(), context=60)
    assert {talk.ended for talk in talks.values()} <= {Ended.TOKENS, Ended.SATISFIED}
    _, talks = held(RuleSeeker(), context=5)
    assert all(talk.lost is not None and talk.lost.stage == "start" for talk in talks.values())


def test_measures_of_dialogues() -> None:
    settings = EvaluationConfig(resamples=200)
    _, talks = held(RuleSeeker())
    found = talk_estimates(talks, settings)
    assert found["success"].mean == pytest.approx(1 / 3)
    assert found["emotion"].mean == pytest.approx((100 + 16 + 16) / 3)
    assert found["lost"].mean == 0.0
    assert found["turns"].mean == pytest.approx((5 + 6 + 6) / 3)
    better = {
        key: replace(
            talk,
            turns=tuple(replace(t, emotion=min(100.0, (t.emotion or 0) + 10)) for t in talk.turns),
        )
        for key, talk in talks.items()
    }
    difference = talk_differences(talks, better, settings)["emotion"]
    assert difference.difference == pytest.approx(20 / 3)
    assert difference.num_clusters == 3
    assert talk_differences(talks, {}, settings) == {}


def test_lost_dialogues_are_counted_and_not_averaged() -> None:
    _, talks = held(FaultySeeker(), number=12)
    found = talk_estimates(talks, EvaluationConfig(resamples=200))
    lost = [talk for talk in talks.values() if talk.lost is not None]
    assert 0 < len(lost) < len(talks)
    assert found["lost"].mean == pytest.approx(len(lost) / 24)
    assert found["emotion"].n == 24 - len(lost)


def test_replies_are_graded_against_the_policys_own_turns() -> None:
    _, talks = held(RuleSeeker())
    requests = requests_of(talks["p1/0"])
    assert [len(request.history) for request in requests] == [1, 3, 5, 7, 9, 11]
    scorer = ReplyScorer(FakeTagger(), FakeJudge())
    signals = asyncio.run(scorer.score(requests))
    ordered = scorer.in_order(requests, signals)
    assert ordered[0][0].previous_counts == (0.0,) * 10
    assert sum(ordered[1][0].previous_counts) == 1
    assert len(ordered[5][0].history_tactics) == 5
    kl = [signal.kl for _, signal in ordered]
    assert kl[0] == signals[0].kl
    assert kl[1:] == [0.0] * 5, "the same tactic again is not novel"
