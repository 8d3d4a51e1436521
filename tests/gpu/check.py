"""Does training work on this GPU? `python tests/gpu/check.py [--shape 0.6b] [--limit-s 480]`.

Writes a Qwen3 of that shape with random weights, trains it for two validated steps with the real
stack, saves, resumes for a third, and looks at every figure. With the time that is left the same
for two steps of the 4B shape. Prints step split, tokens a second, MFU and peak memory. Exit status
0 when all is well or there is no GPU (it says so), 1 when something is wrong. `--device cpu`
rehearses it with a tiny shape. Everything is written to a temporary folder, which is kept when
something is wrong.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from figures import problems, report
from random_policy import SHAPES, build_policy

from mint.data.synthetic import build_demo_data
from mint.rundir.directory import RunDir
from mint.verl.checkpoint import checkpoints

LARGE = "4b"
_GIB = 1024**3
_COMMON = (
    *("mint.data.source=prepared", "mint.data.compact=true", "mint.run.evaluate=false"),
    *("mint.validation.every_steps=1", "mint.validation.max_conversations=4"),
    *("mint.validation.probes_per_category=1", "trainer.save_freq=2"),
    "trainer.max_actor_ckpt_to_keep=1",
)
_ON = {
    "cuda": (
        *("+recipe=mint_4b", "data.train_batch_size=8", "data.max_prompt_length=1024"),
        # A quick start: no filtering of prompts, no CUDA graphs.
        *("data.max_response_length=256", "data.filter_overlong_prompts=false"),
        *("actor_rollout_ref.rollout.enforce_eager=true", "trainer.total_epochs=100"),
        "transfer_queue.backend.SimpleStorage.num_data_storage_units=2",
    ),
    "cpu": (
        *("+recipe=mint_tiny", "mint.policy.build=none", "data.train_batch_size=4"),
        *("actor_rollout_ref.rollout.n=4", "data.max_response_length=40"),
    ),
}


class Wrong(Exception):
    """Something is wrong, in words."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--limit-s", type=float, default=480.0, help="seconds for everything")
    asked = parser.parse_args(argv)
    gpu = device_name(asked.device)
    if gpu is None:
        print("skipped: torch sees no CUDA device here; the check needs one GPU")
        return 0
    shape = asked.shape or ("tiny" if asked.device == "cpu" else "0.6b")
    end = time.monotonic() + asked.limit_s
    folder = Path(tempfile.mkdtemp(prefix="mint-gpu-check-"))
    try:
        build_demo_data(folder / "data", 60, 0)
        began = time.monotonic()
        check(folder, shape, asked.device, gpu, end, resume=True)
        took = time.monotonic() - began
        if asked.device == "cuda" and shape != LARGE and end - time.monotonic() > took:
            check(folder, LARGE, asked.device, gpu, end, resume=False)
        elif asked.device == "cuda" and shape != LARGE:
            print(f"{LARGE} left out: {end - time.monotonic():.0f} s are left, {took:.0f} needed")
    except Wrong as error:
        print(f"error: {error}\nkept: {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print("all is well")
    return 0


def device_name(device: str) -> str | None:
    """Name of the device to check; None when it is not there."""
    import torch

    if device == "cpu":
        return "a CPU"
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def check(folder: Path, shape: str, device: str, gpu: str, end: float, *, resume: bool) -> None:
    """Two steps, and a third after resuming; prints the figures. Raises Wrong."""
    model, run = folder / shape, RunDir(folder / f"run-{shape}")
    parameters = build_policy(model, shape, device)
    overrides = [
        *(*_ON[device], *_COMMON, f"mint.data.dir={folder / 'data'}"),
        *(f"actor_rollout_ref.model.path={model}", f"mint.run.dir={run.path}"),
    ]
    planned = planned_gib(overrides) if device == "cuda" else None
    with peak_memory(device) as peak:
        train([*overrides, "trainer.total_training_steps=2"], end)
        rows = run.read_metrics()
        found = problems(rows, 2, peak.gib, planned)
        if 2 not in checkpoints(run):
            found.append(f"there is no checkpoint of step 2 in {run.checkpoints_path}")
        if resume and not found:
            train([*overrides, "trainer.total_training_steps=3", "mint.run.resume=true"], end)
            rows = run.read_metrics()
            found = problems(rows, 3, peak.gib, planned)
    facts = {"peak_gib": peak.gib, "planned_gib": planned, "gpu": gpu, "parameters": parameters}
    if rows:
        print("\n".join(report(rows, shape=shape, **facts)), flush=True)
    if found:
        raise Wrong("; ".join(found))


def train(overrides: list[str], end: float) -> None:
    """`mint.train` within the time that is left. Raises Wrong when it fails or takes longer."""
    left = end - time.monotonic()
    if left <= 0:
        raise Wrong("the time is over; see --limit-s")
    process = subprocess.Popen([sys.executable, "-m", "mint.train", *overrides])
    try:
        status = process.wait(timeout=left)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
        raise Wrong(f"mint.train was not done within {left:.0f} s; see --limit-s") from None
    if status:
        raise Wrong(f"mint.train ended with status {status}")


def planned_gib(overrides: list[str]) -> float | None:
    """The fullest moment of the GPU that mint.plan expects, GiB. Raises Wrong when it refuses."""
    command = [sys.executable, "-m", "mint.plan", *overrides, "json=true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(f"mint.plan: {done.stderr.strip() or done.returncode}")
    peak = json.loads(done.stdout)["gpu_memory_peak_gib"]
    return None if peak is None else float(peak)


class Peak:
    """Most memory in use on the first GPU, GiB; None without one."""

    gib: float | None = None


@contextmanager
def peak_memory(device: str) -> Iterator[Peak]:
    """Watches the GPU five times a second while inside."""
    peak, over = Peak(), threading.Event()
    if device == "cpu":
        yield peak
        return
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)

    def watch() -> None:
        while not over.wait(0.2):
            used = pynvml.nvmlDeviceGetMemoryInfo(handle).used / _GIB
            peak.gib = max(peak.gib or 0.0, used)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


if __name__ == "__main__":
    sys.exit(main())
