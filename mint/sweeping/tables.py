"""Tables of tuned models: named settings of `mint sft` or `mint prefer`, trained and measured on
the dev split.

`mint sweep +recipe=sft_smol --tables FILE [run.seed=0,1,2] [key=value]`. FILE is YAML: table ->
setting -> list of overrides. Settings that are the same in two tables are trained once. Several
seeds give means with t intervals; one seed gives values without, and the table says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mint.config.compose import expand_sweep, parse_overrides
from mint.config.invocation import recipe_of
from mint.evaluation.statistics.runs import spread_of
from mint.preference.settings import PreferSettings
from mint.rundir.directory import RunDir
from mint.rundir.manifest import read_manifest
from mint.shell.cli import nearest
from mint.shell.console import say
from mint.shell.files import (
    read_json_if_there,
    read_text,
    write_json,
    write_text_atomic,
)
from mint.shell.guard import run_guarded
from mint.shell.paths import data_dir
from mint.shell.processes import python_module
from mint.supervised.data import SOURCES
from mint.supervised.settings import SftSettings
from mint.sweeping.ends import worst
from mint.sweeping.jobs import folder_name, short_hash
from mint.tuning import command
from mint.tuning.loop import DEV
from rewards.errors import ConfigError, DataError

OPTION = "--tables"
_COMMANDS: Mapping[str, type] = {"sft": SftSettings, "prefer": PreferSettings}
_UNSEEN: Mapping[str, tuple[str, ...]] = {
    "sft": tuple(f"data.{name}.test=null" for name in SOURCES),
    "prefer": ("evaluate=false",),
}
"""Settings are compared by the dev split: none of their runs looks at what is held out."""
_SEED = "run.seed"
_CONFIDENCE = 0.95
_SCORE = "score"
_OPTIONS = (OPTION, "--dir", "--dry-run")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    tables: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Table -> setting -> overrides."""
    command: str
    overrides: tuple[str, ...]
    """For every job, with +recipe, without seeds."""
    seeds: tuple[str, ...]
    """Overrides of the seed, one a run; ("",) where none is given."""
    folder: Path
    dry_run: bool


class _Run(NamedTuple):
    """One training."""

    overrides: tuple[str, ...]
    """Of its setting."""
    seed: str
    folder: Path


def run(arguments: Sequence[str]) -> int:
    """Train what is not finished, write tables.json and tables.md; returns the worst status.

    Raises ConfigError or DataError before anything has started.
    """
    asked = _parse(arguments)
    runs = _runs(asked)
    for one in runs:
        command.read(asked.command, _COMMANDS[asked.command], _arguments(asked, one))
    say(f"tables     {', '.join(asked.tables)}: {len(runs)} runs in {asked.folder}")
    if asked.dry_run:
        for one in runs:
            say(f"  {_state(one.folder):<9} {one.folder.name}")
        say("all settings are valid; nothing was started")
        return 0
    _check_same(asked)
    statuses = [_train(asked, one, number, len(runs)) for number, one in enumerate(runs, start=1)]
    content: dict[str, Any] = {
        "command": asked.command,
        "overrides": asked.overrides,
        "seeds": asked.seeds,
        "split": "dev",
        "tables": {name: _table(asked, rows, runs) for name, rows in asked.tables.items()},
    }
    write_json(asked.folder / "tables.json", content)
    text = "\n\n".join(_markdown(name, rows) for name, rows in content["tables"].items())
    write_text_atomic(asked.folder / "tables.md", f"{text}\n\n{_note(asked)}\n")
    say(f"{text}\n\n{_note(asked)}\nwritten to {asked.folder / 'tables.md'}")
    return worst(statuses)


