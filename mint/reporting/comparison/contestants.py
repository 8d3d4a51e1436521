"""What a comparison is made of: evaluations read from run directories and evaluation folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from mint.evaluation.options import HELD_OUT, PROTOCOLS
from mint.evaluation.records import EvaluatedReply, read_replies
from mint.evaluation.results import replies_path
from mint.reporting.comparison.labels import labels, machine_made
from mint.reporting.comparison.run_settings import RunSettings, run_settings
from mint.rundir.directory import RunDir
from mint.shell.files import read_json_if_there
from rewards.errors import ConfigError, DataError

BEFORE = "before training"
"""The start of runs that are called after their settings."""
_RUN_FILES = ("config.yaml", "manifest.json", "metrics.jsonl")


@dataclass(frozen=True, kw_only=True)
class System:
    """Replies of one model under one condition, and where they come from."""

    name: str
    """For people, unique within its protocol."""
    owner: str
    """Name of the contestant."""
    protocol: str
    replies: tuple[EvaluatedReply, ...]
    graders: Mapping[str, Any]
    """"tagger" and "judge" -> identity."""
    counts: Mapping[str, int]
    folder: Path | None = None
    """Evaluation folder of a run's own dialogues; None of anything else."""
    label: str = ""
    """before or after, where there is a folder."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One evaluated model: an evaluation folder, or a run before or after training."""

    name: str
    systems: tuple[System, ...]
    probes: Mapping[str, Any] | None
    """Content of probes.json."""
    metrics: tuple[Mapping[str, Any], ...] = ()
    """Logged training steps."""
    run: RunSettings | None = None
    """Of a run after training."""
    recipe: str = ""
    """Of the run; "" when not known."""
    setting: str = ""
    """What runs that differ in the seed alone are called together; "" when not known."""

    @property
    def run_name(self) -> str:
        """The name without "after", for places where only trained policies stand."""
        return self.name.removesuffix(" after")


class Called(NamedTuple):
    """What a folder's contestants are called."""

    after: str
    """A run's trained policy, or an evaluation."""
    before: str = BEFORE
    """A run's policy before training."""
    setting: str = ""
    """What runs that differ in the seed alone are called together."""


def load_contestants(
    paths: Sequence[str | Path], allow_mixed: bool = False, called: Sequence[Called] | None = None
) -> list[Contestant]:
    """The contestants of the given folders, in order; `called` names them, None: after their
    folders, or, where these are numbers or times, after the settings that differ.

    Raises ConfigError when a folder holds no evaluation, and when the same protocol was graded by
    different graders, unless `allow_mixed`.
    """
    folders = [Path(path) for path in paths]
    contestants: list[Contestant] = []
    starts: set[str] = set()
    for path, name in zip(folders, called or names_of(folders), strict=True):
        contestants += _load(path, name, starts)
    if not any(c.systems or c.metrics or c.probes for c in contestants):
        raise ConfigError(f"{', '.join(map(str, paths))}: nothing was evaluated there")
    problem = _grader_difference(contestants)
    if problem and not allow_mixed:
        raise ConfigError(problem)
    return contestants


def names_of(folders: Sequence[Path]) -> list[Called]:
    """What each folder's contestants are called where nothing else is said."""
    names = _unique_names([folder.resolve() for folder in folders])
    if len(folders) > 1 and all(map(is_run, folders)) and machine_made(names):
        settings = [run_settings(RunDir(folder)) for folder in folders]
        known = [one for one in settings if one is not None]
        if len(known) == len(folders):
            recipes = [_recipe(RunDir(folder)) for folder in folders]
            return [Called(label) for label in labels(known, recipes, names)]
    return [
        Called(f"{name} after", f"{name} before") if is_run(folder) else Called(name)
        for folder, name in zip(folders, names, strict=True)
    ]


def _recipe(run: RunDir) -> str:
    manifest = read_json_if_there(run.manifest_path)
    return "" if manifest is None else manifest["recipe"] or ""


def is_mixed(contestants: Sequence[Contestant]) -> bool:
    """Whether different graders have graded the same protocol."""
    return bool(_grader_difference(contestants))


def systems_of(contestants: Sequence[Contestant], protocol: str) -> list[System]:
    """All systems of a protocol, in order."""
    return [s for c in contestants for s in c.systems if s.protocol == protocol]


def alike(contestants: Sequence[Contestant]) -> list[list[Contestant]]:
    """Together those whose runs differ in the seed alone; one that is no run stays alone."""
    groups: list[list[Contestant]] = []
    for one in contestants:
        like = (
            group
            for group in groups
            if one.run and group[0].run and not one.run.differing(group[0].run)
        )
        if group := next(like, None):
            group.append(one)
        else:
            groups.append([one])
    return groups


