"""Encoder, heads on disk, embedded tagger and judge, and the weights that ship with them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rewards.build import (
    EncoderConfig,
    JudgeConfig,
    TaggerConfig,
    build_encoder,
    build_graders,
    find_encoder,
)
from rewards.errors import ConfigError, GraderError
from rewards.graders.corpus import CorpusReply, read_human_sentences, read_replies
from rewards.graders.encoder import HashingEncoder, SentenceEncoder, VectorCache, unit_rows
from rewards.graders.features import SENTENCE_FEATURES, reply_features, sentence_features
from rewards.graders.fitting import human_report
from rewards.graders.heads import Heads, load_heads, save_heads, shipped_card
from rewards.graders.judge_embedded import OUTPUTS, EmbeddedJudge
from rewards.graders.metrics import spearman
from rewards.graders.tagger_embedded import EmbeddedTagger
from rewards.protocols import EmpathyJudge, TacticTagger
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

TIRED = (Message("seeker", "I work two jobs and I am so tired."),)
GOOD = (
    "Two jobs with hardly a break sounds exhausting, and it makes sense that you feel worn out. "
    "You have been carrying a lot on your own. What has been weighing on you most this week?"
)


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return build_encoder(EncoderConfig())


class CountingEncoder(HashingEncoder):
    """Counts the texts it is asked to encode."""

    def __init__(self) -> None:
        super().__init__()
        self.computed: list[str] = []
        self._cache = VectorCache(1000)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._cache.lookup(texts, self._compute)

    def _compute(self, texts: list[str]) -> NDArray[np.float32]:
        self.computed += texts
        return super().encode(texts)


def make_heads(encoder: HashingEncoder, outputs: Sequence[str], features: str, size: int) -> Heads:
    rng = np.random.default_rng(0)
    return Heads(
        outputs=tuple(outputs),
        coef=rng.normal(size=(len(outputs), size)).astype(np.float32) / 10,
        intercept=np.full(len(outputs), 3.0, np.float32),
        thresholds=np.full(len(outputs), 0.5, np.float32),
        features=features,
        encoder_name=encoder.identity.name,
        encoder_dim=encoder.dim,
    )


@pytest.fixture
def tagger_file(tmp_path: Path) -> Path:
    hashing = HashingEncoder()
    size = sentence_features(hashing.encode(["a"]), ["a"]).shape[1]
    path = tmp_path / "tagger.npz"
    save_heads(make_heads(hashing, TACTIC_NAMES, SENTENCE_FEATURES, size), {"part": "tagger"}, path)
    return path


def test_vectors_are_unit_rows_whatever_the_batch(encoder: SentenceEncoder) -> None:
    texts = ["I hear you.", "What happened?", "A much longer sentence about a very long day. " * 4]
    together = encoder.encode(texts)
    alone = SentenceEncoder(find_encoder(EncoderConfig()), name="x", batch_size=1, cache_size=0)
    assert together.dtype == np.float32
    assert together.shape == (3, encoder.dim)
    assert np.linalg.norm(together, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert np.allclose(together, np.vstack([alone.encode([text]) for text in texts]), atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_threads_share_one_pass(encoder: SentenceEncoder) -> None:
    texts = [f"Sentence number {i} of this test." for i in range(20)]
    results: list[NDArray[np.float32]] = []
    threads = [
        threading.Thread(target=lambda: results.append(encoder.encode(texts))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(np.array_equal(results[0], other) for other in results)


def test_encoder_identity_is_its_weights(encoder: SentenceEncoder) -> None:
    identity = encoder.identity
    assert len(identity.revision) == 64
    assert identity == build_encoder(EncoderConfig(cache_size=1)).identity
    assert identity.details == {"dim": 384, "dtype": "float32"}


def test_bfloat16_stays_close(encoder: SentenceEncoder) -> None:
    rough = build_encoder(EncoderConfig(dtype="bfloat16"))
    a, b = encoder.encode(["I hear you."]), rough.encode(["I hear you."])
    assert b.dtype == np.float32
    assert float((a * b).sum()) > 0.99
    assert rough.identity != encoder.identity


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (EncoderConfig(path="/no/such/folder"), "mint.encoder.path"),
        (EncoderConfig(dtype="int8"), "dtype must be one of"),
        (EncoderConfig(batch_size=0), "batch_size"),
        (EncoderConfig(num_threads=0), "num_threads"),
        (EncoderConfig(cache_size=-1), "cache_size"),
    ],
)
def test_encoder_settings_are_checked(config: EncoderConfig, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_encoder(config)


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no sentence-transformers model"):
        build_encoder(EncoderConfig(path=str(tmp_path)))
    (tmp_path / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(ConfigError, match="cannot load an encoder"):
        build_encoder(EncoderConfig(path=str(tmp_path)))


def test_cache_is_bounded_and_computes_each_text_once() -> None:
    calls: list[list[str]] = []

    def compute(texts: list[str]) -> NDArray[np.float32]:
        calls.append(texts)
        return np.array([[float(len(text))] for text in texts], np.float32)

    cache = VectorCache(2)
    assert cache.lookup(["a", "bb", "a"], compute).tolist() == [[1.0], [2.0], [1.0]]
    cache.lookup(["a"], compute)
    cache.lookup(["ccc"], compute)
    assert len(cache) == 2
    cache.lookup(["a"], compute)
    cache.lookup(["bb"], compute)
    assert calls == [["a", "bb"], ["ccc"], ["bb"]]
    assert VectorCache(0).lookup(["a"], compute).shape == (1, 1)


def test_hashing_encoder_is_deterministic() -> None:
    a = HashingEncoder().encode(["One two", "two one", "other", ""])
    assert np.array_equal(a, HashingEncoder().encode(["One two", "two one", "other", ""]))
    assert np.allclose(a[0], a[1])
    assert not np.allclose(a[0], a[2])
    assert np.allclose(np.linalg.norm(a, axis=1), 1)


@pytest.mark.parametrize("row", [[0.0, 0.0], [np.nan, 1.0]])
def test_useless_vectors_are_an_error(row: list[float]) -> None:
    with pytest.raises(GraderError, match="zero or not finite"):
        unit_rows(np.array([row], np.float32))


def test_saved_heads_come_back(tagger_file: Path) -> None:
    encoder = HashingEncoder()
    heads = load_heads(str(tagger_file), "", TACTIC_NAMES, SENTENCE_FEATURES, encoder)
    assert heads.outputs == TACTIC_NAMES
    assert heads.revision in tagger_file.with_suffix(".json").read_text()
    tagging = EmbeddedTagger(encoder, str(tagger_file)).tag_now([Reply(history=(), text="A b.")])
    assert not isinstance(tagging[0], Failure)
    assert list(tagging[0].sentences[0].probabilities) == list(TACTIC_NAMES)
    assert sorted(p.name for p in tagger_file.parent.iterdir()) == ["tagger.json", "tagger.npz"]


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


@pytest.mark.parametrize("name", ["coef", "thresholds", "encoder_name"])
def test_missing_array_is_named(tagger_file: Path, name: str) -> None:
    with np.load(tagger_file) as file:
        arrays = {key: file[key] for key in file.files if key != name}
    np.savez(tagger_file, **arrays)
    with pytest.raises(ConfigError, match=f"lack {name}"):
        EmbeddedTagger(HashingEncoder(), str(tagger_file))


@pytest.mark.parametrize("change", [{"coef": np.nan}, {"intercept": "short"}])
def test_broken_arrays_are_refused(tagger_file: Path, change: dict[str, object]) -> None:
    with np.load(tagger_file) as file:
        arrays = {key: file[key] for key in file.files}
    if "coef" in change:
        arrays["coef"] = np.full_like(arrays["coef"], np.nan)
    else:
        arrays["intercept"] = arrays["intercept"][1:]
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


def test_repeating_a_sentence_changes_nothing_for_the_judge() -> None:
    encoder = HashingEncoder()
    once, thrice = ["I hear you.", "Rest."], ["I hear you.", "i hear YOU!", "Rest.", "I hear you"]
    seeker = encoder.encode(["I am tired"])[0]
    a = reply_features(encoder.encode(once), once, seeker)
    b = reply_features(encoder.encode(thrice), thrice, seeker)
    assert np.allclose(a, b)


@pytest.mark.parametrize("part", ["tagger", "judge"])
def test_card_describes_the_shipped_weights(encoder: SentenceEncoder, part: str) -> None:
    card = shipped_card(f"{part}.json")
    grader = EmbeddedTagger(encoder) if part == "tagger" else EmbeddedJudge(encoder)
    assert grader.identity.revision == card["sha256"]
    assert card["encoder"]["revision"] == encoder.identity.revision
    assert card["sentence_count_agreement"] >= 0.995
    assert grader.identity.details["encoder"] == encoder.identity.name


def test_shipped_figures_reach_their_targets() -> None:
    tagger, judge = shipped_card("tagger.json"), shipped_card("judge.json")
    assert tagger["held_out_conversations"]["mean_macro_f1"] >= 0.84
    assert tagger["held_out_sentences_never_seen"]["mean_macro_f1"] >= 0.82
    assert tagger["human_labelled_sentences"]["mean_macro_f1"] >= 0.66
    held_out = judge["held_out_conversations"]
    assert held_out["spearman"]["aggregate"] >= 0.82
    assert held_out["aggregate_spearman_within_prompt"] >= 0.81
    for kind in ("copied_seeker", "repeated_sentence", "ten_questions", "word_salad"):
        assert judge["degenerate_probes"][kind]["good_replies_ranked_above"] >= 0.95


def test_tagger_card_is_true(encoder: SentenceEncoder, upstream: Path) -> None:
    """The sentences labelled by people took no part in the fit; their figures come out again."""
    heads = load_heads(None, "tagger.npz", TACTIC_NAMES, SENTENCE_FEATURES, encoder)
    report = human_report(heads, read_human_sentences(upstream), encoder)
    card = shipped_card("tagger.json")["human_labelled_sentences"]
    assert report["sentences"] == card["sentences"] == 286
    assert report["mean_macro_f1"] == pytest.approx(card["mean_macro_f1"], abs=0.01)
    for name in TACTIC_NAMES:
        assert report["tactics"][name]["positives"] == card["tactics"][name]["positives"]


def test_judge_agrees_with_the_released_ratings(encoder: SentenceEncoder, upstream: Path) -> None:
    replies = [reply for reply in read_replies(upstream) if reply.ratings is not None]
    sample = [reply for reply in replies if reply.turn_index == 3][::12]
    ratings = EmbeddedJudge(encoder).rate_now([as_reply(reply) for reply in sample])
    found = [rating.aggregate for rating in ratings if isinstance(rating, Rating)]
    truth = [reply.ratings[-1] for reply in sample if reply.ratings is not None]
    card = shipped_card("judge.json")["held_out_conversations"]["spearman"]["aggregate"]
    assert len(found) == len(sample) >= 50
    assert spearman(np.array(truth), np.array(found)) >= card - 0.08


def as_reply(reply: CorpusReply) -> Reply:
    history = (Message("seeker", reply.seeker_turn),)
    return Reply(history=history, text=reply.text, sentences=reply.sentences)


def test_obvious_sentences_get_their_tactic(encoder: SentenceEncoder) -> None:
    expected = {
        "What has been the hardest part of this for you?": "questioning",
        "I'm so sorry you're going through this.": "emotional_expression",
        "It's completely understandable to feel overwhelmed.": "validation",
        "You could try taking a short walk each morning.": "advice",
        "It sounds like you've been carrying this alone.": "paraphrasing",
        "You are stronger than you think.": "empowerment",
    }
    tagged = EmbeddedTagger(encoder).tag_sentences(list(expected))
    for sentence in tagged:
        assert expected[sentence.text] in sentence.tactics
        assert all(0.0 <= p <= 1.0 for p in sentence.probabilities.values())


@pytest.mark.parametrize(
    "bad",
    [
        "You're not alone in this. " * 10,
        "support empathy validation feelings understand strength hope care " * 6,
        TIRED[0].content,
        "Why? When? Who? How? Where? What else? Which one? Since when? Really? Why not?",
        "You should just get over it. Everyone is tired.",
    ],
)
def test_judge_prefers_an_ordinary_good_reply(encoder: SentenceEncoder, bad: str) -> None:
    judge = EmbeddedJudge(encoder)
    good, other = judge.rate_now([Reply(history=TIRED, text=GOOD), Reply(history=TIRED, text=bad)])
    assert isinstance(good, Rating)
    assert isinstance(other, Rating)
    assert good.aggregate > other.aggregate
    assert set(good.dimensions) == set(DIMENSIONS)
    assert all(1.0 <= value <= 5.0 for value in [*other.dimensions.values(), other.aggregate])


def test_graders_answer_in_order_and_fail_on_nothing(encoder: SentenceEncoder) -> None:
    replies = [Reply(history=(), text=text) for text in ("Rest.", "", "Why?")]
    taggings = asyncio.run(EmbeddedTagger(encoder).tag(replies))
    ratings = asyncio.run(EmbeddedJudge(encoder).rate(replies))
    assert [isinstance(answer, Failure) for answer in taggings] == [False, True, False]
    assert [isinstance(answer, Failure) for answer in ratings] == [False, True, False]
    assert asyncio.run(EmbeddedJudge(encoder).rate([])) == []
    assert asyncio.run(EmbeddedTagger(encoder).tag([])) == []


def test_scoring_encodes_every_sentence_once(tagger_file: Path, tmp_path: Path) -> None:
    encoder = CountingEncoder()
    size = len(reply_features(encoder.encode(["a"]), ["a"], encoder.encode(["a"])[0]))
    heads = make_heads(encoder, OUTPUTS, "reply-1", size)
    save_heads(heads, {}, tmp_path / "judge.npz")
    scorer = ReplyScorer(
        EmbeddedTagger(encoder, str(tagger_file)),
        EmbeddedJudge(encoder, str(tmp_path / "judge.npz")),
    )
    request = ScoringRequest("Rest. Why?", TIRED, (0.0,) * 10, (), 5, False)
    encoder.computed.clear()
    signals = asyncio.run(scorer.score([request, request._replace(raw_reply="Rest. So?")]))
    assert [s.status for s in signals] == [Status.OK, Status.OK]
    assert sorted(encoder.computed) == sorted(["Rest.", "Why?", "So?", TIRED[0].content])


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
