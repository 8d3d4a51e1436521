"""Several models, evaluated one after the other for one page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mint.evaluation.options import PROTOCOLS, SUBJECTS, EvaluateSettings
from mint.evaluation.sources.local import LocalModel
from mint.evaluation.subjects import NEEDS_OUTPUT
from mint.rundir.directory import RunDir
from rewards.errors import ConfigError


def compared(settings: EvaluateSettings) -> list[EvaluateSettings]:
    """Settings of each model of `compare`, with its folder below `output`.

    Raises ConfigError for a name or model that cannot be used, before any is asked.
    """
    given = [name for name in SUBJECTS if getattr(settings, name) is not None]
    if given:
        raise ConfigError(f"compare names the models: leave {given[0]}= out")
    if settings.output is None:
        raise ConfigError(NEEDS_OUTPUT)
    found: dict[str, str] = {}
    for one in settings.compare:
        name, colon, model = one.partition(":")
        if not colon or not model or not name or "/" in name or name in found:
            raise ConfigError(
                f"compare needs different NAME:MODEL, such as base:outputs/smol-policy; got {one!r}"
            )
        found[name] = model_of(Path(model).expanduser(), model)
        LocalModel(found[name], settings.batch_size, settings.engine)
    if len(found) < 2:
        raise ConfigError(f"compare needs two models at least, got {len(found)}")
    made = [
        replace(settings, compare=[], model=model, output=str(Path(settings.output) / name))
        for name, model in found.items()
    ]
    if not set(made[0].protocols) & set(PROTOCOLS):
        raise ConfigError(
            f"compare draws a page of {', '.join(PROTOCOLS)}; protocol={settings.protocol} has "
            "none of them"
        )
    return made


def model_of(path: Path, model: str) -> str:
    """A run's own model; any other as it is."""
    run = RunDir(path)
    if not run.manifest_path.is_file():
        return model
    if not run.model_path.is_dir():
        raise ConfigError(f"{path} has no model yet: its training has not ended")
    return str(run.model_path)
