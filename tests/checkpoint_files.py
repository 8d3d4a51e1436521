"""Checkpoints in verl's layout, without weights."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from mint.rundir.directory import RunDir
from mint.verl.checkpoint import TRACKER


def save(run: RunDir, *steps: int, ranks: int = 1) -> None:
    """A complete checkpoint of each step, the last one saved last."""
    for step in steps:
        folder = run.checkpoints_path / f"global_step_{step}"
        ready = folder / "actor" / "huggingface"
        ready.mkdir(parents=True)
        for rank in range(ranks):
            for kind in ("model", "optim", "extra_state"):
                archive(folder / "actor" / f"{kind}_world_size_{ranks}_rank_{rank}.pt")
        save_file({"step": np.array([step])}, ready / "model.safetensors")
        archive(folder / "data.pt")
        (run.checkpoints_path / TRACKER).write_text(str(step))


def saved_step(model: Path) -> int:
    """The step whose checkpoint has become this model folder."""
    return int(load_file(model / "model.safetensors")["step"][0])


def archive(path: Path) -> None:
    """A file in the form that torch.save gives it."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", "x" * 1000)
