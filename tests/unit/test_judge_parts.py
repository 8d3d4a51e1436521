"""The judge's parts: what they say of replies that manner cannot tell apart."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rewards.build import EncoderConfig, build_encoder
from rewards.errors import ConfigError
from rewards.fitting.corrupt import replaced
from rewards.graders.embedded.encoder import HashingEncoder
from rewards.graders.embedded.insults import is_insult
from rewards.graders.embedded.join import joined
from rewards.graders.embedded.judge import NO_PARTS, EmbeddedJudge
from rewards.graders.embedded.language import WordTable, count_words, language_features
from rewards.graders.embedded.parts import load_parts
from rewards.types import DIMENSIONS, Message, Rating, Reply

DOG = "My dog died last night. I had her for fourteen years and the house is so quiet."
JOB = "My manager gave the promotion to someone I trained, and I have to smile at her all day."
ABOUT_DOG = (
    "Fourteen years with your dog is a long time, and the quiet in the house must hit you every "
    "time you walk in. What was she like?"
)


@pytest.fixture(scope="module")
def judge() -> EmbeddedJudge:
    return EmbeddedJudge(build_encoder(EncoderConfig()))


def after(seeker: str, text: str) -> Reply:
    return Reply(history=(Message("seeker", seeker),) if seeker else (), text=text)


def rate(judge: EmbeddedJudge, *replies: Reply) -> list[Rating]:
    ratings = judge.grade_now(replies)
    assert all(isinstance(rating, Rating) for rating in ratings)
    return [rating for rating in ratings if isinstance(rating, Rating)]


def test_a_reply_counts_in_its_own_conversation_only(judge: EmbeddedJudge) -> None:
    own, foreign = rate(judge, after(DOG, ABOUT_DOG), after(JOB, ABOUT_DOG))
    assert own.parts["relevance"] > foreign.parts["relevance"] + 0.2
    assert own.tricks == ()
    assert own.parts["manner"] == pytest.approx(foreign.parts["manner"], abs=0.3)
    assert own.aggregate > foreign.aggregate


def test_words_at_random_cost_most_of_the_rating(judge: EmbeddedJudge) -> None:
    vocabulary = [
        "lamp",
        "granite",
        "seven",
        "purple",
        "invoice",
        "harbour",
        "quickly",
        "cheese",
        "verdict",
        "northern",
    ]
    rng = random.Random(0)
    broken = replaced((ABOUT_DOG,), 0.3, vocabulary, rng)[0]
    clean, salad = rate(judge, after(DOG, ABOUT_DOG), after(DOG, broken))
    assert clean.parts["coherence"] > 0.7
    assert salad.tricks == ("incoherent",)
    assert clean.aggregate > salad.aggregate + 0.8


@pytest.mark.parametrize("text", ["You are such an idiot.", "You're pathetic.", "Stop whining."])
def test_an_insult_is_not_consoled_by_its_length(judge: EmbeddedJudge, text: str) -> None:
    (rating,) = rate(judge, after(DOG, f"I hear you. {text}"))
    assert "harmful" in rating.tricks
    assert rating.aggregate < 1.2


@pytest.mark.parametrize(
    "text", ["You're not a failure.", "It sounds like you feel you are a burden.", "You're tired."]
)
def test_a_denied_insult_consoles(text: str) -> None:
    assert not is_insult(text)


def test_without_a_seeker_nothing_is_said_of_relevance(judge: EmbeddedJudge) -> None:
    (rating,) = rate(judge, after("", ABOUT_DOG))
    assert set(rating.parts) == {"manner", "coherence", "harm"}


def test_parts_take_away_in_one_place() -> None:
    manner = Rating.from_dimensions(
        {name: 2.0 if name in DIMENSIONS[3:] else 4.0 for name in DIMENSIONS}
    )
    same = joined(manner, {"relevance": 0.9, "coherence": 0.9, "harm": 0.1})
    assert (same.aggregate, same.tricks) == (manner.aggregate, ())
    low = joined(manner, {"relevance": 0.1, "coherence": 0.9, "harm": 0.1})
    assert low.tricks == ("unrelated",)
    assert low.parts == {"manner": 4.0, "relevance": 0.1, "coherence": 0.9, "harm": 0.1}
    assert low.aggregate == pytest.approx(Rating.from_dimensions(low.dimensions).aggregate)
    assert low.aggregate < 2.5


def test_manner_alone_is_named_in_the_identity(judge: EmbeddedJudge) -> None:
    encoder = build_encoder(EncoderConfig())
    alone = EmbeddedJudge(encoder, parts=NO_PARTS)
    (rating,) = alone.grade_now([after(JOB, ABOUT_DOG)])
    assert isinstance(rating, Rating)
    assert rating.parts == {"manner": rating.aggregate}
    assert alone.identity.details["parts"] == NO_PARTS
    assert judge.identity.details["parts"] != NO_PARTS


def test_parts_of_another_encoder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fitted for encoder .*mint.judge.parts=none"):
        load_parts(None, HashingEncoder())
    (tmp_path / "x.npz").write_text("no")
    with pytest.raises(ConfigError, match="judge parts"):
        load_parts(str(tmp_path / "x.npz"), HashingEncoder())


def test_pairs_of_words_are_counted() -> None:
    table = count_words(["I am so sorry.", "I am so tired.", "I am here."])
    counts = table.look_up(["u i", "b i am", "s i so", "u unheard", "b sorry ."])
    assert counts.tolist() == [3, 3, 2, 0, 0], "a pair seen once is left out"
    rarity = table.rarity(["i", "sorry"])
    assert rarity["sorry"] > rarity["i"]


def test_order_of_words_shows_in_the_features() -> None:
    table: WordTable = count_words(["I am so sorry for you.", "I am so glad for you."] * 3)

    def lift(sentences: Sequence[str]) -> float:
        return float(language_features(table, sentences)[0])

    assert lift(["I am so sorry for you."]) > lift(["sorry you for so am I."]) + 1
    assert not np.any(language_features(table, ["Oh"]))
