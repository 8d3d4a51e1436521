"""The jobs of a sweep: what differs between them, what they are called, where they run."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from mint.config import compose, recipes
from mint.config.changes import RESUME, RUN_DIR
from mint.config.invocation import recipe_of
from mint.reporting.comparison.labels import is_seed, short_keys
from rewards.errors import ConfigError

RECIPE = "recipe"
_LONGEST = 80
"""Characters of a folder's name."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a sweep."""

    name: str
    """Of its folder: what differs, such as kl-0.5_seed-1."""
    label: str
    """The same for people: kl 0.5, seed 1."""
    setting: str
    """The label without seeds: jobs of one setting differ in the seed alone."""
    choices: Mapping[str, str]
    """Swept key -> its value here, as typed."""
    overrides: tuple[str, ...]
    """Of mint.train, without run directory."""
    folder: Path
    """Its run directory."""
    config: DictConfig
    """Composed, with run directory."""
    trial: int | None = None
    """Number of the search's trial."""

    @property
    def digest(self) -> str:
        """Of all settings but those of the run directory: changes when a recipe does."""
        plain = OmegaConf.to_container(self.config, resolve=False)
        assert isinstance(plain, dict)
        plain["mint"]["run"] = {**plain["mint"]["run"], "dir": "", "resume": False}
        return hashlib.sha256(OmegaConf.to_yaml(plain, sort_keys=True).encode()).hexdigest()


class Grid:
    """The combinations of all comma-separated values of a command line.

    Raises ConfigError for what is no override, and for keys that a sweep sets itself.
    """

    def __init__(self, overrides: Sequence[str]) -> None:
        self.parsed = compose.parse_overrides(overrides)
        self.swept = [one for one in self.parsed if one.is_sweep_override()]
        self.fixed = [str(one.input_line) for one in self.parsed if not one.is_sweep_override()]
        self.keys = [key_of(one) for one in self.swept]
        for one in self.parsed:
            if key_of(one) == RESUME:
                raise ConfigError(
                    f"{RESUME} cannot be set for a sweep: a sweep that is started again goes on "
                    "by itself"
                )
        if twice := [key for key, n in Counter(self.keys).items() if n > 1]:
            raise ConfigError(f"{twice[0]} is swept twice")

    def jobs(self, place: Path) -> list[Job]:
        """All jobs, composed and checked, with folders below `place`. Raises ConfigError."""
        lines = list(compose.expand_sweep([str(one.input_line) for one in self.parsed]))
        choices = [
            {
                key_of(one): value.split("=", 1)[1]
                for one, value in zip(self.parsed, line, strict=True)
                if one.is_sweep_override()
            }
            for line in lines
        ]
        if len({tuple(one.items()) for one in choices}) < len(choices):
            raise ConfigError("the same value is listed twice, so two jobs would be the same run")
        return compose_jobs(lines, choices, place)


def key_of(override: Override) -> str:
    """The key without plus or tilde."""
    return str(override.key_or_group)


def compose_jobs(
    lines: Sequence[Sequence[str]],
    choices: Sequence[Mapping[str, str]],
    place: Path,
    trials: Sequence[int] | None = None,
) -> list[Job]:
    """Jobs of command lines. Raises ConfigError for the first line that cannot be composed, and
    for run directories that collide."""
    found = recipes.find_recipes()
    for line in lines:
        recipes.check_name(recipe_of(line), found)
    recipes.register(found)
    configs = compose.compose_configs(lines)
    short = short_keys(choices[0]) if choices else {}
    names = list(_unique(folder_name(one, short) for one in choices))
    labels = [label(one, short) for one in choices]
    if trials is not None:
        # A search may propose the same settings twice.
        names = [f"trial-{n:04d}_{name}" for n, name in zip(trials, names, strict=True)]
        labels = [f"{own} (trial {n})" for n, own in zip(trials, labels, strict=True)]
    folders = _folders(configs, names, place)
    for line, folder, config in zip(lines, folders, configs, strict=True):
        compose.finalise(config, recipe=str(recipe_of(line)), run_dir=str(folder))
    return [
        Job(
            name=name,
            label=labels[i] or str(recipe_of(line)),
            setting=label({k: v for k, v in one.items() if not is_seed(k)}, short)
            or str(recipe_of(line)),
            choices=one,
            overrides=tuple(o for o in line if not o.startswith(f"{RUN_DIR}=")),
            folder=folder,
            config=config,
            trial=None if trials is None else trials[i],
        )
        for i, (name, one, line, folder, config) in enumerate(
            zip(names, choices, lines, folders, configs, strict=True)
        )
    ]


def label(choices: Mapping[str, str], short: Mapping[str, str]) -> str:
    """ "kl 0.5, seed 1"; a recipe is named without its key."""
    return ", ".join(v if k == RECIPE else f"{short[k]} {v}" for k, v in choices.items())


def folder_name(choices: Mapping[str, str], short: Mapping[str, str]) -> str:
    """ "kl-0.5_seed-1": without what shells, Hydra or file systems read in their own way."""
    said = (v if k == RECIPE else f"{short[k]}-{v}" for k, v in choices.items())
    plain = "_".join(re.sub(r"[^A-Za-z0-9.+_-]+", "-", part).strip("-._") for part in said)
    if len(plain) > _LONGEST:
        plain = f"{plain[: _LONGEST - 9]}_{short_hash(plain)}"
    return plain or "run"


def short_hash(text: str) -> str:
    """Eight hexadecimal digits of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _unique(names: Iterator[str]) -> Iterator[str]:
    """The names, those that were there before with a number."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name.lower()] += 1
        yield name if seen[name.lower()] == 1 else f"{name}_{seen[name.lower()]}"


def _folders(configs: Sequence[DictConfig], names: Sequence[str], place: Path) -> list[Path]:
    """Below `place`, or where each job's own mint.run.dir says. ConfigError when two share one."""
    given = [str(config.mint.run.dir or "") for config in configs]
    if not any(given):
        return [(place / name).resolve() for name in names]
    own = [Path(one).expanduser().resolve() for one in given]
    twice = [path for path, n in Counter(own).items() if n > 1]
    if twice or not all(given):
        number = len(configs) if not twice else Counter(own)[twice[0]]
        raise ConfigError(
            f"{RUN_DIR}={given[0]} would be the folder of {number} runs; name the sweep's folder "
            f"with --dir {given[0]}, which gives each run a folder of its own, or let the key "
            f"differ: {RUN_DIR}='{given[0]}/${{mint.reward.kl}}'"
        )
    return own
