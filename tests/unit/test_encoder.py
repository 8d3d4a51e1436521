"""Windows, the adapter file, and the encoder that reads sentences in the context of their reply."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rewards.build import EncoderConfig, build_encoder, find_encoder
from rewards.errors import ConfigError, GraderError
from rewards.graders.embedded.adapter import LowRank, load_adapter, save_adapter
from rewards.graders.embedded.bert import load_bert
from rewards.graders.embedded.cache import ReplyCache
from rewards.graders.embedded.encoder import (
    ContextEncoder,
    load_model,
    weights_hash,
)
from rewards.graders.embedded.hashing import HashingEncoder
from rewards.graders.embedded.windows import (
    REPLY_TOKENS,
    SEEKER_TOKENS,
    SENTENCE_TOKENS,
    make_windows,
    plan_batches,
)
from rewards.protocols import EncodedReply, SplitReply

pytestmark = pytest.mark.slow

NAME = "tiny-encoder"
REPLY = SplitReply("i am tired.", ("that sounds hard.", "what happened?"))
CLS, SEP = 1, 2


@pytest.fixture(scope="module")
def folder(tiny_encoder: Path) -> Path:
    return tiny_encoder


def encoder(folder: Path, **changes: object) -> ContextEncoder:
    settings = {"name": NAME, "adapter": None, "dtype": "float32", **changes}
    return ContextEncoder(folder, **settings)  # type: ignore[arg-type]


def test_a_window_holds_seeker_and_sentences() -> None:
    (window,) = make_windows(3, [10, 11], [[20], [21, 22]], cls=CLS, sep=SEP)
    assert window.reply == 3
    assert window.tokens == [CLS, 10, 11, SEP, 20, 21, 22, SEP]
    assert window.segments == [0, 0, 0, 0, 1, 1, 1, 1]
    assert window.sentence_of == [-1, -1, -1, -1, 0, 1, 1, -1]
    (bare,) = make_windows(0, [], [[20]], cls=CLS, sep=SEP)
    assert bare.tokens == [CLS, SEP, 20, SEP]


def test_long_replies_take_several_windows_and_lose_no_sentence() -> None:
    sentences = [[5] * 150 for _ in range(9)] + [[6] * 500]
    windows = make_windows(0, list(range(200)), sentences, cls=CLS, sep=SEP)
    held = [sorted({s for s in w.sentence_of if s >= 0}) for w in windows]
    assert [s for group in held for s in group] == list(range(10))
    for window in windows:
        inside = sum(s >= 0 for s in window.sentence_of)
        assert inside <= REPLY_TOKENS
        assert len(window.tokens) == inside + SEEKER_TOKENS + 3 <= 512
    assert windows[-1].tokens.count(6) == SENTENCE_TOKENS
    assert windows[0].tokens[1] == 200 - SEEKER_TOKENS, "the end of the seeker's message is kept"


@pytest.mark.parametrize("lengths", [[], [7], [3, 9, 4, 4, 30, 1]])
def test_batches_hold_every_row_once_and_stay_in_budget(lengths: list[int]) -> None:
    batches = plan_batches(lengths, max_tokens=12)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= 12


def test_vectors_do_not_depend_on_the_batch(folder: Path) -> None:
    replies = [REPLY, SplitReply("", ("rest.",)), SplitReply("hear", ("walk " * 100,) * 9)]
    together = encoder(folder).encode(replies)
    for reply, found in zip(replies, together, strict=True):
        (alone,) = encoder(folder, batch_tokens=1, cache_size=0).encode([reply])
        assert found.sentences_SD.shape == (len(reply.sentences), 32)
        assert found.pooled.shape == (96,)
        assert np.allclose(found.sentences_SD, alone.sentences_SD, atol=1e-5)
        assert np.allclose(found.pooled, alone.pooled, atol=1e-5)
    assert encoder(folder).encode([]) == []


def test_vectors_are_means_of_the_right_tokens(folder: Path) -> None:
    """Against the model called by hand on the same tokens."""
    import torch

    tokenizer, model = load_model(folder, None)
    parts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in REPLY.sentences]
    seeker = tokenizer(REPLY.seeker_turn, add_special_tokens=False)["input_ids"]
    head = [tokenizer.cls_token_id, *seeker, tokenizer.sep_token_id]
    tokens = [*head, *parts[0], *parts[1], tokenizer.sep_token_id]
    types = [0] * len(head) + [1] * (len(tokens) - len(head))
    with torch.no_grad():
        hidden = (
            model(input_ids=torch.tensor([tokens]), token_type_ids=torch.tensor([types]))
            .last_hidden_state[0]
            .numpy()
        )
    first, second = len(head), len(head) + len(parts[0])
    (found,) = encoder(folder).encode([REPLY])
    rows = [hidden[first:second].mean(axis=0), hidden[second:-1].mean(axis=0)]
    assert np.allclose(found.sentences_SD, rows, atol=1e-5)
    mean = hidden[first:-1].mean(axis=0)
    wanted = np.concatenate([mean, np.max(rows, axis=0), hidden[0]])
    assert np.allclose(found.pooled, wanted, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shipped", [False, True])
def test_the_quick_way_gives_the_librarys_vectors(
    folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, shipped: bool
) -> None:
    texts = ("Crème brûlée, ﬁne 💛", "日本 [SEP] a\tb", "x" * 300, "walk " * 700, "...")
    replies = [SplitReply(text, (text, *texts[:n])) for n, text in enumerate(texts)]
    place: dict[str, object] = {"dtype": dtype, "batch_tokens": 512}
    if shipped:
        config = EncoderConfig()
        folder = find_encoder(config)
        place |= {"name": config.name, "adapter": load_adapter(None)}
    quick = encoder(folder, **place)
    assert type(quick._model).__module__ == "rewards.graders.embedded.bert"
    monkeypatch.setattr("rewards.graders.embedded.bert.load_bert", lambda path: None)
    slow = encoder(folder, **place)
    assert type(slow._model).__module__.startswith("transformers.")
    assert quick.identity == slow.identity
    for mine, theirs in zip(quick.encode(replies), slow.encode(replies), strict=True):
        assert np.allclose(mine.sentences_SD, theirs.sentences_SD, rtol=0, atol=1e-6)
        assert np.allclose(mine.pooled, theirs.pooled, rtol=0, atol=1e-6)


def changed(folder: Path, name: str, **changes: object) -> None:
    """Set keys of a JSON file of the folder."""
    path = folder / name
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


def as_pickle(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: changed(folder, "config.json", hidden_act="gelu_new"),
        lambda folder: changed(folder, "tokenizer_config.json", do_lower_case=False),
        lambda folder: (folder / "tokenizer.json").unlink(),
        as_pickle,
    ],
)
def test_other_forms_are_left_to_the_library(
    folder: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    assert load_bert(other) is not None
    change(other)
    assert load_bert(other) is None
    loaded = encoder(other)
    assert type(loaded._model).__module__.startswith("transformers.")
    assert loaded.encode([REPLY])[0].pooled.shape == (96,)


def test_a_transformer_in_a_subfolder_is_left_to_the_library(folder: Path, tmp_path: Path) -> None:
    module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "modules.json").write_text(json.dumps([module]), encoding="utf-8")
    assert load_bert(tmp_path) is not None
    (tmp_path / "modules.json").write_text(json.dumps([{**module, "path": "0"}]), encoding="utf-8")
    assert load_bert(tmp_path) is None


def test_the_shipped_encoder_needs_torch_alone() -> None:
    code = (
        "import sys\n"
        "from rewards.build import EncoderConfig, build_encoder\n"
        "build_encoder(EncoderConfig())\n"
        "print({'transformers', 'sentence_transformers', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_context_changes_a_sentence(folder: Path) -> None:
    alone, beside = encoder(folder).encode([REPLY, REPLY._replace(sentences=REPLY.sentences[:1])])
    assert not np.allclose(alone.sentences_SD[0], beside.sentences_SD[0])


def test_threads_share_one_pass(folder: Path) -> None:
    shared = encoder(folder)
    passes: list[int] = []
    compute = shared._compute

    def counted(replies: list[SplitReply]) -> list[EncodedReply]:
        passes.append(len(replies))
        return compute(replies)

    shared._compute = counted  # type: ignore[method-assign]
    threads = [threading.Thread(target=shared.encode, args=([REPLY],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passes == [1]


def test_cache_is_bounded_and_computes_each_reply_once() -> None:
    calls: list[list[str]] = []

    def compute(replies: list[SplitReply]) -> list[EncodedReply]:
        calls.append([reply.sentences[0] for reply in replies])
        return [EncodedReply(np.zeros((1, 2)), np.full(6, len(r.sentences[0]))) for r in replies]

    a, b, c = (SplitReply("", (text,)) for text in ("a", "bb", "ccc"))
    cache = ReplyCache(2)
    assert [e.pooled[0] for e in cache.lookup([a, b, a], compute)] == [1, 2, 1]
    for reply in (a, c, a, b):
        cache.lookup([reply], compute)
    assert len(cache) == 2
    assert calls == [["a", "bb"], ["ccc"], ["bb"]]
    assert len(ReplyCache(0).lookup([a], compute)) == 1


def test_a_reply_without_sentences_is_the_callers_mistake(folder: Path) -> None:
    with pytest.raises(GraderError, match="without a sentence"):
        encoder(folder).encode([SplitReply("hm", ())])


def test_adapter_changes_what_it_says(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    module = "encoder.layer.1.attention.self.query"
    change = LowRank(rng.normal(size=(4, 32)), rng.normal(size=(32, 4)))
    saved = save_adapter({module: change}, 0.5, NAME, weights_hash(folder), tmp_path / "a.npz")
    assert saved.revision == load_adapter(str(tmp_path / "a.npz")).revision
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]

    _, before = load_model(folder, None)
    _, after = load_model(folder, None)
    saved.apply(after)
    difference = (
        dict(after.named_modules())[module].weight - dict(before.named_modules())[module].weight
    )
    product = change.b.astype(np.float16).astype(np.float32) @ change.a.astype(np.float16)
    assert np.allclose(difference.detach().numpy(), 0.5 * product, atol=1e-4)
    adapted = encoder(folder, adapter=saved)
    assert adapted.identity.details["adapter"] == saved.revision
    plain = encoder(folder)
    assert not np.allclose(adapted.encode([REPLY])[0].pooled, plain.encode([REPLY])[0].pooled)


def test_adapter_for_other_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    change = {"encoder.layer.0.output.dense": LowRank(np.zeros((1, 64)), np.zeros((32, 1)))}
    other = save_adapter(change, 1.0, NAME, "0" * 64, tmp_path / "a.npz")
    with pytest.raises(ConfigError, match="was fitted for tiny-encoder with weights 000000000000"):
        encoder(folder, adapter=other)
    wrong = {"encoder.layer.7.output.dense": LowRank(np.zeros((1, 64)), np.zeros((32, 1)))}
    elsewhere = save_adapter(wrong, 1.0, NAME, weights_hash(folder), tmp_path / "b.npz")
    with pytest.raises(ConfigError, match=r"encoder\.layer\.7\.output\.dense"):
        encoder(folder, adapter=elsewhere)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({}, "lacks scale"),
        ({"m.A": np.zeros((2, 3))}, r"lacks m\.B"),
        ({"m.A": np.zeros((2, 3)), "m.B": np.zeros((4, 1))}, "do not multiply"),
        ({"m.A": np.full((2, 3), np.nan), "m.B": np.zeros((4, 2))}, "not finite"),
    ],
)
def test_broken_adapters_are_named(
    arrays: dict[str, np.ndarray], says: str, tmp_path: Path
) -> None:
    facts = {"scale": 1.0, "encoder_name": "x", "encoder_sha256": "y"} if arrays else {}
    np.savez(tmp_path / "a.npz", **arrays, **facts)
    with pytest.raises(ConfigError, match=says):
        load_adapter(str(tmp_path / "a.npz"))


def test_missing_adapters_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no encoder adapter at"):
        load_adapter(str(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ConfigError, match="cannot read encoder adapter"):
        load_adapter(str(tmp_path / "text.npz"))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (EncoderConfig(path="/no/such/folder"), r"mint\.encoder\.path"),
        (EncoderConfig(dtype="int8"), r"mint\.encoder\.dtype must be one of"),
        (EncoderConfig(batch_tokens=0), r"mint\.encoder\.batch_tokens"),
        (EncoderConfig(num_threads=0), r"mint\.encoder\.num_threads"),
        (EncoderConfig(cache_size=-1), r"mint\.encoder\.cache_size"),
        (EncoderConfig(adapter="/no/such.npz"), "no encoder adapter"),
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
        encoder(tmp_path)


def test_hashing_encoder_is_deterministic() -> None:
    texts = ("One two", "two one", "other")
    (a,), (b,) = (HashingEncoder().encode([SplitReply("x", texts)]) for _ in range(2))
    assert np.array_equal(a.sentences_SD, b.sentences_SD)
    assert np.allclose(a.sentences_SD[0], a.sentences_SD[1])
    assert not np.allclose(a.sentences_SD[0], a.sentences_SD[2])
    assert np.allclose(np.linalg.norm(a.sentences_SD, axis=1), 1)
    assert a.pooled.shape == (3 * 64,)
