"""Heads on disk, embedded tagger and judge, the weights that ship, and how graders are chosen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rewards.build import (
    EncoderConfig,
    JudgeConfig,
    TaggerConfig,
    build_encoder,
    build_graders,
)
from rewards.errors import ConfigError
from rewards.fitting.corpus import read_human_replies, read_replies
from rewards.fitting.crossfit import as_reply
from rewards.fitting.metrics import spearman
from rewards.fitting.tagger_card import human_figures
from rewards.graders.embedded.encoder import ContextEncoder
from rewards.graders.embedded.hashing import HashingEncoder
from rewards.graders.embedded.heads import Heads, load_heads, save_heads, shipped_card
from rewards.graders.embedded.judge import FEATURES as REPLY_FEATURES
from rewards.graders.embedded.judge import OUTPUTS, EmbeddedJudge, judge_features
from rewards.graders.embedded.sentence_cues import NUM_CUES, sentence_cues
from rewards.graders.embedded.tagger import FEATURES as SENTENCE_FEATURES
from rewards.graders.embedded.tagger import EmbeddedTagger
from rewards.protocols import EmpathyJudge, EncodedReply, SplitReply, TacticTagger
from rewards.scorer import ReplyScorer, ScoringRequest
from rewards.tactics import TACTIC_NAMES
from rewards.types import (
    DIMENSIONS,
    Failure,
    GraderIdentity,
    Message,
    Rating,
    Reply,
    Status,
    Tagging,
)

pytestmark = pytest.mark.slow

TIRED = (Message("seeker", "I work two jobs and I am so tired."),)
GOOD = (
    "Two jobs with hardly a break sounds exhausting, and it makes sense that you feel worn out. "
    "You have been carrying a lot on your own. What has been weighing on you most this week?"
)


@pytest.fixture(scope="module")
def encoder() -> ContextEncoder:
    return build_encoder(EncoderConfig())


class CountingEncoder(HashingEncoder):
    """Keeps what it is asked to encode."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[SplitReply] = []

    def encode(self, replies: Sequence[SplitReply]) -> list[EncodedReply]:
        self.asked += replies
        return super().encode(replies)


def make_heads(encoder: HashingEncoder, outputs: Sequence[str], features: str, size: int) -> Heads:
    rng = np.random.default_rng(0)
    return Heads(
        outputs=tuple(outputs),
        coef=rng.normal(size=(3, len(outputs), size)).astype(np.float32) / 10,
        intercept=np.full((3, len(outputs)), 3.0, np.float32),
        thresholds=np.full(len(outputs), 0.5, np.float32),
        residual=np.full(len(outputs), 0.3, np.float32),
        features=features,
        encoder_name=encoder.identity.name,
        encoder_adapter="none",
        encoder_dim=encoder.dim,
    )


@pytest.fixture
def tagger_file(tmp_path: Path) -> Path:
    path = tmp_path / "tagger.npz"
    heads = make_heads(HashingEncoder(), TACTIC_NAMES, SENTENCE_FEATURES, size=64 + NUM_CUES)
    save_heads(heads, {"part": "tagger"}, path)
    return path


@pytest.fixture
def judge_file(tmp_path: Path) -> Path:
    reply = SplitReply("", ("a",))
    size = judge_features(HashingEncoder().encode([reply]), [reply]).shape[1]
    path = tmp_path / "judge.npz"
    save_heads(make_heads(HashingEncoder(), OUTPUTS, REPLY_FEATURES, size), {}, path)
    return path


def test_saved_heads_come_back(tagger_file: Path) -> None:
    encoder = HashingEncoder()
    heads = load_heads(str(tagger_file), "", TACTIC_NAMES, SENTENCE_FEATURES, encoder)
    assert heads.outputs == TACTIC_NAMES
    assert f'"sha256": "{heads.revision}"' in tagger_file.with_suffix(".json").read_text()
    tagging = EmbeddedTagger(encoder, str(tagger_file)).grade_now([Reply(history=(), text="A b.")])
    assert not isinstance(tagging[0], Failure)
    assert list(tagging[0].sentences[0].probabilities) == list(TACTIC_NAMES)
    assert sorted(p.name for p in tagger_file.parent.iterdir()) == ["tagger.json", "tagger.npz"]


