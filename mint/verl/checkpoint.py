"""Checkpoints of a run: find the newest and turn it into a Hugging Face model folder.

Layout (verl 0.9.1): checkpoints/global_step_N/actor/{model_world_size_..., huggingface/}. The
folder `huggingface` always has config and tokenizer, weights only when `hf_model` was saved.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from mint.runlog import RunDir
from mint.supervise import TrainingError, python_module


def newest_checkpoint(run: RunDir) -> Path | None:
    """The checkpoint folder with the highest step, None when nothing was saved."""
    steps = {
        int(match.group(1)): folder
        for folder in run.checkpoints_path.glob("global_step_*")
        if (match := re.fullmatch(r"global_step_(\d+)", folder.name)) and folder.is_dir()
    }
    return steps[max(steps)] if steps else None


def export_model(run: RunDir) -> Path:
    """RUN/model: the newest checkpoint in Hugging Face form. Raises TrainingError."""
    checkpoint = newest_checkpoint(run)
    if checkpoint is None:
        raise TrainingError(f"{run.checkpoints_path} holds no checkpoint; see trainer.save_freq")
    partial = run.path / ".model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    ready = checkpoint / "actor" / "huggingface"
    if any(ready.glob("*.safetensors")):
        shutil.copytree(ready, partial)
    else:
        _merge(checkpoint / "actor", partial)
    shutil.rmtree(run.model_path, ignore_errors=True)
    partial.rename(run.model_path)
    return run.model_path


def _merge(shards: Path, target: Path) -> None:
    command = python_module(
        "verl.model_merger",
        "merge",
        "--backend",
        "fsdp",
        "--local_dir",
        str(shards),
        "--target_dir",
        str(target),
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not any(target.glob("*.safetensors")):
        tail = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise TrainingError(f"merging {shards} failed: {' '.join(tail)}")
