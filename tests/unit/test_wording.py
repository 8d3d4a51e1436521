"""Shared wording, likeness of turns and the reward-hack profile."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mint.evaluation.metrics import wording
from mint.evaluation.metrics.habits import HABITS, habits
from mint.evaluation.metrics.overlap import bigram_overlap, bleu_2, tokens
from rewards.errors import DataError


def counts(*texts: str, n: int = 1, index: list[int] | None = None) -> np.ndarray:
    places = np.array(index if index is not None else [0] * len(texts))
    items = [wording.ngrams(wording.words(text), n) for text in texts]
    return wording.count_by_group(items, places, int(places.max()) + 1)[0]


def test_words_do_not_depend_on_the_kind_of_apostrophe():
    assert wording.words("You’re SO tired!") == wording.words("you're so tired")


def test_counts_by_group_and_without_each():
    found = counts("a b a", "b c", index=[0, 1])
    assert found.sum(axis=1).tolist() == [3.0, 2.0]
    rows = wording.leave_one_out(found)
    assert rows.sum(axis=1).tolist() == [5.0, 2.0, 3.0]
    assert wording.distinct_share(rows).tolist() == pytest.approx([3 / 5, 2 / 2, 2 / 3])


def test_distinct_share_of_a_sample_is_its_expectation():
    rng = np.random.default_rng(0)
    occurrences = np.array([[7.0, 3.0, 1.0, 1.0, 5.0]])
    pool = np.repeat(np.arange(5), occurrences[0].astype(int))
    drawn = [len(set(rng.choice(pool, 6, replace=False))) / 6 for _ in range(4000)]
    found = wording.distinct_share_of_sample(occurrences, 6)[0]
    assert found == pytest.approx(np.mean(drawn), abs=0.01)


def test_distinct_share_of_a_sample_at_its_ends():
    occurrences = np.array([[2.0, 1.0, 1.0]])
    assert wording.distinct_share_of_sample(occurrences, 1)[0] == pytest.approx(1.0)
    assert wording.distinct_share_of_sample(occurrences, 4)[0] == pytest.approx(3 / 4)
    assert math.isnan(wording.distinct_share_of_sample(occurrences, 5)[0])
    with pytest.raises(DataError, match="at least one"):
        wording.distinct_share_of_sample(occurrences, 0)


def test_equal_length_does_not_punish_long_texts():
    """The same source, ten times as much of it: raw distinct-1 falls, at equal length it stays."""
    rng = np.random.default_rng(1)
    short, long = (rng.multinomial(num, [0.02] * 50).astype(float) for num in (200, 2000))
    raw = [wording.distinct_share(c[None])[0] for c in (short, long)]
    equal = [wording.distinct_share_of_sample(c[None], 150)[0] for c in (short, long)]
    assert raw[1] < raw[0] / 5
    assert equal[1] == pytest.approx(equal[0], abs=0.03)


def test_top_share_counts_replies():
    found, _ = wording.count_by_group(
        [wording.phrases("a b c d e a b c d e"), wording.phrases("a b c d e!"), set()],
        np.array([0, 0, 1]),
        2,
    )
    rows = wording.leave_one_out(found)
    assert wording.top_share(rows, np.array([3.0, 1.0, 2.0])).tolist() == pytest.approx(
        [2 / 3, 0.0, 1.0]
    )


def test_opening_and_duplicates():
    assert wording.opening("I can see, how hard") == ("i", "can", "see", "how")
    assert wording.normalised("Oh, NO!  really") == wording.normalised("oh no really")


def test_bigram_overlap_by_hand():
    previous, now = tokens("so sorry to hear so sorry"), tokens("I am so sorry to say")
    # Previous: (so sorry) twice, (sorry to), (to hear), (hear so); back: (so sorry), (sorry to).
    assert bigram_overlap(now, previous) == pytest.approx(2 / 5)
    assert bigram_overlap(now, ["one"]) == 0.0
    assert bigram_overlap([], previous) == 0.0


def test_bleu_2_by_hand():
    now, previous = tokens("the cat sat"), tokens("the cat is here now")
    # Words 2 of 3, bigrams 1 of 2, and 3 words against 5.
    assert bleu_2(now, previous) == pytest.approx(math.exp(1 - 5 / 3) * math.sqrt(2 / 3 * 1 / 2))


def test_bleu_2_without_common_bigrams():
    # Words 1 of 2, bigrams 0.1 of 1; longer than the other turn, so no penalty.
    assert bleu_2(tokens("cat yes"), tokens("cat")) == pytest.approx(math.sqrt(1 / 2 * 0.1))
    assert bleu_2(tokens("yes"), tokens("no")) == 0.0
    assert bleu_2([], tokens("no")) == 0.0


def test_bleu_2_of_equal_turns_is_one():
    assert bleu_2(tokens("I hear you"), tokens("i hear you")) == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "habit", "expected"),
    [
        ("Why? How so?", "questions", 2),
        ("Why? I see.", "ends_with_question", 0),
        ("I see. Why?\n", "ends_with_question", 1),
        ("You matter 💛", "emoji", 1),
        ("You matter: 1 — 2", "emoji", 0),
        ("**Breathe** in", "markdown", 1),
        ("- first\n- second", "markdown", 1),
        ("2 * 3 * 4 and a - b", "markdown", 0),
        ("I've been there too.", "lived_experience", 1),
        ("You have been there.", "lived_experience", 0),
        ("One two.  Three?", "num_words", 3),
        ("One two.  Three?", "num_sentences", 2),
        ("", "num_words", 0),
    ],
)
def test_habits(text, habit, expected):
    assert habits(text)[habit] == expected
    assert set(habits(text)) == set(HABITS)