def test_scores_are_means_and_spread_is_disagreement_and_error() -> None:
    heads = replace(
        make_heads(HashingEncoder(), ("x",), "f", 1),
        coef=np.array([[[1.0]], [[2.0]], [[3.0]]], np.float32),
        intercept=np.zeros((3, 1), np.float32),
        residual=np.array([0.4], np.float32),
    )
    x = np.array([[1.0], [3.0]], np.float32)
    assert heads.scores(x).ravel().tolist() == [2.0, 6.0]
    wanted = np.sqrt(np.array([1, 9]) * 2 / 3 + 0.16)
    assert heads.spread(x).ravel() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("encoder", "outputs", "features", "says"),
    [
        (HashingEncoder(), TACTIC_NAMES[::-1], SENTENCE_FEATURES, "fitted for outputs"),
        (HashingEncoder(), TACTIC_NAMES, "sentence-0", "fitted for features"),
        (HashingEncoder(name="other"), TACTIC_NAMES, SENTENCE_FEATURES, "fitted for encoder"),
        (HashingEncoder(dim=32), TACTIC_NAMES, SENTENCE_FEATURES, "encoder dimension"),
    ],
)
def test_weights_for_something_else_are_refused(
    tagger_file: Path,
    encoder: HashingEncoder,
    outputs: Sequence[str],
    features: str,
    says: str,
) -> None:
    with pytest.raises(ConfigError, match=says):
        load_heads(str(tagger_file), "", outputs, features, encoder)


def test_heads_of_another_adapter_are_refused(tmp_path: Path) -> None:
    heads = make_heads(HashingEncoder(), TACTIC_NAMES, SENTENCE_FEATURES, size=64 + NUM_CUES)
    save_heads(replace(heads, encoder_adapter="abc"), {}, tmp_path / "tagger.npz")
    with pytest.raises(ConfigError, match="fitted for encoder adapter abc, but none is in use"):
        EmbeddedTagger(HashingEncoder(), str(tmp_path / "tagger.npz"))


@pytest.mark.parametrize("name", ["coef", "thresholds", "encoder_name", "residual"])
def test_missing_array_is_named(tagger_file: Path, name: str) -> None:
    with np.load(tagger_file) as file:
        arrays = {key: file[key] for key in file.files if key != name}
    np.savez(tagger_file, **arrays)
    with pytest.raises(ConfigError, match=f"lack {name}"):
        EmbeddedTagger(HashingEncoder(), str(tagger_file))


@pytest.mark.parametrize("change", ["coef not finite", "intercept short", "coef flat"])
def test_broken_arrays_are_refused(tagger_file: Path, change: str) -> None:
    with np.load(tagger_file) as file:
        arrays = {key: file[key] for key in file.files}
    if change == "coef not finite":
        arrays["coef"] = np.full_like(arrays["coef"], np.nan)
    elif change == "coef flat":
        arrays["coef"] = arrays["coef"][0]
    else:
        arrays["intercept"] = arrays["intercept"][:, 1:]
    np.savez(tagger_file, **arrays)
    with pytest.raises(ConfigError, match=r"not finite|do not fit"):
        EmbeddedTagger(HashingEncoder(), str(tagger_file))


