"""Fitting: folds by conversation, the same result twice, figures, and the command line."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rewards.errors import ConfigError, DataError
from rewards.fit import main, parse
from rewards.graders.corpus import (
    CorpusReply,
    HumanSentence,
    read_human_sentences,
    read_replies,
)
from rewards.graders.degenerate import labelled, probes
from rewards.graders.encoder import HashingEncoder
from rewards.graders.fitting import FOLDS, Fitted, assign_folds, fit_judge, fit_tagger
from rewards.graders.judge_embedded import OUTPUTS
from rewards.graders.metrics import best_thresholds, grouped_spearman, spearman, tactic_scores
from rewards.tactics import TACTIC_NAMES

ADVICE, WARM = "You could try a walk number {}.", "Your feelings are valid, friend {}."
ASK = "What happened on day {}?"


def corpus(conversations: int = 15) -> list[CorpusReply]:
    """Two systems: one validates and asks (rated high), one advises (rated low)."""
    replies = []
    for number in range(conversations):
        for system, patterns, tactics, level in (
            ("warm", (WARM, ASK), ("validation", "questioning"), 5.0),
            ("cold", (ADVICE, ADVICE), ("advice", "advice"), 2.0),
        ):
            sentences = tuple(p.format(number * 2 + i) for i, p in enumerate(patterns))
            replies.append(
                CorpusReply(
                    system=system,
                    conversation_id=f"c{number}",
                    turn_index=1,
                    seeker_turn=f"I am tired of job {number}.",
                    text=" ".join(sentences),
                    sentences=sentences,
                    tactics=tuple(frozenset({name}) for name in tactics),
                    ratings=(level,) * len(OUTPUTS),
                )
            )
    return replies


PEOPLE = [
    HumanSentence(text="You could try a walk.", tactics=frozenset({"advice"})),
    HumanSentence(text="What happened?", tactics=frozenset({"questioning"})),
]


def test_a_conversation_is_in_one_fold() -> None:
    conversations = [f"c{i % 12}" for i in range(60)]
    folds = assign_folds(conversations, seed=3)
    assert set(folds.tolist()) == set(range(FOLDS))
    for name in set(conversations):
        rows = [fold for fold, c in zip(folds, conversations, strict=True) if c == name]
        assert len(set(rows)) == 1
    assert not np.array_equal(folds, assign_folds(conversations, seed=4))


def test_tagger_learns_and_reports() -> None:
    fitted = fit_tagger(corpus(), PEOPLE, HashingEncoder(), seed=0)
    tactics = fitted.card["held_out_conversations"]["tactics"]
    for name in ("advice", "validation", "questioning"):
        assert tactics[name]["f1"] > 0.9
    assert tactics["reappraisal"]["positives"] == 0
    assert fitted.card["human_labelled_sentences"]["sentences"] == 2
    assert fitted.card["sentence_count_agreement"] == 1.0
    assert fitted.heads.outputs == TACTIC_NAMES


def test_judge_learns_and_reports() -> None:
    fitted = fit_judge(corpus(), HashingEncoder(), seed=0)
    held_out = fitted.card["held_out_conversations"]
    assert held_out["spearman"]["aggregate"] > 0.8
    assert held_out["aggregate_spearman_within_prompt"] > 0.8
    assert set(fitted.card["degenerate_probes"]) >= {"copied_seeker", "word_salad"}
    assert fitted.heads.outputs == OUTPUTS


def test_replies_without_labels_are_left_out() -> None:
    replies = corpus()
    odd = CorpusReply(**{**vars(replies[0]), "tactics": None, "ratings": None})
    tagger = fit_tagger([*replies, odd], PEOPLE, HashingEncoder(), seed=0)
    judge = fit_judge([*replies, odd], HashingEncoder(), seed=0)
    assert tagger.card["replies_fitted"] == judge.card["replies_fitted"] == len(replies)
    assert tagger.card["sentence_count_agreement"] == pytest.approx(30 / 31, abs=1e-4)


@pytest.fixture(scope="module")
def released(upstream: Path) -> list[CorpusReply]:
    return read_replies(upstream)


def test_same_seed_gives_the_same_arrays(released: list[CorpusReply]) -> None:
    replies = [r for r in released if r.system == "gold"][:70]

    def fit_both() -> list[Fitted]:
        encoder = HashingEncoder(dim=16)
        return [fit_tagger(replies, PEOPLE, encoder, 1), fit_judge(replies, encoder, 1)]

    for first, second in zip(fit_both(), fit_both(), strict=True):
        assert np.allclose(first.heads.coef, second.heads.coef)
        assert np.allclose(first.heads.intercept, second.heads.intercept)
        assert np.allclose(first.heads.thresholds, second.heads.thresholds)
        assert first.card == second.card


def test_released_data_is_what_we_think(upstream: Path, released: list[CorpusReply]) -> None:
    replies, people = released, read_human_sentences(upstream)
    assert len({r.conversation_id for r in replies}) == 50
    for system in {r.system for r in replies}:
        assert sum(r.system == system for r in replies) == 315
    assert len(people) == 286
    positives = {name: sum(name in s.tactics for s in people) for name in TACTIC_NAMES}
    assert positives["advice"] == 107
    assert positives["assistance"] == 1


def test_degenerate_replies_are_reproducible_and_labelled_low() -> None:
    made = labelled(corpus(), 5, seed=0)
    assert made == labelled(corpus(), 5, seed=0)
    assert {item.reply.kind for item in made} == {"copied_seeker", "word_salad", "ten_questions"}
    assert max(item.ratings[-1] for item in made) < 3.5
    kinds = {probe.kind for probe in probes(corpus(), 3, seed=0)}
    assert kinds == {"copied_seeker", "repeated_sentence", "ten_questions", "word_salad"}


def test_tactic_scores_by_hand() -> None:
    truth = np.array([True, True, False, False])
    found = np.array([True, False, True, False])
    scores = tactic_scores(truth, found)
    assert (scores["precision"], scores["recall"], scores["f1"]) == (0.5, 0.5, 0.5)
    assert scores["macro_f1"] == 0.5
    nothing = tactic_scores(np.zeros(3, bool), np.zeros(3, bool))
    assert nothing["macro_f1"] == 1.0


def test_thresholds_separate() -> None:
    truth = np.array([[True], [True], [False], [False]])
    (threshold,) = best_thresholds(truth, np.array([[0.9], [0.8], [0.3], [0.2]]))
    assert 0.3 < threshold <= 0.8


def test_spearman_by_hand() -> None:
    assert spearman(np.array([1.0, 2, 3]), np.array([10.0, 20, 30])) == pytest.approx(1.0)
    assert spearman(np.array([1.0, 2, 2, 3]), np.array([4.0, 3, 2, 1])) == pytest.approx(-0.948683)
    assert math.isnan(spearman(np.ones(3), np.arange(3.0)))
    a, b = np.array([1.0, 2, 1, 2]), np.array([1.0, 2, 2, 1])
    assert grouped_spearman(a, b, ["x", "x", "y", "y"]) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "missing upstream=PATH"),
        (["upstream"], "expected key=value"),
        (["upstream=x", "sed=1"], "got 'sed=1'"),
        (["upstream=x", "seed=one"], "seed must be a number"),
        (["upstream=x", "part=all"], "part must be one of"),
    ],
)
def test_arguments_are_checked(argv: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(argv)


def test_arguments_are_read() -> None:
    settings = parse(["upstream=a", "output=b", "seed=7", "part=judge"])
    assert settings.upstream == Path("a")
    assert (settings.output, settings.seed, settings.part) == (Path("b"), 7, "judge")


def test_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "upstream" in capsys.readouterr().out
    assert main([f"upstream={tmp_path}"]) == 2
    assert "conversations_tagged.json" in capsys.readouterr().err


def test_broken_release_names_its_file(tmp_path: Path) -> None:
    file = tmp_path / "evaluation" / "outputs" / "x" / "conversations_tagged.json"
    file.parent.mkdir(parents=True)
    file.write_text("[{}]")
    with pytest.raises(DataError, match=r"ratings\.csv"):
        read_replies(tmp_path)
    ratings = tmp_path / "evaluation" / "eval_outputs" / "x" / "judge_ratings.csv"
    ratings.parent.mkdir(parents=True)
    ratings.write_text("conversation_id,turn_index\n1,1\n")
    with pytest.raises(DataError, match=r"judge_ratings\.csv:2"):
        read_replies(tmp_path)
    with pytest.raises(DataError, match=r"information\.jsonl"):
        read_human_sentences(tmp_path)
