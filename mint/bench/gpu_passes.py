"""Timed passes of the trainer's engine, without verl's workers around it."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from mint.machine.limits import GIB
from mint.planning.hardware import gpu_of_machine
from mint.planning.models import ModelShape
from mint.shell.console import say

REPEATS = 2
"""After one to warm up; the best one counts."""


class Work(NamedTuple):
    """What one measurement computes."""

    name: str
    groups: int
    replies: int
    """To each prompt."""
    shared: bool = True
    every: bool = False
    """Score prompts' tokens too, as verl's own forward does."""
    backward: bool = True
    checkpointed: float = 1.0
    """Share of the layers that are computed again for the backward pass."""


@dataclass(frozen=True, kw_only=True)
class PassFigures:
    """One measurement; None where it did not fit into memory or the device has no such figure."""

    name: str
    replies: int
    tokens: int
    """That the model sees."""
    plain_tokens: int
    """Of the whole rows."""
    seconds: float | None = None
    ms_a_reply: float | None = None
    plain_tokens_a_second: float | None = None
    mfu: float | None = None
    """6 (forward: 2) operations for each parameter of the layers and token seen, over the GPU's
    dense bfloat16 peak; computing layers again is not counted as work."""
    peak_gib: float | None = None


class Rows(NamedTuple):
    """Jagged rows on the host; B of them."""

    ids: torch.Tensor
    starts: list[int]
    replies: list[int]


class Engine:
    """Passes of the project's own engine, without verl's workers around it."""

    def __init__(
        self, model: Any, sizes: ModelShape, device: torch.device, prompt: int, reply: int
    ) -> None:
        from mint.verl.shared_engine import scores_by_groups

        scores_by_groups(model)
        self._model, self._sizes, self._device = model, sizes, device
        self._prompt, self._reply = prompt, reply
        self._random = torch.Generator().manual_seed(0)

    def difference(self) -> float:
        """Between both ways, on 2 groups of 4."""
        rows = self._rows(2, 4)
        with torch.no_grad():
            shared, plain = (
                self._passes(rows, Work("", 2, 4, shared=shared))() for shared in (True, False)
            )
        return float((shared - plain).abs().max())

    def timed(self, work: Work) -> PassFigures:
        """Seconds, rates and peak memory; without them where memory does not do."""
        say(f"measuring: {work.name}")
        rows = self._rows(work.groups, work.replies)
        run = self._passes(rows, work)
        seen = run.tokens
        figures = PassFigures(
            name=work.name, replies=len(rows.replies), tokens=seen, plain_tokens=rows.starts[-1]
        )
        self._checkpoint(work.checkpointed)
        on_gpu = self._device.type == "cuda"
        try:
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
            best = min([self._once(run, work.backward) for _ in range(REPEATS + 1)][1:])
        except torch.OutOfMemoryError:
            return figures
        finally:
            self._model.zero_grad(set_to_none=True)
            if on_gpu:
                torch.cuda.empty_cache()
        flop = (6 if work.backward else 2) * self._sizes.body * seen
        peak = _peak_flops() if on_gpu else None
        return replace(
            figures,
            seconds=best,
            ms_a_reply=1000 * best / figures.replies,
            plain_tokens_a_second=figures.plain_tokens / best,
            mfu=flop / best / peak if peak else None,
            peak_gib=torch.cuda.max_memory_allocated() / GIB if on_gpu else None,
        )

    def _once(self, run: _Pass, backward: bool) -> float:
        self._model.zero_grad(set_to_none=True)
        self._wait()
        started = time.perf_counter()
        with torch.set_grad_enabled(backward):
            log_probs = run()
            if backward:
                weight = torch.arange(len(log_probs), device=self._device).sin()
                (log_probs * weight).mean().backward()
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def _checkpoint(self, share: float) -> None:
        self._model.gradient_checkpointing_enable({"use_reentrant": False})
        layers = self._model.model.layers
        for number, layer in enumerate(layers):
            layer.gradient_checkpointing = number < share * len(layers)

    def _rows(self, groups: int, replies: int) -> Rows:
        found = []
        for _ in range(groups):
            prompt = self._tokens(self._prompt)
            found += [torch.cat([prompt, self._tokens(self._reply)]) for _ in range(replies)]
        starts = torch.tensor([0, *map(len, found)]).cumsum(0).tolist()
        return Rows(torch.cat(found), starts, [self._reply] * len(found))

    def _tokens(self, count: int) -> torch.Tensor:
        return torch.randint(self._sizes.vocab, (count,), generator=self._random)

    def _passes(self, rows: Rows, work: Work) -> _Pass:
        make = _shared_pass if work.shared else _row_pass
        return make(self._model, rows, self._device, work.every)


class _Pass(NamedTuple):
    """A forward pass, ready to run: log-probabilities in the rows' order."""

    run: Callable[[], torch.Tensor]
    tokens: int

    def __call__(self) -> torch.Tensor:
        return self.run()


