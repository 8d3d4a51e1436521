"""Checkpoints of a run: find them, bound their number, make one a Hugging Face model folder.

Layout (verl 0.9.1): checkpoints/global_step_N/{data.pt, actor/{model_world_size_*, huggingface/}},
and beside these folders a file with the step that was saved last. The folder `huggingface` always
has config and tokenizer, weights only when `hf_model` was saved.
"""

from __future__ import annotations

import itertools
import math
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mint.rundir.directory import RunDir
from mint.shell.files import open_as_usual, write_text_atomic
from mint.shell.processes import TrainingError, python_module
from rewards.errors import ConfigError

TRACKER = "latest_checkpointed_iteration.txt"
"""verl's file that says which step was saved last."""
_PART = re.compile(r"(\w+)_world_size_(\d+)_rank_(\d+)\.pt")
_GOING = ".going_"
"""Begins the name of a checkpoint that is being deleted."""


def checkpoints(run: RunDir) -> dict[int, Path]:
    """Step -> folder of every complete checkpoint, ascending.

    verl writes data.pt last and then the step into its tracker file, so a folder without the one,
    or of a later step than the other, was never finished.
    """
    tracked = _tracked_step(run)
    steps = {step: path for step, path in _folders(run).items() if step <= tracked}
    return {step: steps[step] for step in sorted(steps) if _is_whole(steps[step])}


def newest_checkpoint(run: RunDir) -> Path | None:
    """The complete checkpoint with the highest step, None when there is none."""
    steps = checkpoints(run)
    return steps[max(steps)] if steps else None


def prepare_resume(run: RunDir) -> tuple[int, list[str]]:
    """Leave only complete checkpoints, with verl's tracker file at the newest; returns the step to
    go on from and the names of the folders deleted.

    Raises ConfigError, and deletes nothing, as `resumable_step` does.
    """
    step = resumable_step(run)
    whole = checkpoints(run)
    half = [path for path in _folders(run).values() if path not in whole.values()]
    for path in [*half, *run.checkpoints_path.glob(f"{_GOING}*")]:
        shutil.rmtree(path)
    if step:
        write_text_atomic(run.checkpoints_path / TRACKER, str(step))
    return step, sorted(path.name for path in half)


def resumable_step(run: RunDir) -> int:
    """The step of the newest complete checkpoint, 0 when the first was never finished.

    Raises ConfigError when checkpoints were saved and all of them are damaged or gone: to begin
    again would drop what is recorded of their steps.
    """
    whole = checkpoints(run)
    if whole:
        return max(whole)
    if _tracked_step(run) < 0:
        return 0
    half = ", ".join(path.name for path in _folders(run).values())
    there = f" ({half}: damaged)" if half else ""
    raise ConfigError(
        f"{run.path} has no complete checkpoint to resume from{there}, though it has saved some; "
        "put them back, or start a new run in another folder"
    )


def check_ranks(checkpoint: Path, ranks: int) -> None:
    """Raise ConfigError unless the checkpoint was written by so many ranks: verl cannot split or
    join the parts."""
    found = {
        int(match.group(2)) for path in _parts(checkpoint) if (match := _PART.match(path.name))
    }
    if found and found != {ranks}:
        raise ConfigError(
            f"{checkpoint} was written by {min(found)} ranks, and verl can load it on as many "
            f"only; trainer.n_gpus_per_node x trainer.nnodes is {ranks}"
        )


def prune_checkpoints(run: RunDir, newest: int | None, best: int | None) -> list[int]:
    """Delete all but the `newest` so many checkpoints and that of step `best`; returns the steps
    deleted. None keeps all, as in verl's max_actor_ckpt_to_keep."""
    if newest is None:
        return []
    steps = checkpoints(run)
    kept = {*list(steps)[-max(1, newest) :], best}
    gone = [step for step in steps if step not in kept]
    for step in gone:
        # Under another name first: killed half-way, no half of it passes for a checkpoint.
        going = steps[step].rename(run.checkpoints_path / f"{_GOING}{step}")
        shutil.rmtree(going, ignore_errors=True)
    return gone


def _folders(run: RunDir) -> dict[int, Path]:
    """Step -> folder of everything that has a checkpoint's name, complete or not, ascending."""
    found = {
        int(match.group(1)): folder
        for folder in run.checkpoints_path.glob("global_step_*")
        if (match := re.fullmatch(r"global_step_(\d+)", folder.name)) and folder.is_dir()
    }
    return dict(sorted(found.items()))


def _tracked_step(run: RunDir) -> float:
    """The step in verl's tracker file, -1 when there is no file.

    An empty file is one whose writer was killed: data.pt was complete by then.
    """
    path = run.checkpoints_path / TRACKER
    text = path.read_text().strip() if path.exists() else "-1"
    return int(text) if re.fullmatch(r"-?\d+", text) else math.inf


def _parts(checkpoint: Path) -> list[Path]:
    return sorted((checkpoint / "actor").glob("*.pt"))


def _is_whole(checkpoint: Path) -> bool:
    """Whether every file is there, of every rank, and none is cut off."""
    parts = _parts(checkpoint)
    ranks: dict[tuple[str, str], set[int]] = {}
    for path in parts:
        if match := _PART.match(path.name):
            kind, size, rank = match.groups()
            ranks.setdefault((kind, size), set()).add(int(rank))
    weights = list((checkpoint / "actor").rglob("*.safetensors"))
    return (
        bool(ranks or weights)
        and all(found == set(range(int(size))) for (_, size), found in ranks.items())
        # torch.save writes a zip archive, whose directory stands at the end of the file.
        and all(zipfile.is_zipfile(path) for path in (checkpoint / "data.pt", *parts))
        and all(_is_safe(path) for path in weights)
    )


def _is_safe(weights: Path) -> bool:
    try:
        with safe_open(weights, framework="numpy"):
            return True
    except SafetensorError:
        return False


def export_model(run: RunDir, step: int | None = None) -> Path:
    """RUN/model: the checkpoint of `step`, the newest by default, in Hugging Face form.

    Raises TrainingError when there is none.
    """
    found = checkpoints(run)
    if not found:
        raise TrainingError(
            f"{run.checkpoints_path} holds no complete checkpoint; see trainer.save_freq"
        )
    if step is not None and step not in found:
        raise TrainingError(f"{run.checkpoints_path} holds no checkpoint of step {step}")
    checkpoint = found[max(found) if step is None else step]
    partial = run.path / ".model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    ready = checkpoint / "actor" / "huggingface"
    if any(ready.glob("*.safetensors")):
        shutil.copytree(ready, partial)
    else:
        # Imported here: it takes torch, which a start would wait for.
        from mint.policy.adapters import merge_adapter

        _merge(checkpoint / "actor", partial)
        merge_adapter(partial)
    open_as_usual(partial)
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
