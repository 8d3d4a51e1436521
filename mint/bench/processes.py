"""Processor seconds that each kind of process of a run takes a step."""

from __future__ import annotations

import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress

import psutil

VLLM = "vLLM"
_KINDS = (
    (re.compile(r"VLLM::|vLLMHttpServer|vllm", re.IGNORECASE), VLLM),
    (re.compile(r"WorkerDict|FSDP|Critic"), "trainer"),
    (re.compile(r"RewardLoop"), "graders"),
    (re.compile(r"AgentLoop"), "agent loop"),
    (re.compile(r"MintTaskRunner"), "task runner"),
    (re.compile(r"SimpleStorage|TransferQueue"), "TransferQueue"),
    (re.compile(r"raylet|gcs_server|ray::|ray[/_]"), "Ray"),
)
"""What a process's title says -> its kind; the first that fits counts."""
_PAUSE_S = 0.2


def kind_of(title: str) -> str:
    """The kind of process that has this command line (Ray and vLLM set titles of their own)."""
    return next((kind for pattern, kind in _KINDS if pattern.search(title)), "other")


class ProcessorTime:
    """Reads the processor time of this process's descendants while a run goes on.

    `steps_done` tells how many steps are over; with every new one the times are kept.
    """

    def __init__(self, steps_done: Callable[[], int]) -> None:
        self._steps_done = steps_done
        self._seconds: dict[tuple[int, float], tuple[str, float]] = {}
        self._at_step: dict[int, Mapping[str, float]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProcessorTime:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def a_step(self, after: int = 1) -> dict[str, float]:
        """Kind of process -> seconds a step, on average over the steps behind step `after`; empty
        when no such step was seen."""
        seen = sorted(step for step in self._at_step if step >= after)
        if len(seen) < 2:
            return {}
        first, last = self._at_step[seen[0]], self._at_step[seen[-1]]
        number = seen[-1] - seen[0]
        return {kind: (last[kind] - first.get(kind, 0.0)) / number for kind in sorted(last)}

    def _watch(self) -> None:
        while not self._over.wait(_PAUSE_S):
            self._read()
            step = self._steps_done()
            if step and step not in self._at_step:
                self._at_step[step] = self._by_kind()

    def _read(self) -> None:
        with suppress(psutil.Error):
            for process in psutil.Process(os.getpid()).children(recursive=True):
                with suppress(psutil.Error), process.oneshot():
                    times = process.cpu_times()
                    kind = kind_of(" ".join(process.cmdline()) or process.name())
                    key = (process.pid, process.create_time())
                    self._seconds[key] = (kind, times.user + times.system)

    def _by_kind(self) -> Mapping[str, float]:
        total: dict[str, float] = defaultdict(float)
        for kind, seconds in self._seconds.values():
            total[kind] += seconds
        return total
