"""BERTScore with a tiny encoder made on the spot, against loops over tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from mint.evaluation.metrics import bert_score
from rewards.errors import ConfigError

pytestmark = pytest.mark.slow

WORDS = ("i", "hear", "you", "sorry", "so", "why", "now")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS)))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=32).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=4 + len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


def test_f1_by_hand():
    a = np.array([[1.0, 0.0], [0.0, 1.0]])
    b = np.array([[1.0, 0.0], [0.6, 0.8]])
    # Best matches: of a 1 and .8, of b 1 and .8; the second token of b does not count.
    found = bert_score.f1(a, np.array([1.0, 1.0]), b, np.array([1.0, 0.0]))
    assert found == pytest.approx(2 * 0.9 * 1.0 / 1.9)
    assert bert_score.f1(a, np.zeros(2), b, np.ones(2)) == 0.0


def test_score_equals_a_loop_over_tokens(model):
    pairs = [("i hear you", "so sorry you"), ("why", "why now i hear you so so")]
    found = bert_score.load(model, 2)(pairs)
    tokenizer = BertTokenizerFast.from_pretrained(model)
    encoder = BertModel.from_pretrained(model).eval()

    def vectors(text: str) -> list[torch.Tensor]:
        with torch.inference_mode():
            inputs = tokenizer(text, return_tensors="pt")
            states = encoder(**inputs, output_hidden_states=True).hidden_states[2][0]
        return list(states)

    for (candidate, reference), value in zip(pairs, found, strict=True):
        c, r = vectors(candidate), vectors(reference)
        best = [
            np.mean([max(float(torch.cosine_similarity(x, y, dim=0)) for y in b) for x in a[1:-1]])
            for a, b in ((c, r), (r, c))
        ]
        assert value == pytest.approx(2 * best[0] * best[1] / sum(best), abs=1e-5)


def test_equal_texts_score_one_whatever_the_batch(model):
    texts = ["i", "i hear you so", *(" ".join(WORDS[: n % 6 + 1]) for n in range(30))]
    found = bert_score.load(model, 1)([(text, text) for text in texts])
    assert found == pytest.approx(np.ones(len(texts)), abs=1e-5)


def test_a_model_or_layer_that_is_not_there(model, tmp_path):
    with pytest.raises(ConfigError, match=r"is not a folder with config\.json"):
        bert_score.load(str(tmp_path), 1)
    with pytest.raises(ConfigError, match=r"from 0 to 2 .* got 17"):
        bert_score.load(model, 17)


def test_the_column_of_the_reproduction(model, tmp_path, root):
    import importlib.util

    from mint.reproduction.report.summary import as_json
    from mint.reproduction.results import reproduce
    from mint.reproduction.settings import ReproduceSettings

    path = root / "tests/released_files.py"
    spec = importlib.util.spec_from_file_location("released_files", path)
    released = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(released)
    settings = ReproduceSettings(
        upstream=str(released.make_release(tmp_path / "upstream")),
        output=str(tmp_path / "out"),
        resamples=100,
        comparison_resamples=100,
        shuffles=100,
        equal_length=20,
        bertscore_model=model,
        bertscore_layer=2,
    )
    rows = as_json(reproduce(settings, lambda *_: None))["surface"]
    assert -1 <= rows["Human"]["observed"]["bertscore"] <= 1
    assert "bertscore" in rows["GPT-4"]["observed"]
    assert rows["Qwen3-4B"]["observed"] == {}
