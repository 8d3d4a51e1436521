"""What a tuned model is at a step: the trained parameters and the state of AdamW, no pickles.

    RUN/checkpoints/step_N/trained.safetensors    name -> parameter with requires_grad
    RUN/checkpoints/step_N/optimizer.safetensors  name/exp_avg, name/exp_avg_sq, name/step

Folders appear whole or not at all. The random state needs no file: the loop seeds it by the step.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from mint.shell.files import replacing_folder
from rewards.errors import DataError

_TRAINED, _OPTIMIZER = "trained.safetensors", "optimizer.safetensors"


def trained(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Name -> parameter of what is trained."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def checkpoints(folder: Path) -> dict[int, Path]:
    """Step -> folder, ascending."""
    found = {}
    for path in folder.glob("step_*"):
        if match := re.fullmatch(r"step_(\d+)", path.name):
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def save(
    folder: Path, step: int, module: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> Path:
    """Write the checkpoint of a step below `folder` and return its path."""
    path = folder / f"step_{step}"
    parameters = trained(module)
    state = {
        f"{name}/{key}": value.detach().contiguous()
        for name, parameter in parameters.items()
        for key, value in optimizer.state[parameter].items()
        if isinstance(value, torch.Tensor)
    }
    with replacing_folder(path, overwrite=True) as temporary:
        temporary.mkdir()
        save_file(
            {name: p.detach().contiguous() for name, p in parameters.items()}, temporary / _TRAINED
        )
        save_file(state, temporary / _OPTIMIZER)
    return path


def load(
    path: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> None:
    """Take module, and optimiser where one is given, to a checkpoint. Raises DataError for one of
    another module."""
    parameters, saved = trained(module), load_file(path / _TRAINED)
    _check_same(path, parameters, saved)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(saved[name])
    if optimizer is None:
        return
    for key, value in load_file(path / _OPTIMIZER).items():
        name, _, part = key.rpartition("/")
        parameter = parameters[name]
        # The number of steps as well: a fused optimiser keeps it beside the weights.
        optimizer.state[parameter][part] = value.to(parameter.device)


def keep(folder: Path, steps: set[int]) -> None:
    """Delete all checkpoints but those of `steps`."""
    for step, path in checkpoints(folder).items():
        if step not in steps:
            shutil.rmtree(path)


def _check_same(
    path: Path, parameters: dict[str, torch.nn.Parameter], saved: dict[str, torch.Tensor]
) -> None:
    if parameters.keys() != saved.keys():
        odd = sorted(parameters.keys() ^ saved.keys())[0]
        where = "is not in it" if odd in parameters else "is not trained by these settings"
        raise DataError(f"{path}: a checkpoint of another model: {odd} {where}")
    for name, value in saved.items():
        if parameters[name].shape != value.shape:
            raise DataError(
                f"{path}: {name} has the shape {tuple(value.shape)}, the model's is "
                f"{tuple(parameters[name].shape)}"
            )
