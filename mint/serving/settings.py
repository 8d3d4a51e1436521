"""What can be set about the server of a grader or a seeker: one dataclass a part."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from mint.config.rules import PART, Rule, at_least, check, one_of
from mint.web.listen import is_loopback
from rewards.errors import ConfigError

LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Sizes of adapter slots that vLLM knows."""
_DTYPES = ("auto", "bfloat16", "float16", "float32")


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """A vLLM server."""

    part: ClassVar[str]
    """Name of the part on the command line."""
    used_by: ClassVar[str]
    """Group of a run's settings that uses it: mint.tagger, mint.judge or mint.seeker."""
    kind: ClassVar[str]
    """Value of that group's `kind` that uses it."""

    model: str
    """Folder with a model in Hugging Face format (safetensors), or a hub name."""
    name: str = ""
    """Name that clients ask for; the last part of `model` unless set."""
    host: str = "127.0.0.1"
    """Address to listen on; anything but this machine's own loopback needs token_file."""
    port: int = 0
    """Port to listen on; 0 takes any free one."""
    token_file: str | None = None
    """File whose first line every request must carry as bearer token."""
    max_model_len: int = 8192
    """Longest prompt and answer together, in tokens; lowered to the model's own limit."""
    dtype: str = "auto"
    """Precision of the weights: bfloat16, float16, float32, or auto: the model's own on a GPU; on a
    CPU bfloat16 where the processor computes in it, else float32."""
    memory_share: float = 0.9
    """GPU: share of its memory to take, in (0, 1]."""
    kv_cache_gib: float | None = None
    """KV cache in GiB; null: 1 on a CPU, what memory_share leaves on a GPU."""
    threads: int | None = None
    """CPU: threads to compute with; null: every core this process may use."""
    chat_template: str | None = None
    """Jinja file to use instead of the model's own chat template."""
    vllm_args: list[str] = field(default_factory=list)
    """Further arguments of `vllm serve`, e.g. [--max-num-seqs=64]."""
    restarts: int = 3
    """How often a server that had been healthy is started again after it died."""
    backoff_s: float = 2.0
    """Wait before the first restart, seconds; doubles each time."""
    start_timeout_s: float = 900.0
    """A server that is not healthy after this many seconds is given up."""
    hang_timeout_s: float = 120.0
    """A server that does not answer /health for this many seconds counts as dead."""
    log: str = ""
    """File for vLLM's output; outputs/serve/<part>.log unless set."""
    ready_file: str | None = None
    """JSON file with url, pid, names and more that is there while the server is healthy."""

    @property
    def served_name(self) -> str:
        """Model name that clients use."""
        return self.name or Path(self.model).expanduser().name

    @property
    def log_path(self) -> Path:
        """Where vLLM's output goes."""
        return Path(self.log or f"outputs/serve/{self.part}.log")

    def __post_init__(self) -> None:
        finite = Rule("> 0", lambda value: value is None or 0 < value < math.inf)
        rules = {
            "port": Rule("in 0..65535", lambda port: 0 <= port <= 65535),
            "dtype": Rule("auto, bfloat16, float16 or float32", _DTYPES.__contains__),
            "memory_share": PART,
            "restarts": at_least(0),
            **dict.fromkeys(("max_model_len", "kv_cache_gib", "threads", "backoff_s"), finite),
            **dict.fromkeys(("start_timeout_s", "hang_timeout_s"), finite),
        }
        check(self, rules)
        if not is_loopback(self.host) and self.token_file is None:
            raise ConfigError(
                f"host={self.host} can be reached from other machines, so the server needs "
                "token_file=FILE (first line: the token), or keep host=127.0.0.1"
            )


@dataclass(frozen=True, kw_only=True)
class TaggerServer(ServerSettings):
    """Serves a tactic tagger: a base model with ten LoRA adapters, one a tactic.

    Each adapter is asked for by the name of its tactic, on /v1/chat/completions.
    """

    part = "tagger"
    used_by = "mint.tagger"
    kind = "served_lora"

    adapters: str
    """Folder with one sub-folder a tactic, named like it, in PEFT's format (safetensors)."""
    max_lora_rank: int = 64
    """Size of the adapter slots; at least the largest rank among the adapters."""
    port: int = 8100

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, {"max_lora_rank": one_of(*LORA_RANKS)})


@dataclass(frozen=True, kw_only=True)
class JudgeServer(ServerSettings):
    """Serves an empathy judge: any chat model, on /v1/chat/completions."""

    part = "judge"
    used_by = "mint.judge"
    kind = "served"

    port: int = 8101


@dataclass(frozen=True, kw_only=True)
class RewardModelServer(ServerSettings):
    """Serves a scalar reward model: a sequence classifier with one output, on /classify.

    The server is told to leave the output as it is (no sigmoid), so `probs` holds the raw logit.
    """

    part = kind = "reward_model"
    used_by = "mint.judge"

    port: int = 8102


@dataclass(frozen=True, kw_only=True)
class SeekerServer(ServerSettings):
    """Serves the model that plays the person in dialogues: any chat model, on /v1/chat/completions.

    The run asks for structured output, two calls a turn (docs/seekers.md).
    """

    part = "seeker"
    used_by = "mint.seeker"
    kind = "served"

    port: int = 8103


PARTS: dict[str, type[ServerSettings]] = {
    settings.part: settings
    for settings in (TaggerServer, JudgeServer, RewardModelServer, SeekerServer)
}