def _shared_pass(model: Any, rows: Rows, device: torch.device, _every: bool) -> _Pass:
    from mint.verl.shared_layout import lay_out, read_rows
    from mint.verl.token_scores import Asked

    bounds = torch.tensor([0, *rows.replies]).cumsum(0).tolist()
    mask = torch.ones(sum(rows.replies))
    layout = lay_out(read_rows(rows.ids, rows.starts, mask, bounds)).to(device)
    ids = rows.ids.to(device)
    asked = Asked(ids[layout.home_R + 1], 1.0, False)

    def run() -> torch.Tensor:
        log_probs: torch.Tensor = model(
            input_ids=ids[layout.source_T][None],
            position_ids=layout.positions_T[None],
            layout=layout,
            asked=asked,
        ).log_probs_R
        return log_probs

    return _Pass(run, len(layout.source_T))


def _row_pass(model: Any, rows: Rows, device: torch.device, every: bool) -> _Pass:
    from mint.verl.token_scores import Asked, score

    lengths = [end - start for start, end in zip(rows.starts, rows.starts[1:], strict=False)]
    positions = torch.cat([torch.arange(length) for length in lengths]).to(device)[None]
    ids = rows.ids.to(device)
    scored = torch.cat(
        [
            torch.arange(end - reply - 1, end - 1)
            for end, reply in zip(rows.starts[1:], rows.replies, strict=True)
        ]
    ).to(device)
    places = torch.arange(len(ids), device=device) if every else scored
    asked = Asked(ids.roll(-1)[places], 1.0, False)

    def run() -> torch.Tensor:
        hidden = model.model(
            input_ids=ids[None], attention_mask=None, position_ids=positions, use_cache=False
        )[0][0]
        log_probs, _ = score(hidden[places], model.lm_head, asked)
        return log_probs[scored] if every else log_probs

    return _Pass(run, len(ids))


@contextmanager
def compiled(model: Any) -> Iterator[bool]:
    """The element-wise parts of the layers as torch compiles them; needs triton."""
    if not torch.cuda.is_available() or importlib.util.find_spec("triton") is None:
        yield False
        return
    parts = [
        part
        for layer in model.model.layers
        for part in (layer.mlp, layer.input_layernorm, layer.post_attention_layernorm)
    ]
    for part in parts:
        part.compile()
    try:
        yield True
    finally:
        for part in parts:
            part._compiled_call_impl = None


@contextmanager
def liger(model: Any) -> Iterator[bool]:
    """Liger's kernels, as `actor_rollout_ref.model.use_liger` has them; they stay."""
    there = torch.cuda.is_available() and importlib.util.find_spec("liger_kernel") is not None
    if there:
        from liger_kernel.transformers.monkey_patch import _apply_liger_kernel_to_instance

        _apply_liger_kernel_to_instance(model=model, fused_linear_cross_entropy=False, swiglu=True)
    yield there


def _peak_flops() -> float | None:
    gpu = gpu_of_machine(torch.cuda.get_device_name(), 0.0)
    return gpu.tflops * 1e12 if gpu else None
