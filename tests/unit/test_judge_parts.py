"""The judge's parts: what they say of replies that manner cannot tell apart."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from rewards.build import EncoderConfig, build_encoder
from rewards.errors import ConfigError
from rewards.fitting.corpus import CorpusReply, read_replies
from rewards.fitting.corrupt import replaced
from rewards.fitting.joined_card import joined_figures
from rewards.fitting.talks import read_talks
from rewards.graders.embedded.hashing import HashingEncoder
from rewards.graders.embedded.insults import is_insult
from rewards.graders.embedded.join import joined
from rewards.graders.embedded.judge import NO_PARTS, EmbeddedJudge
from rewards.graders.embedded.language import WordTable, count_words, language_features
from rewards.graders.embedded.parts import load_parts
from rewards.text import split_sentences
from rewards.types import DIMENSIONS, Message, Rating, Reply

pytestmark = pytest.mark.slow

DOG = "My dog died last night."
FRANCE = "What is the capital of France?"
ABOUT_DOG = (
    "I am so sorry about your dog. Losing a companion like that leaves such a gap. What was "
    "he like?"
)
ABOUT_JOB = (
    "I'm so sorry about the job. Being passed over like that hurts, and your anger makes sense. "
    "What happened in the meeting?"
)
STOCK = (
    "I hear you. Your feelings are valid. You are not alone in this. I am here for you. Would you "
    "like to share more? How does that make you feel?"
)
BAD_REPLIES = Path(__file__).parents[2] / "data" / "bad_replies"
CANARIES = BAD_REPLIES / "canaries.jsonl"


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
    own, foreign, lost = rate(
        judge, after(DOG, ABOUT_DOG), after(DOG, ABOUT_JOB), after(FRANCE, ABOUT_DOG)
    )
    assert own.tricks == ()
    assert own.parts["relevance"] > 0.8
    for rating in (foreign, lost):
        assert rating.tricks == ("unrelated",)
        assert rating.parts["manner"] > own.parts["manner"] - 0.5, "manner reads no conversation"
        assert own.aggregate > rating.aggregate + 0.8


def test_stock_phrases_belong_nowhere(judge: EmbeddedJudge) -> None:
    (rating,) = rate(judge, after(DOG, STOCK))
    assert rating.parts["manner"] > 3.5, "manner alone is fooled"
    assert rating.tricks == ("unrelated",)
    assert rating.aggregate < 2.0


def test_siblings_keep_their_order(judge: EmbeddedJudge, upstream: Path) -> None:
    """Replies to one prompt, which all belong: manner decides, as the released judge does."""
    rated = {(r.system, r.sentences): r.ratings for r in read_replies(upstream) if r.ratings}
    talks = read_talks(upstream, BAD_REPLIES).released
    groups = defaultdict(list)
    for talk in talks:
        ratings = rated.get((talk.source, talk.sentences))
        if ratings is not None:
            groups[talk.conversation_id, talk.turns].append((talk, ratings[-1]))
    found = []
    for group in [group for group in groups.values() if len(group) >= 10][:20]:
        replies = [
            Reply(
                history=tuple(Message("seeker", turn) for turn in talk.turns),
                text=" ".join(talk.sentences),
                sentences=talk.sentences,
            )
            for talk, _ in group
        ]
        ours = [rating.aggregate for rating in rate(judge, *replies)]
        found.append(spearmanr(ours, [theirs for _, theirs in group])[0])
    assert len(found) == 20
    assert np.mean(found) > 0.8


def test_the_card_says_what_the_whole_judge_makes_of_people_and_canaries(
    judge: EmbeddedJudge,
) -> None:
    def person(text: str) -> CorpusReply:
        return CorpusReply(
            system="gold",
            conversation_id="c1",
            turn_index=1,
            seeker_turn=DOG,
            text=text,
            sentences=tuple(split_sentences(text)),
            tactics=None,
            ratings=None,
            seeker_turns=(DOG,),
        )

    figures = joined_figures(judge, [person(ABOUT_DOG), person(ABOUT_JOB)], CANARIES)
    assert figures["people"]["replies"] == 2
    assert figures["people"]["held_down"] == {"unrelated": 0.5}
    assert figures["canaries"]["human_median"] == figures["people"]["median"]
    assert figures["canaries"]["all"]["replies"] == 60
    assert figures["canaries"]["all"]["failed"] == 0


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
    broken = replaced((ABOUT_DOG,), 0.3, vocabulary, random.Random(1))[0]
    clean, salad = rate(judge, after(DOG, ABOUT_DOG), after(DOG, broken))
    assert clean.parts["coherence"] > 0.7
    assert "incoherent" in salad.tricks
    assert clean.aggregate > salad.aggregate + 0.8


@pytest.mark.parametrize("text", ["You are such an idiot.", "You're pathetic.", "Stop whining."])
def test_an_insult_is_not_consoled_by_its_length(judge: EmbeddedJudge, text: str) -> None:
    (rating,) = rate(judge, after(DOG, f"I hear you. {text}"))
    assert "harmful" in rating.tricks
    assert rating.aggregate < 1.2


@pytest.mark.parametrize(
    "text",
    [
        "You're not a failure.",
        "It sounds like you feel you are a burden.",
        "You're tired.",
        "I have to ask: are you going to kill yourself?",
    ],
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
    assert same.tricks == ()
    left = (0.97 + 0.03 * 0.9) ** 2 * (0.97 + 0.03 * 0.9) * (0.97 + 0.03 * 0.9)
    assert same.aggregate == pytest.approx(1 + 3 * left), "above its knee a part takes 3 % at most"
    nearer = joined(manner, {"relevance": 0.95, "coherence": 0.9, "harm": 0.1})
    assert same.aggregate < nearer.aggregate < 4.0, "and still tells two replies apart"
    low = joined(manner, {"relevance": 0.1, "coherence": 0.9, "harm": 0.1})
    assert low.tricks == ("unrelated",)
    assert low.parts == {"manner": 4.0, "relevance": 0.1, "coherence": 0.9, "harm": 0.1}
    assert low.aggregate == pytest.approx(Rating.from_dimensions(low.dimensions).aggregate)
    assert low.aggregate < 2.5


def test_manner_alone_is_named_in_the_identity(judge: EmbeddedJudge) -> None:
    encoder = build_encoder(EncoderConfig())
    alone = EmbeddedJudge(encoder, parts=NO_PARTS)
    (rating,) = alone.grade_now([after(FRANCE, ABOUT_DOG)])
    assert isinstance(rating, Rating)
    assert rating.parts == {"manner": rating.aggregate}
    assert alone.identity.details["parts"] == NO_PARTS
    assert judge.identity.details["parts"] != NO_PARTS


def test_parts_of_another_encoder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fitted for encoder .*mint\.judge\.parts=none"):
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
