"""The second judge that asks a language model: likelihoods, its parts, its weights and its fit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_graders import FakeJudge, FakeTagger
from transformers import LlamaConfig, LlamaForCausalLM

from mint.evaluation.second import grade_canaries
from mint.policy.tokenizer import train_tokenizer
from rewards import fit
from rewards.build import Graders, SecondJudgeConfig, build_second_judge
from rewards.errors import ConfigError
from rewards.fitting.corpus import CorpusReply
from rewards.fitting.likelihoods import fit_likelihoods, fitted, sides
from rewards.graders.embedded.arrays import write_arrays
from rewards.graders.language_model.judge import (
    FEATURES,
    GREETING,
    WEIGHTS,
    LanguageModelJudge,
    likelihoods,
)
from rewards.graders.language_model.model import MOST_TOKENS, ReplyModel
from rewards.graders.lexical.judge import LexicalJudge
from rewards.protocols import EmpathyJudge
from rewards.types import Failure, Message, Rating, Reply

pytestmark = pytest.mark.slow

TALK = (
    Message("seeker", "My dog Rex died last night and the house is so quiet."),
    Message("supporter", "I am so sorry. What was Rex like?"),
    Message("seeker", "He slept at my feet for twelve years. I miss the sound of his paws."),
)
REPLIES = (
    "Twelve years with Rex at your feet. What do you remember most?",
    "It was only a dog.",
    "I am so sorry.",
)


class WordModel:
    """In place of a language model: words that were said before are likelier."""

    revision = "words"

    def __init__(self) -> None:
        self.asked: list[tuple[Message, ...]] = []

    def log_probabilities(
        self, context: Sequence[Message], replies: Sequence[str]
    ) -> list[np.ndarray]:
        self.asked.append(tuple(context))
        known = {word for message in context for word in message.content.lower().split()}
        return [
            np.array([-1.0 if w.lower() in known else -4.0 for w in r.split()], np.float32)
            for r in replies
        ]


def weights(path: Path, model: str = "words", **changed: np.ndarray) -> str:
    arrays: dict[str, np.ndarray] = {
        "relevance": np.array([4.0, 0.0, -5.0]),
        "coherence": np.array([1.0, 0.0, 6.0]),
        "features": np.array(FEATURES),
        "model": np.array(model),
    }
    write_arrays(path, {**arrays, **changed})
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights, as a Hugging Face folder."""
    texts = [*(message.content for message in TALK), *REPLIES]
    tokenizer = train_tokenizer(texts * 10, 400, 512)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
    )
    path = tmp_path_factory.mktemp("model")
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def read_whole(model: ReplyModel, context: Sequence[Message], reply: str) -> np.ndarray:
    """Log-probabilities of a reply in one pass over everything, without keeping anything."""
    before = model._prompt(context)
    own = model._tokenizer(reply, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model._model(torch.tensor([[*before, *own]])).logits[0, len(before) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor(own)[:, None])[:, 0].numpy()


@pytest.mark.parametrize("batch_tokens", [1, 30, 1000])
def test_replies_that_share_a_conversation_are_likely_as_when_read_alone(
    folder: Path, batch_tokens: int
) -> None:
    model = ReplyModel(folder, dtype="float32", batch_tokens=batch_tokens)
    found = model.log_probabilities(TALK, REPLIES)
    for reply, own in zip(REPLIES, found, strict=True):
        assert own == pytest.approx(read_whole(model, TALK, reply), abs=1e-4)
    other = model.log_probabilities(TALK[:1], REPLIES)
    assert np.abs(found[0] - other[0]).max() > 0.01


def test_a_conversation_is_read_once_for_all_its_replies(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ReplyModel(folder, dtype="float32", batch_tokens=40)
    prompt = len(model._prompt(TALK))
    read: list[int] = []
    forward = model._model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        read.append(kwargs["input_ids"].numel())
        return forward(*args, **kwargs)

    monkeypatch.setattr(model._model, "forward", counted)
    replies = [Reply(history=TALK, text=text) for text in REPLIES * 4]
    likelihoods(model, replies)  # type: ignore[arg-type]
    bare = len(model._prompt(GREETING))
    assert read.count(prompt - 1) == 1
    assert read.count(bare - 1) == 1
    assert max(set(read) - {prompt - 1, bare - 1}) <= 40


def test_long_and_empty_replies(folder: Path) -> None:
    model = ReplyModel(folder, dtype="float32")
    empty, long, short = model.log_probabilities(TALK, ["", "sorry " * 500, "I am"])
    assert (len(empty), len(long)) == (0, MOST_TOKENS)
    assert short == pytest.approx(read_whole(model, TALK, "I am"), abs=1e-4)


def test_the_revision_is_of_the_weights(folder: Path) -> None:
    assert ReplyModel(folder).revision == ReplyModel(folder, dtype="float32").revision


def test_the_judge_reads_the_conversation_and_shows_its_parts(tmp_path: Path) -> None:
    model = WordModel()
    judge = LanguageModelJudge(model, weights(tmp_path / "w.npz"))  # type: ignore[arg-type]
    assert isinstance(judge, EmpathyJudge)
    text = "You miss the sound of his paws."
    foreign = (Message("seeker", "My boss gave the promotion to somebody else."),)
    histories = (TALK, foreign, (), TALK)
    asked = [Reply(history=h, text=text) for h in histories[:3]] + [Reply(history=TALK, text="?!")]
    own, other, alone, empty = asyncio.run(judge.rate(asked))
    assert isinstance(own, Rating)
    assert isinstance(other, Rating)
    assert isinstance(alone, Rating)
    assert isinstance(empty, Failure)
    (lexical,) = LexicalJudge().grade_now(asked[:1])
    assert isinstance(lexical, Rating)
    assert set(own.parts) == {"manner", "relevance", "coherence"}
    assert own.parts["manner"] == other.parts["manner"] == lexical.parts["manner"]
    assert own.parts["relevance"] > 0.5 > 0.2 > other.parts["relevance"]
    assert 1 <= other.aggregate < own.aggregate <= 5
    assert "unrelated" in other.tricks
    assert set(alone.parts) == {"manner", "coherence"}
    assert judge.grade_now([]) == []
    assert judge.identity.details["model"] == "words"


def test_the_model_reads_the_last_three_messages(tmp_path: Path) -> None:
    model = WordModel()
    long = (Message("seeker", "Hello."), Message("supporter", "Hello."), *TALK)
    likelihoods(model, [Reply(history=long, text="Oh.")] * 3)  # type: ignore[arg-type]
    assert model.asked == [TALK, GREETING]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"model": np.array("other")}, "were fitted for the language model other, not for words"),
        ({"features": np.array("old")}, "were fitted for features old"),
        ({"relevance": np.zeros(9)}, r"relevance has shape \(9,\), not \(3,\)"),
        ({"coherence": np.array([np.nan, 0, 0])}, "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    changed: dict[str, np.ndarray], says: str, tmp_path: Path
) -> None:
    path = weights(tmp_path / "w.npz", **changed)
    with pytest.raises(ConfigError, match=says):
        LanguageModelJudge(WordModel(), path)  # type: ignore[arg-type]
    write_arrays(tmp_path / "w.npz", {"relevance": np.zeros(3)})
    with pytest.raises(ConfigError, match="lack coherence, features, model"):
        LanguageModelJudge(WordModel(), path)  # type: ignore[arg-type]


