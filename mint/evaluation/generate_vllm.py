"""Replies of a model to chat prompts, with vLLM: all GPUs, no padding, replies as they end.

Each reply has a seed of its own by (seed, key of the prompt, sample number), as with transformers:
before and after training draw alike. Unlike there, the other replies of a batch may move the last
digits of its numbers.
"""

from __future__ import annotations

import gc
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig
from transformers import GenerationConfig as ModelGenerationConfig

from mint.config.evaluation import GenerationConfig
from mint.evaluation.generation import Generation, Prompt
from mint.evaluation.generator import Generator, cannot_load, eos_ids
from mint.machine.limits import usable_cores
from mint.policy.vllm_switches import CPU_CHUNKED_PREFILL, CPU_KV_CACHE_GIB, vllm_switches
from rewards.errors import ConfigError

_GPU_SHARE = 0.85
"""Of a GPU's memory: the other 15 % are for its own context and the graphs it records."""


class VllmGenerator(Generator):
    """A policy loaded by vLLM."""

    def __init__(self, model_path: str | Path, settings: GenerationConfig, models: int = 1) -> None:
        """`models`: how many share the GPUs. Raises ConfigError when the model cannot be loaded or
        vLLM does not start."""
        super().__init__(model_path, settings)
        on_gpu = torch.cuda.is_available()
        try:
            own = ModelGenerationConfig.from_pretrained(model_path)
        except OSError:
            own = ModelGenerationConfig()
        self.eos_ids = eos_ids(own, self.tokenizer)
        try:
            config = AutoConfig.from_pretrained(model_path)
            with _switched(str(model_path), on_gpu):
                # Imported here: vLLM takes ten seconds and reads its switches.
                from vllm import LLM

                gpus = num_gpus(config, torch.cuda.device_count()) if on_gpu else 1
                self._llm: Any = LLM(
                    model=str(model_path),
                    dtype="bfloat16" if on_gpu else "float32",
                    # The longest context of the model that fits.
                    max_model_len=-1 if on_gpu else None,
                    gpu_memory_utilization=_GPU_SHARE / models,
                    tensor_parallel_size=gpus,
                    enforce_eager=not on_gpu,
                    enable_prefix_caching=True,
                    enable_chunked_prefill=None if on_gpu else CPU_CHUNKED_PREFILL,
                    generation_config="vllm",
                    load_format="safetensors",
                    seed=settings.seed,
                )
                self.context = int(self._llm.llm_engine.model_config.max_model_len)
        except (OSError, ValueError) as error:
            raise cannot_load(model_path, error) from error
        except RuntimeError as error:
            raise ConfigError(
                f"vLLM does not start: {str(error).splitlines()[0]}; engine=transformers "
                "(mint.evaluation.engine in a run) generates without it"
            ) from error

    def close(self) -> None:
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
        self._llm = None
        gc.collect()

    def batches(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[int, list[Generation]]]]:
        samples = self.settings.samples_per_prompt
        texts = [self.render(prompt) for prompt in prompts]
        encoded = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        engine = self._llm.llm_engine
        for index, (prompt, ids) in enumerate(zip(prompts, encoded, strict=True)):
            self._refuse_long(prompt.key, ids)
            for sample in range(samples):
                engine.add_request(
                    f"{index}/{sample}",
                    {"prompt_token_ids": ids},
                    self._sampling(prompt.key, sample),
                )
        done: dict[int, dict[int, Generation]] = {}
        while engine.has_unfinished_requests():
            ready = []
            for output in engine.step():
                if not output.finished:
                    continue
                index, sample = map(int, output.request_id.split("/"))
                own = done.setdefault(index, {})
                own[sample] = self.decode(texts[index], list(output.outputs[0].token_ids))
                if len(own) == samples:
                    ready.append((index, [own[sample] for sample in range(samples)]))
            if ready:
                yield ready

    def tokens(self, ids: list[int], key: str) -> Iterator[list[int]]:
        self._refuse_long(key, ids)
        engine = self._llm.llm_engine
        name = f"stream/{key}"
        engine.add_request(name, {"prompt_token_ids": ids}, self._sampling(key, 0))
        try:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    yield list(output.outputs[0].token_ids)
        finally:
            engine.abort_request([name])

    def _refuse_long(self, key: str, ids: Sequence[int]) -> None:
        if len(ids) >= self.context:
            raise ConfigError(
                f"the prompt {key} has {len(ids)} tokens, and the model reads at most "
                f"{self.context} with the memory there is"
            )

    def _sampling(self, key: str, sample: int) -> Any:
        from vllm import SamplingParams

        settings = self.settings
        return SamplingParams(
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_new_tokens,
            seed=zlib.crc32(f"{settings.seed}/{key}/{sample}".encode()) & 0x7FFFFFFF,
            stop_token_ids=list(self.eos_ids),
            detokenize=False,
        )


@contextmanager
def _switched(model: str, on_gpu: bool) -> Iterator[None]:
    """vLLM's switches in the environment while it starts, where the user has not set them: its
    processes inherit them, later ones of other models do not."""
    # A line for each part of the start would bury what the evaluation says.
    switches = {"VLLM_LOGGING_LEVEL": "WARNING"}
    switches |= vllm_switches(model, None if on_gpu else usable_cores())
    if not on_gpu:
        switches["VLLM_CPU_KVCACHE_SPACE"] = f"{CPU_KV_CACHE_GIB:g}"
    added = {name: value for name, value in switches.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def num_gpus(config: Any, there: int) -> int:
    """How many of the GPUs `there` share the model: the most that its heads divide among."""
    heads = int(config.num_attention_heads)
    groups = int(getattr(config, "num_key_value_heads", None) or heads)
    return max(n for n in range(1, max(1, there) + 1) if heads % n == 0 and groups % n == 0)
