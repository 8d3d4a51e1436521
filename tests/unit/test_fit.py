"""Fitting the embedded graders on a tiny encoder: what is learnt, held out and written."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from rewards.errors import ConfigError, DataError
from rewards.fit import main, parse
from rewards.fit_tagger import measure
from rewards.fitting.annotated import read_annotated
from rewards.fitting.corpus import (
    Corpus,
    CorpusReply,
    HumanReply,
    read_authored_replies,
    read_expert_ratings,
    read_human_replies,
    read_replies,
)
from rewards.fitting.crossfit import FOLDS, HeldOut, assign_groups, cross_fit
from rewards.fitting.degenerate import Labelled, labelled, probes
from rewards.fitting.finetune import TrainingSettings
from rewards.fitting.fitter import Fit, FitSettings, Fitter, calibrate, split
from rewards.fitting.judge_card import pair_figures
from rewards.fitting.metrics import (
    best_thresholds,
    calibration_error,
    coverage,
    grouped_spearman,
    partial_spearman,
    spearman,
    tactic_scores,
)
from rewards.fitting.publish import publish
from rewards.fitting.rated_pairs import rated_pairs
from rewards.fitting.tactic_heads import (
    ANNOTATED,
    RELEASED,
    HeadSettings,
    Sentences,
    fit_heads,
    folds_by_group,
    gather,
    held_out_scores,
)
from rewards.fitting.tagger_card import tagging_card
from rewards.fitting.talks import Talk, Talks
from rewards.graders.embedded.adapter import load_adapter
from rewards.graders.embedded.encoder import ContextEncoder
from rewards.graders.embedded.hashing import HashingEncoder
from rewards.graders.embedded.judge import NO_PARTS, OUTPUTS, EmbeddedJudge
from rewards.graders.embedded.sentence_cues import NUM_CUES
from rewards.graders.embedded.tagger import EmbeddedTagger
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS, Message, Rating, Reply, Tagging

pytestmark = pytest.mark.slow

NAME = "tiny-encoder"
ADVICE, WARM = "You could try a walk number {}.", "Your feelings are valid, friend {}."
ASK = "What happened on day {}?"
SETTINGS = FitSettings(
    training=TrainingSettings(
        epochs=20, batch_tokens=512, learning_rate=5e-3, head_learning_rate=2e-2, rank=4
    ),
    degenerate=3,
    ridge=10.0,
    members=3,
)


def corpus(conversations: int = 12) -> list[CorpusReply]:
    """Four systems: two validate and ask (rated high), two advise (rated low)."""
    replies = []
    for number in range(conversations):
        for system in range(4):
            warm = system % 2 == 0
            patterns = (WARM, ASK) if warm else (ADVICE, ADVICE)
            tactics = ("validation", "questioning") if warm else ("advice", "advice")
            sentences = tuple(
                p.format(10 * number + 3 * system + i) for i, p in enumerate(patterns)
            )
            replies.append(
                CorpusReply(
                    system="gold" if system == 0 else f"s{system}",
                    conversation_id=f"c{number}",
                    turn_index=1,
                    seeker_turn=f"I am tired of job {number}.",
                    text=" ".join(sentences),
                    sentences=sentences,
                    tactics=tuple(frozenset({name}) for name in tactics),
                    ratings=((4.0 if warm else 2.0) + number % 3 / 4,) * len(OUTPUTS),
                )
            )
    return replies


PEOPLE = [
    HumanReply(
        sentences=("You could try a walk.", "What happened?"),
        tactics=(frozenset({"advice"}), frozenset({"questioning"})),
    )
] * 6
AUTHORED = [
    CorpusReply(
        system="authored",
        conversation_id="a1",
        turn_index=1,
        seeker_turn="It is hard.",
        text="I am sorry.",
        sentences=("I am sorry.",),
        tactics=(frozenset({"emotional_expression"}),),
        ratings=None,
    )
]
EXPERTS = [{f"c{i}": (float(1 + i % 3),) * 6 for i in range(12)} for _ in range(3)]


@pytest.fixture(scope="module")
def folder(tiny_encoder: Path) -> Path:
    return tiny_encoder


@pytest.fixture(scope="module")
def fitter(folder: Path) -> Fitter:
    return Fitter(folder, NAME, SETTINGS)


@pytest.fixture(scope="module")
def steps() -> list[tuple[int, int]]:
    """What `fit` has told of its progress."""
    return []


@pytest.fixture(scope="module")
def fit(fitter: Fitter, steps: list[tuple[int, int]]) -> Fit:
    return fitter.fit(corpus(), AUTHORED, lambda done, total: steps.append((done, total)))


@pytest.fixture(scope="module")
def held_out(fitter: Fitter) -> HeldOut:
    return cross_fit(fitter, corpus(), AUTHORED, quiet)


def quiet(name: str):  # type: ignore[no-untyped-def]
    return lambda done, total: None


def test_groups_are_whole_and_even() -> None:
    replies = corpus()
    groups = assign_groups(replies, seed=3)
    for values, names in (
        (groups.conversation, [r.conversation_id for r in replies]),
        (groups.system, [r.system for r in replies]),
    ):
        assert set(values.tolist()) == set(range(FOLDS))
        pairs = set(zip(names, values.tolist(), strict=True))
        assert len(pairs) == len(set(names)), "one group for all replies of a name"
    assert not np.array_equal(groups.conversation, assign_groups(replies, 4).conversation)


def test_no_fold_grades_what_it_has_seen(held_out: HeldOut) -> None:
    replies = corpus()
    judged = held_out.judged
    rows = [set(judged[name].rows.tolist()) for name in ("conversation", "system", "both")]
    groups = held_out.groups
    same = {i for i in range(len(replies)) if groups.conversation[i] == groups.system[i]}
    everything = set(range(len(replies)))
    assert rows == [everything - same, everything - same, same]
    assert held_out.tagged["conversation"].rows.tolist() == list(range(len(replies)))


def test_fits_see_only_what_they_are_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[CorpusReply]] = []
    fitter = Fitter(folder, NAME, SETTINGS)
    whole = fitter.fit(corpus(), AUTHORED, quiet("x"))

    def spy(replies: list[CorpusReply], authored: object, advance: object, pairs: object) -> Fit:
        seen.append(list(replies))
        return whole

    monkeypatch.setattr(fitter, "fit", spy)
    cross_fit(fitter, corpus(), AUTHORED, quiet)
    groups = assign_groups(corpus(), SETTINGS.seed)
    for fold, own in enumerate(seen):
        place = {(r.system, r.conversation_id): i for i, r in enumerate(corpus())}
        rows = [place[r.system, r.conversation_id] for r in own]
        assert rows
        assert fold not in groups.conversation[rows]
        assert fold not in groups.system[rows]


def test_graders_learn_and_are_written(
    fit: Fit, held_out: HeldOut, folder: Path, tmp_path: Path
) -> None:
    everything = Corpus(corpus(), AUTHORED, PEOPLE, EXPERTS)
    publish(fit, held_out, everything, SETTINGS, tmp_path, {"people": {"replies": 3}})
    names = {"adapter.npz", "judge.json", "judge.npz", "tagger.json", "tagger.npz"}
    assert {file.name for file in tmp_path.iterdir()} == names
    card = json.loads((tmp_path / "tagger.json").read_text())
    for name in ("advice", "validation", "questioning"):
        assert card["unseen_conversation"]["tactics"][name]["f1"] > 0.9
    assert card["unseen_conversation"]["tactics"]["reappraisal"]["positives"] == 0
    assert card["human"]["sentences"] == 12
    judge = json.loads((tmp_path / "judge.json").read_text())
    assert judge["unseen_conversation"]["spearman"]["aggregate"] > 0.6
    assert judge["experts"]["conversations"] == 12
    assert judge["with_parts"] == {"people": {"replies": 3}}
    kinds = judge["degenerate_replies"]["kinds"]
    assert set(kinds) == {probe.kind for probe, _ in held_out.probes}
    assert kinds["endless"]["highest"] <= 2.0, "the guard is part of what is measured"

    adapter = load_adapter(str(tmp_path / "adapter.npz"))
    encoder = ContextEncoder(folder, name=NAME, adapter=adapter)
    history = (Message("seeker", "I am tired."),)
    replies = [Reply(history=history, text=t) for t in (WARM.format(1), ADVICE.format(2))]
    judge = EmbeddedJudge(encoder, str(tmp_path / "judge.npz"), NO_PARTS)
    good, bad = judge.grade_now(replies)
    assert isinstance(good, Rating)
    assert isinstance(bad, Rating)
    assert good.aggregate > bad.aggregate + 0.5
    (tagging, _) = EmbeddedTagger(encoder, str(tmp_path / "tagger.npz")).grade_now(replies)
    assert isinstance(tagging, Tagging)
    assert tagging.sentences[0].tactics == ("validation",)


def test_same_seed_gives_the_same_arrays(folder: Path, fit: Fit) -> None:
    again = Fitter(folder, NAME, SETTINGS).fit(corpus(), AUTHORED, quiet("x"))
    assert again.adapter.revision == fit.adapter.revision
    assert np.array_equal(again.ratings.coef, fit.ratings.coef)
    assert np.array_equal(again.tactics.coef, fit.tactics.coef)


def test_progress_tells_how_far_a_fit_is(fit: Fit, steps: list[tuple[int, int]]) -> None:
    assert [done for done, _ in steps] == list(range(1, steps[-1][1] + 1))


def test_calibration_turns_scores_into_frequencies() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 2)) * 3
    truth = rng.random((4000, 2)) < expit(0.4 * scores - 1)
    truth[:, 1] = False
    (slope, shift), untouched = calibrate(truth, scores)
    assert (slope, shift) == pytest.approx((0.4, -1), abs=0.1)
    assert untouched.tolist() == [1, 0]
    good = expit(scores[:, :1] * slope + shift)
    assert calibration_error(truth[:, :1], good) < 0.02
    assert calibration_error(truth[:, :1], expit(scores[:, :1])) > 0.1


@pytest.fixture(scope="module")
def released(upstream: Path) -> list[CorpusReply]:
    return read_replies(upstream)


def test_released_data_is_what_we_think(upstream: Path, released: list[CorpusReply]) -> None:
    people = read_human_replies(upstream)
    assert len({r.conversation_id for r in released}) == 50
    for system in {r.system for r in released}:
        assert sum(r.system == system for r in released) == 315
    assert (len(people), sum(len(reply.sentences) for reply in people)) == (25, 286)
    found = [tactics for reply in people for tactics in reply.tactics]
    positives = {name: sum(name in tactics for tactics in found) for name in TACTIC_NAMES}
    assert (positives["advice"], positives["assistance"]) == (107, 1)
    experts = read_expert_ratings(upstream)
    assert len(experts) == 3
    assert all(len(expert) == 50 for expert in experts)


def test_authored_replies_are_many_and_none_of_the_released(
    upstream: Path, released: list[CorpusReply]
) -> None:
    own = read_authored_replies(Path(__file__).parents[2] / "data" / "annotated_replies")
    sentences = [text for reply in own for text in reply.sentences]
    assert (len(own), len(sentences)) == (180, 2063)
    assert len({reply.conversation_id for reply in own}) == len(own)
    theirs = {text for reply in released for text in reply.sentences if len(text) > 30}
    theirs |= {text for reply in read_human_replies(upstream) for text in reply.sentences}
    assert not theirs & set(sentences)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not in the form"),
        ('{"id": "a", "seeker": "b"}', "not in the form"),
        ('{"id": "a", "seeker": "b", "sentences": []}', "no sentence"),
        (
            '{"id": "a", "seeker": "b", "sentences": [{"text": "c", "tactics": ["hug"]}]}',
            "unknown tactic 'hug'",
        ),
    ],
)
def test_authored_replies_are_checked(line: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=rf"x\.jsonl:1: .*{says}"):
        read_authored_replies(tmp_path)


def test_degenerate_replies_are_reproducible_and_labelled_low() -> None:
    made = labelled(corpus(), 5, seed=0)
    assert made == labelled(corpus(), 5, seed=0)
    taught = {item.reply.kind for item in made}
    assert max(item.ratings[-1] for item in made) < 2.9, "the mean of human replies"
    assert all(len(item.ratings) == len(OUTPUTS) == len(DIMENSIONS) + 1 for item in made)
    asked = {probe.kind for probe in probes(corpus(), 3, seed=0)}
    assert asked == taught | {
        "other_language",
        "injection_alone",
        "injection_after_reply",
        "endless",
    }


def test_tactic_scores_by_hand() -> None:
    truth = np.array([True, True, False, False])
    found = np.array([True, False, True, False])
    scores = tactic_scores(truth, found)
    assert (scores["precision"], scores["recall"], scores["f1"]) == (0.5, 0.5, 0.5)
    assert scores["macro_f1"] == 0.5
    nothing = tactic_scores(np.zeros(3, bool), np.zeros(3, bool))
    assert nothing["macro_f1"] == 1.0


def test_tagging_card_by_hand() -> None:
    truth = np.zeros((40, 10), bool)
    truth[:20, 3] = truth[20:, 4] = True
    found = truth.copy()
    found[:5, 3], found[:5, 4] = False, True
    card = tagging_card(truth, found, [i // 4 for i in range(40)])
    validation = card["tactics"]["validation"]
    assert (validation["precision"], validation["recall"]) == (1.0, 0.75)
    assert validation["kappa"] == 0.75
    low, high = validation["f1_interval"]
    assert 0.4 <= low < validation["f1"] < high <= 1.0
    assert card["tactics"]["advice"]["f1_interval"] == [1.0, 1.0]
    assert card["confusion"][0]["validation_said_to_be_emotional_expression"] == 0.25
    assert card["confusion"][0]["emotional_expression_said_to_be_validation"] == 0.0
    assert card["mean_macro_f1_of_frequent"] == pytest.approx(
        np.mean([card["tactics"][n]["macro_f1"] for n in ("validation", "emotional_expression")]),
        abs=1e-4,
    )


def test_thresholds_separate() -> None:
    truth = np.array([[True], [True], [False], [False]])
    (threshold,) = best_thresholds(truth, np.array([[0.9], [0.8], [0.3], [0.2]]))
    assert 0.3 < threshold <= 0.8


def test_thresholds_go_down_to_one_percent() -> None:
    truth = np.array([[True], [True], [False], [False]])
    (threshold,) = best_thresholds(truth, np.array([[0.03], [0.02], [0.005], [0.001]]))
    assert threshold in (0.01, 0.02)


def test_parts_count_the_same_for_a_threshold() -> None:
    """Many rows want a low cut-off, few a high one; each part counts once."""
    truth = np.array([[True]] * 90 + [[False]] * 10 + [[True], [False], [False], [False]])
    stated = np.array([[0.3]] * 90 + [[0.2]] * 10 + [[0.8], [0.5], [0.5], [0.5]])
    parts = [np.arange(len(truth)) < 100, np.arange(len(truth)) >= 100]
    assert best_thresholds(truth, stated)[0] <= 0.3
    second = truth[100:], stated[100:]
    assert best_thresholds(truth, stated, parts[1:]) == best_thresholds(*second)
    both = best_thresholds(truth, stated, parts)[0]
    assert 0.2 < both <= 0.3


def labelled_sentences(count: int = 300) -> Sentences:
    """Released ones show tactic 0 in one feature, annotated ones tactic 1 in a cue."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 4 + NUM_CUES)).astype(np.float32)
    truth = np.zeros((count, len(TACTIC_NAMES)), bool)
    truth[:, 0], truth[:, 1] = x[:, 0] > 0, x[:, 4] > 0
    source = np.where(np.arange(count) % 3 == 0, ANNOTATED, RELEASED)
    return Sentences(x, truth, source, np.array([f"c{i // 4}" for i in range(count)]))


