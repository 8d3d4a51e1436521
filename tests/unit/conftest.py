"""Fixtures of the unit tests alone."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import loopback as loopback_server
import pytest

from rewards.tactics import TACTIC_NAMES

_WORDS = (
    "i you it is are the a to your that what how could try walk number feelings valid friend "
    "happened on day tired of job hear rest alone not sorry sounds hard strong ? . ! ,"
)


@pytest.fixture(scope="session")
def loopback() -> ModuleType:
    """tests/loopback.py."""
    return loopback_server


@pytest.fixture
def serve() -> Iterator[Callable]:
    """Starts servers that answer with a function of the request; stops them after the test."""
    started = []

    def start(handler: Callable) -> object:
        server = loopback_server.Loopback(handler)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server() -> loopback_server.GraderServer:
    """A server of all graders, not listening yet."""
    return loopback_server.GraderServer()


@pytest.fixture
def url(serve: Callable, server: loopback_server.GraderServer) -> str:
    """Where `server` listens."""
    return serve(server).url


@pytest.fixture(scope="session")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotation files in the form of the released ones, with an input format of our own."""
    folder = tmp_path_factory.mktemp("annotations")
    for name in TACTIC_NAMES:
        lines = []
        for reply, sentence in (
            ("I see. Go on.\n\nTell me.", "Go on."),
            ("What a day! Rest now.", "What a day!"),
            ("What a day! Rest now.", "Rest now."),
        ):
            user = f"Look for {name}.\nReply:\n{reply}\n\nSentence:\n{sentence}\nAnswer:"
            roles = {"system": f"You know {name}.", "user": user, "assistant": "<score>0</score>"}
            messages = [{"role": role, "content": text} for role, text in roles.items()]
            lines.append(json.dumps({"messages": messages}) + "\n")
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def chat_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer folder whose chat template is easy to read."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    )
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}[end]{% endfor %}"
    )
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a BERT of a few thousand random weights, for what is built on an encoder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-encoder")
    pieces = [*string.ascii_lowercase, *string.digits]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(_WORDS.split())]
    vocabulary += [p for p in pieces if p not in vocabulary] + [f"##{p}" for p in pieces]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(str(folder))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    BertModel(config).save_pretrained(str(folder))
    return folder