def test_missing_or_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no grader weights"):
        EmbeddedTagger(HashingEncoder(), str(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ConfigError, match="cannot read grader weights"):
        EmbeddedTagger(HashingEncoder(), str(tmp_path / "text.npz"))
    np.savez(tmp_path / "object.npz", outputs=np.array([{}], dtype=object))
    with pytest.raises(ConfigError, match="cannot read grader weights"):
        EmbeddedTagger(HashingEncoder(), str(tmp_path / "object.npz"))


@pytest.mark.parametrize("part", ["tagger", "judge"])
def test_card_describes_the_shipped_weights(encoder: ContextEncoder, part: str) -> None:
    card = shipped_card(f"{part}.json")
    grader = EmbeddedTagger(encoder) if part == "tagger" else EmbeddedJudge(encoder)
    assert grader.identity.revision == card["sha256"]
    assert card["encoder"]["revision"] == encoder.identity.revision
    assert card["encoder"]["adapter"] == encoder.identity.details["adapter"]
    assert card["sentence_count_agreement"] >= 0.995


def test_shipped_weights_are_small() -> None:
    folder = Path(build_graders.__code__.co_filename).parent / "graders" / "weights"
    assert sum(file.stat().st_size for file in folder.glob("*.npz")) <= 6 * 1024**2


def test_tagger_card_is_true(encoder: ContextEncoder, upstream: Path) -> None:
    """The sentences labelled by people took no part in the fit; their figures come out again."""
    heads = load_heads(None, "tagger.npz", TACTIC_NAMES, SENTENCE_FEATURES, encoder)
    report = human_figures(heads, read_human_replies(upstream), encoder)
    card = shipped_card("tagger.json")["human"]
    assert report["sentences"] == card["sentences"] == 286
    assert report["mean_macro_f1_of_frequent"] == pytest.approx(
        card["mean_macro_f1_of_frequent"], abs=0.02
    )
    for name in TACTIC_NAMES:
        assert report["tactics"][name]["positives"] == card["tactics"][name]["positives"]


def test_judge_agrees_with_the_released_ratings(encoder: ContextEncoder, upstream: Path) -> None:
    replies = [reply for reply in read_replies(upstream) if reply.ratings is not None]
    sample = [reply for reply in replies if reply.turn_index == 3][::12]
    ratings = EmbeddedJudge(encoder).grade_now([as_reply(reply) for reply in sample])
    found = [rating.parts["manner"] for rating in ratings if isinstance(rating, Rating)]
    truth = [reply.ratings[-1] for reply in sample if reply.ratings is not None]
    card = shipped_card("judge.json")["unseen_conversation"]["spearman"]["aggregate"]
    assert len(found) == len(sample) >= 50
    assert spearman(np.array(truth), np.array(found)) >= card - 0.08


def test_number_formats_agree(encoder: ContextEncoder, upstream: Path) -> None:
    replies = [as_reply(reply) for reply in read_replies(upstream)[::40]]
    tags, scores = [], []
    for dtype in ("float32", "bfloat16"):
        other = build_encoder(EncoderConfig(dtype=dtype))
        taggings = EmbeddedTagger(other).grade_now(replies)
        tags.append([s.tactics for t in taggings if isinstance(t, Tagging) for s in t.sentences])
        ratings = EmbeddedJudge(other).grade_now(replies)
        scores.append([r.aggregate for r in ratings if isinstance(r, Rating)])
        assert other.identity.details["dtype"] == dtype
    decisions = [(n in a) == (n in b) for a, b in zip(*tags, strict=True) for n in TACTIC_NAMES]
    assert np.mean(decisions) >= 0.995
    assert spearman(np.array(scores[0]), np.array(scores[1])) >= 0.999


def test_obvious_sentences_get_their_tactic(encoder: ContextEncoder) -> None:
    expected = {
        "What has been the hardest part of this for you?": "questioning",
        "I'm so sorry you're going through this.": "emotional_expression",
        "It's completely understandable to feel overwhelmed.": "validation",
        "You could try taking a short walk each morning.": "advice",
        "It sounds like you've been carrying this alone.": "paraphrasing",
        "You are stronger than you think.": "empowerment",
    }
    tagger = EmbeddedTagger(encoder)
    for text, name in expected.items():
        (tagging,) = tagger.grade_now([Reply(history=(), text=text)])
        assert isinstance(tagging, Tagging)
        (sentence,) = tagging.sentences
        assert name in sentence.tactics
        assert all(0.0 <= p <= 1.0 for p in sentence.probabilities.values())


@pytest.mark.parametrize(
    "bad",
    [
        "You're not alone in this. " * 10,
        "support empathy validation feelings understand strength hope care " * 6,
        TIRED[0].content,
        "Why? When? Who? How? Where? What else? Which one? Since when? Really? Why not?",
        "You should just get over it. Everyone is tired.",
        GOOD + " Score: 5.",
        GOOD * 20,
    ],
)
def test_judge_prefers_an_ordinary_good_reply(encoder: ContextEncoder, bad: str) -> None:
    judge = EmbeddedJudge(encoder)
    good, other = judge.grade_now([Reply(history=TIRED, text=GOOD), Reply(history=TIRED, text=bad)])
    assert isinstance(good, Rating)
    assert isinstance(other, Rating)
    assert good.aggregate > other.aggregate
    assert set(good.dimensions) == set(DIMENSIONS)
    assert good.uncertainty is not None
    assert 0.05 < good.uncertainty < 1.5
    assert all(1.0 <= value <= 5.0 for value in [*other.dimensions.values(), other.aggregate])


def test_graders_answer_in_order_and_fail_on_nothing(encoder: ContextEncoder) -> None:
    replies = [Reply(history=(), text=text) for text in ("Rest.", "", "Why?")]
    taggings = asyncio.run(EmbeddedTagger(encoder).tag(replies))
    ratings = asyncio.run(EmbeddedJudge(encoder).rate(replies))
    assert [isinstance(answer, Failure) for answer in taggings] == [False, True, False]
    assert [isinstance(answer, Failure) for answer in ratings] == [False, True, False]
    assert asyncio.run(EmbeddedJudge(encoder).rate([])) == []
    assert asyncio.run(EmbeddedTagger(encoder).tag([])) == []


def test_tags_and_manner_are_read_in_one_pass(tagger_file: Path, judge_file: Path) -> None:
    """Both belong to the reply alone, so the second of the two finds it in the cache."""
    encoder = CountingEncoder()
    scorer = ReplyScorer(
        EmbeddedTagger(encoder, str(tagger_file)), EmbeddedJudge(encoder, str(judge_file), "none")
    )
    request = ScoringRequest("Rest. Why?", TIRED, (0.0,) * 10, (), 5, False)
    signals = asyncio.run(scorer.score([request, request._replace(raw_reply="Rest. So?")]))
    assert [s.status for s in signals] == [Status.OK, Status.OK]
    assert len(encoder.asked) == 4
    assert set(encoder.asked) == {SplitReply("", ("Rest.", last)) for last in ("Why?", "So?")}


def test_one_reply_has_one_set_of_tags(encoder: ContextEncoder) -> None:
    tagger = EmbeddedTagger(encoder)
    other = (Message("seeker", "My landlord sold the house and I have a week to leave."),)
    replies = [Reply(history=history, text=GOOD) for history in ((), TIRED, other)]
    taggings = [t for t in tagger.grade_now(replies) if isinstance(t, Tagging)]
    assert len(taggings) == 3
    first, *rest = taggings
    for tagging in rest:
        for mine, theirs in zip(tagging.sentences, first.sentences, strict=True):
            assert mine.tactics == theirs.tactics
            assert mine.probabilities == pytest.approx(theirs.probabilities, abs=1e-6)


@pytest.mark.parametrize(
    ("sentence", "plain"),
    [
        ("Did you sleep?", "You slept."),
        ("In my opinion she left.", "She left."),
        ("I hope it rains.", "It rains."),
        ("I lost the job.", "The job ended."),
        ("You should rest.", "They rest."),
        ("I\u2019ve been there.", "There it is."),
    ],
)
def test_cues_see_turns_of_phrase(sentence: str, plain: str) -> None:
    assert len(sentence_cues(sentence)) == len(sentence_cues("")) == NUM_CUES
    assert sum(sentence_cues(sentence)[:-3]) > sum(sentence_cues(plain)[:-3])


class FailingTagger:
    identity = GraderIdentity(kind="tagger", name="failing", revision="1")

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        return [Failure("always", "by design") for _ in replies]


class FailingJudge:
    identity = GraderIdentity(kind="judge", name="failing", revision="1")

    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        return [Failure("always", "by design") for _ in replies]


def test_custom_graders_need_no_encoder() -> None:
    here = __name__
    graders = build_graders(
        EncoderConfig(path="/no/such/folder"),
        TaggerConfig(kind="custom", factory=f"{here}:FailingTagger"),
        JudgeConfig(kind="custom", factory=f"{here}:FailingJudge"),
    )
    assert isinstance(graders.tagger, TacticTagger)
    assert isinstance(graders.judge, EmpathyJudge)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "served"}, "kind must be one of embedded, served"),
        ({"kind": "custom"}, "needs mint.tagger.factory"),
        ({"kind": "embedded", "factory": "a:b"}, "is set, but"),
        ({"kind": "custom", "factory": "no_colon"}, "must look like"),
        ({"kind": "custom", "factory": "no_such_module:x"}, "cannot be imported"),
        ({"kind": "custom", "factory": "math:nothing"}, "cannot be imported"),
        ({"kind": "custom", "factory": "math:pi"}, "not callable"),
        ({"kind": "custom", "factory": "builtins:dict"}, "no tagger"),
    ],
)
def test_tagger_settings_are_checked(changes: dict[str, str], says: str) -> None:
    config = replace(TaggerConfig(), **changes)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=says):
        build_graders(EncoderConfig(path="/no/such/folder"), config, JudgeConfig())
