"""What can be known before a server starts: packages, files, adapters, port, token, memory.

Every problem is a one-line ConfigError; nothing is started or loaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mint.machine.limits import GIB, read_memory
from mint.machine.packages import package_version
from mint.policy.model_files import local_files, model_folder, stored_dtype
from mint.policy.vllm_switches import CPU_KV_CACHE_GIB
from mint.serving.command import Plan
from mint.serving.settings import RewardModelServer, ServerSettings, TaggerServer
from mint.web.listen import check_port, read_token
from rewards.errors import ConfigError
from rewards.precision import DTYPE_BYTES, resolve_dtype
from rewards.tactics import TACTIC_NAMES

_PROCESSES_GIB = 2.5
"""Resident memory of vLLM's three processes without a model, on a CPU (docs/serving.md)."""
_OWN_FLAGS = {
    "--host": "host",
    "--port": "port",
    "--served-model-name": "name",
    "--max-model-len": "max_model_len",
    "--dtype": "dtype",
    "--chat-template": "chat_template",
    "--api-key": "token_file",
    "--kv-cache-memory-bytes": "kv_cache_gib",
    "--gpu-memory-utilization": "memory_share",
    "--max-lora-rank": "max_lora_rank",
    "--lora-modules": "adapters",
    "--load-format": "",
    "--middleware": "",
    "--pooler-config": "",
}


def check(settings: ServerSettings) -> Plan:
    """Raise ConfigError for the first problem; otherwise what the command needs to know."""
    cpu = check_vllm()
    check_extra_arguments(settings.vllm_args)
    token = read_token(settings.token_file)
    config = check_model(settings)
    if isinstance(settings, TaggerServer):
        check_adapters(settings)
    limit = config.get("max_position_embeddings")
    longest = settings.max_model_len
    plan = Plan(
        cpu=cpu,
        port=check_port(settings.host, settings.port),
        max_model_len=min(longest, limit) if isinstance(limit, int) else longest,
        dtype=resolve_dtype(settings.dtype) if cpu else settings.dtype,
        token=token,
    )
    if cpu:
        check_cpu_memory(settings, plan.dtype, read_memory().available_gib)
    return plan


def check_vllm() -> bool:
    """Whether the installed vLLM is the CPU build. Raises ConfigError when there is none."""
    version = package_version("vllm")
    if version is None:
        raise ConfigError(
            "vllm is not installed in this environment; run `make install`, or "
            "`pip install -e .[gpu]` on a GPU machine"
        )
    return "+cpu" in version


def check_extra_arguments(arguments: list[str]) -> None:
    """Refuse arguments that a key already stands for, or that run foreign code."""
    for argument in arguments:
        flag = argument.partition("=")[0].replace("_", "-")
        if flag == "--trust-remote-code":
            raise ConfigError(
                "vllm_args: --trust-remote-code would run code that comes with the model; use a "
                "model that vLLM supports by itself"
            )
        if flag in _OWN_FLAGS:
            key = _OWN_FLAGS[flag]
            instead = f"set the key {key}" if key else "it is set by mint.serve"
            raise ConfigError(f"vllm_args: {flag} cannot be given here; {instead}")


def check_model(settings: ServerSettings) -> dict[str, Any]:
    """The model's config.json ({} for a hub model). Raises ConfigError for unusable files."""
    if settings.chat_template is not None and not Path(settings.chat_template).is_file():
        raise ConfigError(f"chat_template={settings.chat_template} does not exist")
    folder = model_folder("model", settings.model)
    if folder is None:
        return {}
    if not list(folder.glob("*.safetensors")):
        raise ConfigError(
            f"model={settings.model} holds no *.safetensors; other formats are pickles and are "
            "not read: convert it with transformers' save_pretrained"
        )
    if settings.chat_template is None and not _has_chat_template(folder):
        raise ConfigError(
            f"model={settings.model} has no chat template; give one with chat_template=FILE.jinja"
        )
    config = _read_json(folder / "config.json")
    if isinstance(settings, RewardModelServer):
        _check_one_output(settings.model, config)
    return config


def _check_one_output(model: str, config: dict[str, Any]) -> None:
    names = [str(name) for name in config.get("architectures") or ()]
    if any(name.endswith("ForCausalLM") for name in names):
        raise ConfigError(
            f"model={model} is a language model ({', '.join(names)}), not a reward model; a "
            "reward model is a sequence classifier with one output"
        )
    num_labels = len(config["id2label"]) if "id2label" in config else None
    if num_labels is not None and num_labels != 1:
        raise ConfigError(f"model={model} has {num_labels} outputs; a reward model has one")


def check_adapters(settings: TaggerServer) -> None:
    """One usable adapter a tactic, none of them larger than the slots."""
    folder = Path(settings.adapters).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"adapters={settings.adapters} is not a folder")
    missing = [name for name in TACTIC_NAMES if not (folder / name).is_dir()]
    if missing:
        raise ConfigError(
            f"adapters={settings.adapters} lacks {', '.join(missing)}; it must hold one "
            f"sub-folder a tactic: {', '.join(TACTIC_NAMES)}"
        )
    for name in TACTIC_NAMES:
        own = folder / name
        for file in ("adapter_config.json", "adapter_model.safetensors"):
            if not (own / file).is_file():
                raise ConfigError(f"adapter {own} holds no {file}")
        config = _read_json(own / "adapter_config.json")
        rank = config.get("r")
        if not isinstance(rank, int) or rank < 1:
            raise ConfigError(f"adapter {own}: adapter_config.json gives no rank 'r'")
        if rank > settings.max_lora_rank:
            raise ConfigError(
                f"adapter {own} has rank {rank}, more than max_lora_rank={settings.max_lora_rank}"
            )


def check_cpu_memory(settings: ServerSettings, dtype: str, available_gib: float) -> None:
    """Weights in `dtype`, adapters, KV cache and processes against the free memory.

    GPUs: vLLM's own check.
    """
    weights = _weights_gib(settings.model, dtype)
    if isinstance(settings, TaggerServer):
        weights += _files_gib(Path(settings.adapters).expanduser())
    needed = weights + (settings.kv_cache_gib or CPU_KV_CACHE_GIB) + _PROCESSES_GIB
    if needed > available_gib:
        raise ConfigError(
            f"not enough memory: the {settings.part} needs about {needed:.1f} GiB (weights "
            f"{weights:.1f} in {dtype}), {available_gib:.1f} GiB are available; use a smaller "
            "model, a smaller kv_cache_gib, dtype=bfloat16 where it is not, or free memory"
        )


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    tokenizer = folder / "tokenizer_config.json"
    return tokenizer.is_file() and "chat_template" in _read_json(tokenizer)


def _weights_gib(model: str, dtype: str) -> float:
    """What the weights take when they are loaded, 0 for a hub model that is not here."""
    folder = local_files(model)
    if folder is None:
        return 0.0
    stored = stored_dtype(model)
    growth = DTYPE_BYTES[dtype] / DTYPE_BYTES[stored] if stored in DTYPE_BYTES else 1
    return growth * _files_gib(folder)


def _files_gib(folder: Path) -> float:
    """Size of the files of weights below a folder."""
    files = folder.rglob("*.safetensors") if folder.is_dir() else ()
    return sum(file.stat().st_size for file in files) / GIB


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold a JSON object")
    return content
