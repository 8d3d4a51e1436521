"""Real runs on dialogues, GRPO and PPO: VERL, Ray and vLLM on the CPU; a seeker that fails."""

from __future__ import annotations

import math

import pytest
from fake_seekers import RuleSeeker, answer, people
from training_queue import Trained

from mint.dialogue.protocol import Heard
from mint.dialogue.record import TalkRecord
from mint.shell.files import read_json_if_there, read_json_lines
from rewards.types import Message

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3000)]


def test_two_steps_of_dialogues(talked: Trained) -> None:
    rows = talked.run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert row["policy/log_prob_pearson"] >= 0.99
        assert row["dialogue/num"] + row["dialogue/num_missing"] == 32
        assert row["dialogue/num_missing"] == 0
        assert 1 <= row["dialogue/turns/mean"] <= 6
        assert 0 < row["dialogue/lost_frac"] < 0.6
        assert row["dialogue/lost_seeker_frac"] == row["dialogue/lost_frac"]
        assert row["policy/grad_norm"] > 0
        assert row["reward/advantage/std"] > 0
        assert 0 <= row["dialogue/emotion/mean"] <= 100
        assert math.isfinite(row["policy/loss"])
        assert row["val/dialogue/emotion/mean"] >= 0
        assert row["memory/trainer_gb"] > 0
    assert "emotion" in talked.stdout
    assert "LOST" in talked.stdout
    assert talked.leftovers == []


def test_every_line_follows_from_its_own_dialogue(talked: Trained) -> None:
    """What the seeker said and felt, worked out again from one dialogue alone."""
    samples = [TalkRecord.from_json(row["dialogue"]) for row in talked.run.read_samples()]
    lost = [TalkRecord.from_json(row["dialogue"]) for row in read_json_lines(talked.run.lost_path)]
    assert samples
    assert lost
    known = {person.id: person for person in people(14)}
    for record in [*samples, *lost]:
        person, emotion = known[record.person], RuleSeeker.rules.start
        said = [Message("seeker", str(person.opening))]
        for turn, own in enumerate(record.turns, start=1):
            said.append(Message("supporter", own.visible))
            if own.emotion is None:
                assert record.lost is not None
                break
            heard = answer(Heard(person, record.seed, tuple(said), emotion, turn), RuleSeeker.rules)
            assert (own.message, own.emotion) == (heard.message, heard.emotion)
            emotion = heard.emotion
            said.append(Message("seeker", str(heard.message)))
    assert {record.lost.kind for record in lost if record.lost} <= {"exception", "off_schema"}


def test_held_out_people_are_met_before_and_after(talked: Trained) -> None:
    run = talked.run
    comparison = read_json_if_there(run.comparison_path)
    assert comparison["emotion"]["num_clusters"] <= 6
    assert comparison["emotion"]["difference"] is not None
    assert comparison["second_seeker/emotion"]["difference"] is not None
    assert set(comparison["gain_not_carried_over"]) == {"seen", "unseen", "difference"}
    for label in ("before", "after"):
        summary = read_json_if_there(run.path / f"evaluation/{label}.json")
        assert summary["num_dialogues"] == 6
        assert summary["seeker"]["name"] == "FaultySeeker"
        assert summary["second_seeker"]["kind"] == "drift"
        talks = read_json_lines(run.evaluation_path / f"{label}_dialogues.jsonl")
        assert {row["dialogue"]["person"] for row in talks} <= {f"p{n}" for n in range(6)}
    page = run.report_path.read_text(encoding="utf-8")
    for title in (
        "Dialogues",
        "Emotion at the end",
        "Emotion at the end, second seeker",
        "How dialogues end",
        "Best and worst training",
    ):
        assert title in page


def test_the_served_history_is_the_trained_history(talked: Trained) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(talked.run.model_path)
    first = [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]
    second = [*first, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]

    def ids(messages: list[dict[str, str]]) -> list[int]:
        return tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=False
        )

    said = tokenizer.encode("b<|im_end|>", add_special_tokens=False)
    assert ids(second)[: len(ids(first)) + len(said)] == ids(first) + said


def test_a_critic_learns_the_values_of_turns(critic: Trained) -> None:
    rows = critic.run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2]
    assert rows[0]["value/mean"] == 0  # its head starts at 0
    assert rows[1]["value/mean"] != 0
    for row in rows:
        assert row["policy/log_prob_pearson"] >= 0.99
        assert row["dialogue/num"] == 6
        assert row["value/loss"] > 0
        assert row["value/grad_norm"] > 0
        assert row["value/return_mean"] > 0  # e_T / 100 reaches the tokens of the policy
        assert row["time/update_critic_s"] > 0
        assert row["policy/grad_norm"] > 0
        assert 0 <= row["people/met_frac"] <= 1
    saved = critic.run.path / "checkpoints/global_step_2"
    assert (saved / "critic/model_world_size_1_rank_0.pt").is_file()
    assert (saved / "critic/optim_world_size_1_rank_0.pt").is_file()


def test_a_run_with_a_critic_goes_on(critic_resumed: Trained) -> None:
    rows = critic_resumed.run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert rows[2]["value/mean"] != 0  # the critic of before
    assert rows[2]["people/met_frac"] >= rows[1]["people/met_frac"]  # and what was known of people
