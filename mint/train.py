"""Train a policy: `python -m mint.train +recipe=NAME [key=value ...]`.

+recipe=NAME        a file of recipes/ (run without arguments for the list)
key=value           any key of the configuration, Hydra syntax
-m, --multirun      sweep: mint.reward.kl=0,0.5,1 runs one job a value
--dry-run           compose, check files, batches and memory, stop before Ray starts
--cfg job [-p mint] print the composed configuration (or a part of it)
--info defaults     show what the configuration is composed of
--hydra-help        more Hydra options
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mint.config import compose, recipes
from mint.config.compose import finalise
from mint.training import pipeline
from rewards.errors import MintError

_HYDRA_FLAGS = (
    "-m",
    "--multirun",
    "-c",
    "--cfg",
    "-i",
    "--info",
    "-p",
    "--package",
    "--resolve",
    "-r",
    "--hydra-help",
    "--version",
    "-sc",
    "--shell-completion",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 done, 1 training failed, 2 bad input, 3 the
    collapse alarm has ended the training, with a model exported)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(arguments)
    except MintError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, RuntimeError) else 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _main(arguments: list[str]) -> int:
    found = recipes.find_recipes()
    if {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\n{recipes.listing(found)}")
        return 0
    dry_run = "--dry-run" in arguments
    arguments = [a for a in arguments if a != "--dry-run"]
    overrides = _overrides_of(arguments)
    name = _recipe_name(overrides)
    recipes.check_name(name, found)
    recipes.register(found)
    started = time.strftime("%Y-%m-%d_%H-%M-%S")

    jobs = list(compose.expand_sweep(overrides))
    multirun = {"-m", "--multirun"} & set(arguments)
    if len(jobs) > 1 and not multirun:
        raise compose.ConfigError("a sweep (comma-separated values) needs -m: mint.train -m ...")
    configs = [compose.compose_config(job) for job in jobs]
    if {"--cfg", "-c", "--info", "-i", "--hydra-help", "--version"} & set(arguments):
        return _through_hydra(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    status = 0
    for number, (config, job) in enumerate(zip(configs, jobs, strict=True)):
        place = f"outputs/{name}/{started}" + (f"/{number}" if multirun else "")
        finalise(config, recipe=str(name), run_dir=place)
        if dry_run:
            pipeline.dry_run(config)
            continue
        if multirun:
            print(f"[{number + 1}/{len(jobs)}] {' '.join(job)}")
        status = max(status, pipeline.run(config, overrides=job))
    return status


def _overrides_of(arguments: list[str]) -> list[str]:
    """The arguments that are overrides, without flags and their values."""
    overrides, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("--cfg", "-c", "--info", "-i", "--package", "-p"):
            skip = True
        elif argument in _HYDRA_FLAGS:
            continue
        elif argument.startswith("-"):
            raise compose.ConfigError(f"unknown option {argument!r}; see --help")
        else:
            overrides.append(argument)
    return overrides


def _recipe_name(overrides: list[str]) -> str | None:
    for override in overrides:
        key, _, value = override.partition("=")
        if key.lstrip("+") == "recipe":
            return value
    return None


def _through_hydra(arguments: list[str]) -> int:
    """Hydra's own printing commands (--cfg, --info)."""
    overrides = _overrides_of(arguments)
    flags = list(arguments)
    for override in overrides:
        flags.remove(override)
    # argparse wants the positional overrides in one block.
    sys.argv = [
        sys.argv[0],
        *flags,
        *overrides,
        compose.searchpath_override(),
        "hydra.run.dir=.",
        "hydra.output_subdir=null",
    ]
    hydra.main(version_base=None, config_path="config", config_name=compose.CONFIG_NAME)(_nothing)()
    return 0


def _nothing(config: DictConfig) -> None:
    """Hydra prints and leaves before calling its task function."""
    assert HydraConfig.get().mode is not RunMode.MULTIRUN or OmegaConf.is_config(config)


if __name__ == "__main__":
    sys.exit(main())