def _parse(arguments: Sequence[str]) -> _Asked:
    given: dict[str, str] = {}
    overrides = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if not argument.startswith("-"):
            overrides.append(argument)
        elif name in _OPTIONS:
            given[name] = "" if name == "--dry-run" else value if equals else next(rest, "")
        else:
            raise ConfigError(f"unknown option {argument!r}{nearest(argument, _OPTIONS)}")
    recipe = str(recipe_of(overrides) or "")
    name = recipe.partition("_")[0]
    if name not in _COMMANDS:
        raise ConfigError(
            f"{OPTION} needs +recipe= of {' or '.join(_COMMANDS)}, such as sft_smol; got {recipe!r}"
        )
    seeds = [one for one in overrides if one.startswith(f"{_SEED}=")]
    fixed = [one for one in overrides if one not in seeds]
    if swept := [one for one in parse_overrides(fixed) if one.is_sweep_override()]:
        raise ConfigError(
            f"{swept[0].input_line}: with {OPTION} only {_SEED} takes several values; settings are "
            "in the file"
        )
    tables = read_tables(given[OPTION])
    place = given.get("--dir") or f"outputs/sweeps/{recipe}_tables_{short_hash(repr(fixed))}"
    return _Asked(
        tables=tables,
        command=name,
        overrides=tuple(fixed),
        seeds=tuple(own for line in expand_sweep(seeds) for own in line) or ("",),
        folder=Path(place).expanduser().resolve(),
        dry_run="--dry-run" in given,
    )


def read_tables(name: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """Table -> setting -> overrides, of a file or of the shipped data/supervised/NAME.yaml.

    Raises ConfigError when there is no such file, DataError when it is none.
    """
    path = Path(name).expanduser()
    if not path.suffix:
        path = data_dir() / "supervised" / f"{name}.yaml"
    try:
        content = yaml.safe_load(read_text(path, f"{OPTION} "))
    except yaml.YAMLError as error:
        raise DataError(f"{path}: {str(error).splitlines()[0]}") from error
    wanted = "expected table -> setting -> list of overrides"
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path}: {wanted}")
    for title, rows in content.items():
        if not isinstance(rows, dict) or not all(_is_texts(own) for own in rows.values()):
            raise DataError(f"{path}: {title}: {wanted}")
    return {
        str(title): {str(setting): tuple(own) for setting, own in rows.items()}
        for title, rows in content.items()
    }


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _runs(asked: _Asked) -> list[_Run]:
    """Each setting with each seed, once."""
    settings = dict.fromkeys(own for rows in asked.tables.values() for own in rows.values())
    return [_Run(own, seed, _folder(asked, own, seed)) for own in settings for seed in asked.seeds]


def _folder(asked: _Asked, overrides: Sequence[str], seed: str) -> Path:
    pairs = dict(one.split("=", 1) for one in [*overrides, *filter(None, [seed])])
    short = {key: key.removeprefix("weights.").replace(".", "-") for key in pairs}
    return asked.folder / folder_name(pairs, short)


def _arguments(asked: _Asked, one: _Run) -> list[str]:
    seed = [one.seed] if one.seed else []
    unseen = _UNSEEN[asked.command]
    return [*asked.overrides, *one.overrides, *seed, *unseen, f"run.dir={one.folder}"]


def _check_same(asked: _Asked) -> None:
    """Keep what these tables are of. Raises ConfigError where the folder holds others: its finished
    runs would be taken for these."""
    now = {"command": asked.command, "overrides": sorted(asked.overrides)}
    before = read_json_if_there(asked.folder / "asked.json")
    if before not in (None, now):
        raise ConfigError(
            f"{asked.folder} holds other tables, of `mint {before['command']} "
            f"{' '.join(before['overrides'])}`; choose another --dir"
        )
    asked.folder.mkdir(parents=True, exist_ok=True)
    write_json(asked.folder / "asked.json", now)


def _state(folder: Path) -> str:
    run = RunDir(folder)
    return str(read_manifest(run)["status"]) if run.is_begun else "waiting"


