"""The model that is tuned: loaded, with adapters, and written as an ordinary folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mint.policy.building import build, is_missing
from mint.policy.model_files import local_files, model_folder, stored_dtype
from mint.rundir.directory import RunDir
from mint.tuning.batches import Rows
from mint.tuning.settings import ModelSettings
from rewards.errors import ConfigError
from rewards.precision import torch_dtype
from rewards.quiet import quiet_loading

KEY = "model.path"


def check_model(settings: ModelSettings) -> str:
    """The path of the model to begin with, a run's own made one of its model folder.

    Raises ConfigError when there is none and none is to be built.
    """
    if not settings.path:
        raise ConfigError(f"{KEY} is not set: give a Hugging Face folder, hub name or run")
    folder = Path(settings.path).expanduser()
    run = RunDir(folder)
    if run.manifest_path.is_file():
        if not (run.model_path / "config.json").is_file():
            raise ConfigError(f"{KEY}={settings.path} is a run without a model: it has not ended")
        return str(run.model_path)
    if not is_missing(settings.build, folder):
        model_folder(KEY, settings.path)
        if local_files(settings.path) is None:
            raise ConfigError(
                f"{KEY}={settings.path} is not on this machine; download it "
                f"(`hf download {settings.path}`) or give a folder"
            )
    return settings.path


def make_ready(settings: ModelSettings, seed: int) -> str:
    """The same, built first where it is missing."""
    path = check_model(settings)
    if is_missing(settings.build, Path(path).expanduser()):
        build(settings.build, path, seed)
    return path


def device_of(settings: ModelSettings) -> torch.device:
    """The device of the settings. Raises ConfigError for one that is not there."""
    if settings.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=settings.device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"model.device={settings.device} cannot be used: {reason}") from error


def dtype_of(settings: ModelSettings, device: torch.device) -> torch.dtype:
    """The precision of the settings on a device."""
    if settings.dtype == "auto" and device.type != "cpu":
        return torch.bfloat16
    return torch_dtype(settings.dtype)


def load_tokenizer(path: str) -> Any:
    """The tokenizer of a model. Raises ConfigError for one without a chat template."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(local_files(path)))
    if tokenizer.chat_template is None:
        raise ConfigError(f"{KEY}={path} has no chat template: give an instruct model")
    return tokenizer


def load_model(path: str, settings: ModelSettings, seed: int) -> Any:
    """The causal model, with adapters where they are asked for, on its device.

    With adapters the frozen weights are kept in the precision that is computed in, adapters and
    trained weights in float32. Raises ConfigError for target layers that it does not have.
    """
    from transformers import AutoModelForCausalLM

    device = device_of(settings)
    frozen = dtype_of(settings, device) if settings.adapter == "lora" else torch.float32
    with quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(str(local_files(path)), dtype=frozen)
    model.config.use_cache = False
    torch.manual_seed(seed)
    if settings.adapter == "lora":
        model = _with_adapters(model, settings)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    return model.to(device)


def _with_adapters(model: Any, settings: ModelSettings) -> Any:
    from peft import LoraConfig, get_peft_model

    lora = settings.lora
    targets: Any = list(lora.targets)
    if targets == ["all-linear"]:
        targets = "all-linear"
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
        layers_to_transform=_last_layers(model, lora.layers),
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        names = {name.rpartition(".")[2] for name, m in model.named_modules() if _is_linear(m)}
        raise ConfigError(
            f"model.lora.targets={lora.targets}: the model has no such layer; it has "
            f"{', '.join(sorted(names))}"
        ) from error


def _last_layers(model: Any, number: int | None) -> list[int] | None:
    if number is None:
        return None
    there = int(model.config.get_text_config().num_hidden_layers)
    return list(range(max(0, there - number), there))


def _is_linear(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear)


def causal(model: Any) -> Any:
    """The transformers model, without peft's wrapper; its adapters stay in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def hidden_states(model: Any, rows: Rows) -> torch.Tensor:
    """Last hidden state of every token, [R x L, H]."""
    hidden = causal(model).base_model(
        input_ids=rows.ids_RL, position_ids=rows.positions_RL, use_cache=False
    )
    return hidden.last_hidden_state.flatten(0, 1)


def logits_of(model: Any, hidden_TH: torch.Tensor) -> torch.Tensor:
    """Logits of the next token, [T, V], float32. The output layer is a large part of the work of a
    small model: hand in the positions that count."""
    whole = causal(model)
    logits = whole.get_output_embeddings()(hidden_TH).float()
    cap = getattr(whole.config, "final_logit_softcapping", None)
    return logits if not cap else cap * torch.tanh(logits / cap)


@contextlib.contextmanager
def as_it_began(model: Any) -> Iterator[None]:
    """The model without its adapters: the frozen reference, at no memory."""
    with model.disable_adapter():
        yield


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Mixed precision where `dtype` is bfloat16."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16)


def write_model(model: Any, tokenizer: Any, folder: Path, like: str) -> None:
    """Merge the adapters into the weights and write a Hugging Face folder that anything loads, in
    the precision that the model in the folder `like` is kept in.

    `model` is merged in place: its adapters are gone.
    """
    merged = model.merge_and_unload(safe_merge=True) if hasattr(model, "peft_config") else model
    merged.config.use_cache = True
    with quiet_loading():
        merged.to(torch_dtype(stored_dtype(like) or "float32")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