def test_tactic_heads_learn_from_vectors_and_cues() -> None:
    known = labelled_sentences()
    coef, intercept = fit_heads(known, HeadSettings())
    found = known.x @ coef.T + intercept > 0
    assert (found[:, :2] == known.truth[:, :2]).mean() > 0.9
    assert not found[:, 2:].any()
    again = fit_heads(known, HeadSettings())
    assert np.array_equal(coef, again[0])
    other = fit_heads(known, HeadSettings(annotated=0.0))[0]
    assert not np.allclose(coef, other), "the weight of a source counts"


def test_held_out_heads_have_not_seen_the_conversation() -> None:
    known = labelled_sentences()
    folds = folds_by_group(known, 3, seed=0)
    assert all(len(set(folds[known.group == name])) == 1 for name in set(known.group))
    folds[known.source == RELEASED] = -1
    scores = held_out_scores(known, HeadSettings(), folds)
    assert not scores[folds == -1].any()
    coef, intercept = fit_heads(known.rows(folds != 1), HeadSettings())
    assert np.allclose(scores[folds == 1], known.x[folds == 1] @ coef.T + intercept)


def test_heads_alone_are_measured_on_unseen_conversations_and_systems() -> None:
    everything = Corpus(corpus(), AUTHORED, PEOPLE, EXPERTS)
    known = gather(HashingEncoder(), corpus(), AUTHORED, ())
    held_out, found = measure(known, everything, SETTINGS)
    released = known.source == RELEASED
    assert released.sum() == len(known.truth) - 1 == 2 * len(corpus())
    for tagged in held_out.tagged.values():
        assert tagged.rows.tolist() == list(range(len(corpus())))
    scores = held_out.tagged["conversation"].scores
    assert np.array_equal(scores, found.scores[released])
    assert not np.array_equal(scores, held_out.tagged["system"].scores)
    agree = (scores > 0) == known.truth[released]
    assert agree.mean() > 0.9