def test_settings_of_the_judge(folder: Path, tmp_path: Path) -> None:
    def build(**given: Any) -> Any:
        return build_second_judge(SecondJudgeConfig(**given))

    with pytest.raises(ConfigError, match=r"needs mint\.second_judge\.path=FOLDER"):
        build(kind="language_model")
    with pytest.raises(ConfigError, match=r"no config\.json.*mint\.convert"):
        build(kind="language_model", path=str(tmp_path))
    with pytest.raises(ConfigError, match=r"path is for .*language_model only"):
        build(path=str(folder))
    own = weights(tmp_path / "w.npz", ReplyModel(folder).revision)
    judge = build(kind="language_model", path=str(folder), weights=own)
    (rating,) = judge.grade_now([Reply(history=TALK, text=REPLIES[0])])
    assert set(rating.parts) == {"manner", "relevance", "coherence"}


def test_a_folder_that_is_no_chat_model_is_named(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        if file.name != "chat_template.jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ConfigError, match="has no chat template"):
        ReplyModel(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "unheard-of"}')
    with pytest.raises(ConfigError, match="cannot load a language model from"):
        ReplyModel(tmp_path)


def corpus(system: str, number: int) -> list[CorpusReply]:
    """Replies to five topics that say again what the seeker said."""
    topics = ("dog paws", "exam marks", "boss office", "rent landlord", "sister wedding")
    found = []
    for i in range(number):
        topic = topics[i % 5]
        history = (Message("seeker", f"I keep thinking about the {topic}"),)
        sentences = (f"It sounds hard about the {topic}.", "What happened then?")
        found.append(
            CorpusReply(
                system=system,
                conversation_id=f"c{i % 5}",
                turn_index=1,
                seeker_turn=history[0].content,
                text=" ".join(sentences),
                sentences=sentences,
                tactics=None,
                ratings=(3.0,) * 7,
                seeker_turns=(history[0].content,),
                history=history,
            )
        )
    return found


def test_the_fit_learns_and_follows_its_seed() -> None:
    replies = [*corpus("gold", 30), *corpus("system", 30)]
    learnt, again = sides(replies, 20, 0), sides(replies, 20, 0)
    assert learnt == again
    assert learnt.by_people.sum() == 20
    for reply, other in zip(learnt.own, learnt.foreign, strict=True):
        assert reply.text == other.text
        assert reply.history != other.history
    found, same = (fitted(WordModel(), s) for s in (learnt, again))  # type: ignore[arg-type]
    assert found["relevance"][0] > 0, "what was said before belongs"
    assert all(np.array_equal(found[name], same[name]) for name in found)


def test_the_command_writes_weights_and_card(upstream: Path, root: Path, tmp_path: Path) -> None:
    canaries = root / "data/bad_replies/canaries.jsonl"
    model: Any = WordModel()
    card = fit_likelihoods(upstream, model, tmp_path, canaries, seed=0)
    judge = LanguageModelJudge(model, str(tmp_path / WEIGHTS))
    assert card["sha256"] == judge.identity.revision
    unseen = card["unseen_conversation"]["own_against_foreign"]
    assert unseen["systems, relevance"]["auc"] > 0.5
    assert set(card["unseen_conversation"]["coherence_passed"]) == {
        "people",
        "systems",
        "30_percent_random_words",
    }
    assert len(card["canaries"]["kinds"]) == 20
    assert judge.human_median == card["human_median"]
    found = grade_canaries(Graders(FakeTagger(), FakeJudge()), judge, tmp_path)
    assert found["second_judge"]["human_median"] == card["human_median"]


def test_the_command_needs_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit.main([f"upstream={tmp_path}", "part=language_model"]) == 2
    assert "needs model=DIR" in capsys.readouterr().err
