"""Checkpoints of a run: find them, bound their number, make one a Hugging Face model folder.

Layout (verl 0.9.1): checkpoints/global_step_N/actor/{model_world_size_..., huggingface/}. The
folder `huggingface` always has config and tokenizer, weights only when `hf_model` was saved.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

from mint.policy.adapters import merge_adapter
from mint.rundir.directory import RunDir
from mint.shell.processes import TrainingError, python_module


def checkpoints(run: RunDir) -> dict[int, Path]:
    """Step -> folder of every checkpoint, ascending."""
    steps = {
        int(match.group(1)): folder
        for folder in run.checkpoints_path.glob("global_step_*")
        if (match := re.fullmatch(r"global_step_(\d+)", folder.name)) and folder.is_dir()
    }
    return dict(sorted(steps.items()))


def newest_checkpoint(run: RunDir) -> Path | None:
    """The checkpoint folder with the highest step, None when nothing was saved."""
    steps = checkpoints(run)
    return steps[max(steps)] if steps else None


def prune_checkpoints(run: RunDir, newest: int | None, best: int | None) -> list[int]:
    """Delete all but the `newest` so many checkpoints and that of step `best`; returns the steps
    deleted. None keeps all, as in verl's max_actor_ckpt_to_keep."""
    if newest is None:
        return []
    steps = checkpoints(run)
    kept = {*list(steps)[-max(1, newest) :], best}
    gone = [step for step in steps if step not in kept]
    for step in gone:
        shutil.rmtree(steps[step], ignore_errors=True)
    return gone


def export_model(run: RunDir, step: int | None = None) -> Path:
    """RUN/model: the checkpoint of `step`, the newest by default, in Hugging Face form.

    Raises TrainingError when there is none.
    """
    found = checkpoints(run)
    if not found:
        raise TrainingError(f"{run.checkpoints_path} holds no checkpoint; see trainer.save_freq")
    if step is not None and step not in found:
        raise TrainingError(f"{run.checkpoints_path} holds no checkpoint of step {step}")
    checkpoint = found[max(found) if step is None else step]
    partial = run.path / ".model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    ready = checkpoint / "actor" / "huggingface"
    if any(ready.glob("*.safetensors")):
        shutil.copytree(ready, partial)
    else:
        _merge(checkpoint / "actor", partial)
        merge_adapter(partial)
    shutil.rmtree(run.model_path, ignore_errors=True)
    partial.rename(run.model_path)
    return run.model_path


def _merge(shards: Path, target: Path) -> None:
    given = {"--backend": "fsdp", "--local_dir": str(shards), "--target_dir": str(target)}
    command = python_module("verl.model_merger", "merge", *itertools.chain(*given.items()))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not any(target.glob("*.safetensors")):
        tail = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise TrainingError(f"merging {shards} failed: {' '.join(tail)}")