def test_annotated_sentences_are_those_both_passes_agree_on(root: Path, tmp_path: Path) -> None:
    found = read_annotated(root / "data" / "annotated_sentences")
    # The shipped heads learnt from 233: three replies with a number at a sentence's end were one
    # sentence with the next then.
    assert len(found) == 236
    assert all(0 <= one.position < len(one.reply) for one in found)
    row = {"seeker": "s", "reply": "Go. Rest.", "sentence": "Rest.", "first": ["advice"]}
    lines = [{**row, "second": ["advice"]}, {**row, "second": []}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    (one,) = read_annotated(tmp_path)
    assert (one.reply, one.position, one.tactics) == (("Go.", "Rest."), 1, {"advice"})
    (tmp_path / "a.jsonl").write_text(json.dumps({**row, "second": ["advise"]}))
    with pytest.raises(DataError, match=r"a\.jsonl:1: unknown tactic 'advise'"):
        read_annotated(tmp_path)
    (tmp_path / "a.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"a\.jsonl:1: not in the form"):
        read_annotated(tmp_path)
    with pytest.raises(DataError, match=r"no \*\.jsonl"):
        read_annotated(tmp_path / "none")


def test_nothing_is_learnt_beside_the_seekers_message(fitter: Fitter) -> None:
    replies = corpus(3)
    bare = [reply._replace(seeker_turn="") for reply in map(split, replies)]
    learnt = fitter.examples(replies, AUTHORED, [])
    expected = fitter.windows(bare) + fitter.windows([split(AUTHORED[0])._replace(seeker_turn="")])
    assert [e.window.tokens for e in learnt] == [w.tokens for w in expected]
    assert all(e.tactics is not None for e in learnt)


def pair(hand: str, number: int) -> list[Labelled]:
    """A warm reply that is called decent, and an advising one that is called cruel."""
    talks = [
        Talk(f"{hand} {name}", f"{hand} {number}", ("It hurts.",), (text,), "polite_cruelty")
        for name, text in (("good", WARM.format(number)), ("bad", ADVICE.format(number)))
    ]
    return rated_pairs(Talks([], [], talks[:1], talks[1:]))


def test_a_hand_is_graded_by_fits_that_have_not_seen_it(fitter: Fitter) -> None:
    pairs = [*pair("pairs_a", 1), *pair("pairs_a", 2), *pair("pairs_b", 3)]
    taught: list[set[str]] = []

    class Watched(Fitter):
        def __init__(self) -> None:
            self.settings = fitter.settings

        def fit(self, replies, authored, advance, pairs=()):  # type: ignore[no-untyped-def]
            taught.append({item.hand for item in pairs})
            return fitter.fit(replies, authored, advance, pairs)

    held_out = cross_fit(Watched(), corpus(), AUTHORED, quiet, pairs)
    assert taught == [{"pairs_b"}, {"pairs_a"}] * (FOLDS // 2)
    figures = pair_figures(held_out)
    assert {name: found["pairs"] for name, found in figures.items()} == {
        "pairs_a": 2,
        "pairs_b": 1,
    }
    assert figures["pairs_a"]["decent_above_bad"] == 1.0
    assert figures["pairs_a"]["decent"] > figures["pairs_a"]["bad"]


def test_rated_pairs_leave_out_what_is_bad_in_its_conversation_only() -> None:
    talk = Talk("pairs_a bad", "pairs_a 1", ("It hurts.",), ("You poor thing.",), "wrong_turn")
    assert rated_pairs(Talks([], [], [], [talk])) == []
    (decent,) = rated_pairs(Talks([], [], [talk], []))
    assert decent.reply.kind == "decent"
    assert 3.0 < decent.ratings[-1] < 4.0, "people average 2.96"


def test_spearman_by_hand() -> None:
    assert spearman(np.array([1.0, 2, 3]), np.array([10.0, 20, 30])) == pytest.approx(1.0)
    assert spearman(np.array([1.0, 2, 2, 3]), np.array([4.0, 3, 2, 1])) == pytest.approx(-0.948683)
    assert math.isnan(spearman(np.ones(3), np.arange(3.0)))
    a, b = np.array([1.0, 2, 1, 2]), np.array([1.0, 2, 2, 1])
    assert grouped_spearman(a, b, ["x", "x", "y", "y"]) == pytest.approx(0.0)


def test_partial_correlation_sees_through_a_common_cause() -> None:
    rng = np.random.default_rng(0)
    length = rng.normal(size=3000)
    a, b = length + rng.normal(size=3000) / 5, length + rng.normal(size=3000) / 5
    assert spearman(a, b) > 0.9
    assert abs(partial_spearman(a, b, length[:, None])) < 0.06
    own = rng.normal(size=3000)
    assert partial_spearman(a + own, b + own, length[:, None]) > 0.9


def test_coverage_by_hand() -> None:
    truth, found = np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 3, 6])
    assert coverage(truth, found, np.ones(4)) == 0.75
    assert coverage(truth, found, np.full(4, 1.1)) == 1.0


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "missing upstream=PATH"),
        (["upstream=x", "part=third"], "part must be one of all, parts, second"),
        (["upstream"], "expected key=value"),
        (["upstream=x", "sed=1"], "got 'sed=1'"),
        (["upstream=x", "seed=one"], "seed must be a number >= 0"),
        (["upstream=x", "epochs=0"], "epochs must be a number >= 1"),
    ],
)
def test_arguments_are_checked(argv: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(argv)


def test_arguments_are_read() -> None:
    command = parse(["upstream=a", "output=b", "seed=7", "epochs=3"])
    assert (command.upstream, command.output) == (Path("a"), Path("b"))
    assert (command.seed, command.epochs) == (7, 3)


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
        read_human_replies(tmp_path)
    with pytest.raises(DataError, match="no expert"):
        read_expert_ratings(tmp_path)