def _train(asked: _Asked, one: _Run, number: int, total: int) -> int:
    """Exit status of one training; 0 for one that is finished already."""
    state = _state(one.folder)
    if state == "finished":
        say(f"[{number} of {total}] {one.folder.name} is finished already")
        return 0
    begun = RunDir(one.folder).is_begun
    say(f"[{number} of {total}] {'going on with ' if begun else ''}{one.folder.name}")
    arguments = [f"resume={one.folder}"] if begun else _arguments(asked, one)
    status = run_guarded(python_module(f"mint.{asked.command}", *arguments))
    if status:
        say(f"{one.folder.name} has failed with status {status}; the others go on")
    return status


def dev_metrics(folder: Path) -> dict[str, float]:
    """Measured on the dev split at the chosen step of a finished run; {} of any other."""
    run = RunDir(folder)
    best = read_json_if_there(run.best_path)
    if _state(folder) != "finished" or best is None:
        return {}
    rows = {row["step"]: row for row in run.read_metrics()}
    return {
        name.removeprefix(DEV): float(value)
        for name, value in rows[best["step"]].items()
        if name.startswith(DEV) and isinstance(value, int | float)
    }


def _table(
    asked: _Asked, rows: Mapping[str, tuple[str, ...]], runs: Sequence[_Run]
) -> dict[str, dict[str, Any]]:
    """Setting -> measure -> mean over its seeds with interval, and the difference to the first
    setting, paired by seed. Without the score: settings have different parts of it."""
    found: dict[str, dict[str, Any]] = {}
    first: list[dict[str, float]] = []
    for setting, overrides in rows.items():
        own = [dev_metrics(one.folder) for one in runs if one.overrides == overrides]
        first = first or own
        known = [metrics for metrics in own if metrics]
        names = [name for name in (known[0] if known else {}) if all(name in m for m in known)]
        found[setting] = {"runs": len(known)}
        for name in [name for name in names if name != _SCORE]:
            pairs = zip(first, own, strict=True)
            gains = [b[name] - a[name] for a, b in pairs if name in a and name in b]
            mean = _over_seeds([metrics[name] for metrics in known])
            found[setting][name] = {**mean, "to_first": _over_seeds(gains)}
    return found


def _over_seeds(values: Sequence[float]) -> dict[str, float | None]:
    if len(values) < 2:
        return {"mean": values[0] if values else None, "low": None, "high": None}
    spread = spread_of(values, _CONFIDENCE)
    return {"mean": spread.mean, "low": spread.interval.low, "high": spread.interval.high}


def _markdown(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    measures = dict.fromkeys(name for row in rows.values() for name in row if name != "runs")
    head = ["setting", "runs", *measures]
    lines = [f"## {title}", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for number, (setting, row) in enumerate(rows.items()):
        cells = [_cell(row.get(name), number == 0) for name in measures]
        lines.append(f"| {' | '.join([setting, str(row['runs']), *cells])} |")
    return "\n".join(lines)


def _cell(value: Mapping[str, Any] | None, is_first: bool) -> str:
    if value is None:
        return "-"
    gain = "" if is_first else f" ({_number(value['to_first'], '+')})"
    return f"{_number(value)}{gain}"


def _number(value: Mapping[str, float | None], sign: str = "") -> str:
    if value["mean"] is None:
        return "-"
    ends = "" if value["low"] is None else f" [{value['low']:{sign}.3f}, {value['high']:{sign}.3f}]"
    return f"{value['mean']:{sign}.3f}{ends}"


def _note(asked: _Asked) -> str:
    what = (
        "Measured on the dev split at each run's chosen step; the test split was not touched. In "
        "parentheses: difference to the first setting of the table."
    )
    if len(asked.seeds) < 2:
        return f"{what} One seed: differences may be noise (run.seed=0,1,2 gives intervals)."
    over = f"{len(asked.seeds)} seeds, by which differences are paired"
    return f"{what} Brackets: {_CONFIDENCE:.0%} t intervals over {over}."