def is_run(path: Path) -> bool:
    """Whether a folder is a run directory."""
    return any((path / name).exists() for name in _RUN_FILES)


def _load(path: Path, called: Called, starts: set[str]) -> list[Contestant]:
    """One contestant of an evaluation folder; of a run, its policy before and after training.

    `starts` holds the policies that were shown before training: runs that share one show it once.
    """
    if not path.is_dir():
        raise ConfigError(f"{path} does not exist; give run directories or evaluation folders")
    run = RunDir(path)
    if is_run(path):
        before = read_json_if_there(run.before_path)
        start = str(path) if before is None else _place(before["model"])
        first = called.before
        if first == BEFORE and starts:
            first = f"{BEFORE} ({called.after})"
        shown = [_trained(run, "before", first), _trained(run, "after", called.after)]
        shown[1] = replace(shown[1], setting=called.setting)
        if shown[1].systems:
            starts.add(_place(run.model_path))  # a later run may start where this one has ended
        if not shown[0].systems or start in starts:
            return shown[1:]
        starts.add(start)
        return shown
    found = _evaluation(path, called.after)
    if not found.systems and found.probes is None:
        raise ConfigError(
            f"{path} is neither a run directory nor an evaluation: it has no "
            f"{', '.join(f'{p}.json' for p in PROTOCOLS)}"
        )
    return [found]


def _place(model: str | Path) -> str:
    """A model's folder, however it was written; a hub name as it is."""
    path = Path(model).expanduser()
    return str(path.resolve()) if path.exists() else str(model)


def _trained(run: RunDir, label: str, name: str) -> Contestant:
    """A run's policy "before" or "after" training."""
    found = _evaluation(run.evaluation_path / label, name)
    result = read_json_if_there(run.evaluation_path / f"{label}.json")
    replies = read_replies(replies_path(run.evaluation_path, label))
    systems = found.systems
    if result is not None and replies:
        counts = {"asked": result["num_replies"], "grader_failed": result["num_failed"]}
        held_out = System(
            name=name,
            owner=name,
            protocol=HELD_OUT,
            replies=replies,
            graders=result["graders"],
            counts=counts,
            folder=run.evaluation_path if "num_dialogues" in result else None,
            label=label,
        )
        systems = (held_out, *systems)
    if label == "before":
        return replace(found, systems=systems)
    return replace(
        found,
        systems=systems,
        metrics=tuple(run.read_metrics()),
        run=run_settings(run),
        recipe=_recipe(run),
    )


def _evaluation(path: Path, name: str) -> Contestant:
    systems = []
    for protocol in PROTOCOLS[:-1]:
        result = read_json_if_there(path / f"{protocol}.json")
        if result is None:
            continue
        if not isinstance(result, dict) or "conditions" not in result:
            raise DataError(f"{path / protocol}.json was not written by mint.evaluate")
        for condition, row in result["conditions"].items():
            own = condition.removeprefix(f"{protocol}").strip("_").replace("_", " ")
            systems.append(
                System(
                    name=f"{name}: {own}" if own else name,
                    owner=name,
                    protocol=protocol,
                    replies=read_replies(replies_path(path, condition)),
                    graders=result["graders"],
                    counts=row["counts"],
                )
            )
    probes = read_json_if_there(path / f"{PROTOCOLS[-1]}.json")
    return Contestant(name=name, systems=tuple(systems), probes=probes)


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """The shortest endings of the paths that tell them apart."""
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if max(Counter(names).values()) == 1:
            return names
    raise ConfigError(f"{paths[0]} is given twice")


def _grader_difference(contestants: Sequence[Contestant]) -> str:
    """What differs between the graders of the first two systems that do not agree, or ""."""
    for protocol in (HELD_OUT, *PROTOCOLS):
        systems = systems_of(contestants, protocol)
        for system in systems[1:]:
            first = systems[0]
            for role, identity in first.graders.items():
                other = system.graders[role] if role in system.graders else None
                if other != identity:
                    return (
                        f"{protocol}: the {role} of {system.name} ({_short(other)}) is not the "
                        f"one of {first.name} ({_short(identity)}), so their numbers do not "
                        "compare; grade them alike, or show them all the same with allow_mixed=true"
                    )
    return ""


def _short(identity: Mapping[str, Any] | None) -> str:
    if identity is None:
        return "none"
    return "/".join(str(identity[key]) for key in ("kind", "name", "revision"))
