"""The command line of a sweep, shared by `mint.sweep` and `mint.train -m`."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mint.reporting.comparison.labels import short_keys
from mint.shell.cli import nearest
from mint.shell.console import say
from mint.shell.statuses import SAVED
from mint.sweeping import record as states
from mint.sweeping.checks import build_material, check_jobs
from mint.sweeping.driver import Driver, Listed, Source
from mint.sweeping.gpus import Pool, at_hand
from mint.sweeping.jobs import RECIPE, Grid, Job, folder_name, key_of, short_hash
from mint.sweeping.record import PAGE, Record
from mint.sweeping.search import Search
from rewards.errors import ConfigError, MintError

OPTIONS = ("--dir", "--only", "--parallel", "--search", "--dry-run")
_FLAGS = ("--dry-run", "-m", "--multirun")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a command line asks for."""

    overrides: tuple[str, ...]
    folder: Path | None = None
    """--dir"""
    only: tuple[int, ...] | None = None
    """--only: numbers of jobs."""
    parallel: int | None = None
    """--parallel: jobs at the same time, at most."""
    search: int | None = None
    """--search: trials of a search."""
    dry_run: bool = False


def parse(arguments: Sequence[str]) -> Asked:
    """The command line. Raises ConfigError."""
    overrides: list[str] = []
    given: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if not argument.startswith("-"):
            overrides.append(argument)
        elif name in _FLAGS and not equals:
            given[name] = "true"
        elif name in OPTIONS and name not in _FLAGS:
            given[name] = value if equals else next(rest, "")
            if not given[name] or given[name].startswith("--"):
                raise ConfigError(f"{name} needs a value")
        else:
            raise ConfigError(f"unknown option {argument!r}{nearest(name, OPTIONS)}; see --help")
    if "--only" in given and "--search" in given:
        raise ConfigError("--only names jobs of a list; a search has none")
    return Asked(
        overrides=tuple(overrides),
        folder=Path(given["--dir"]).expanduser() if "--dir" in given else None,
        only=_numbers(given["--only"]) if "--only" in given else None,
        parallel=_count("--parallel", given),
        search=_count("--search", given),
        dry_run="--dry-run" in given,
    )


def run(arguments: Sequence[str], module: str = "mint.train") -> int:
    """Run a sweep to its end; returns the worst exit status of its jobs. `module` trains.

    Raises ConfigError before anything has started.
    """
    asked = parse(arguments)
    grid = Grid(asked.overrides)
    record = Record((asked.folder or default_folder(grid, asked)).resolve())
    pool = Pool(at_hand(os.environ), asked.parallel)
    search = None if asked.search is None else Search(grid, asked.search, record)
    # What a search will propose is not known: its corners are checked instead.
    jobs = grid.jobs(record.folder) if search is None else search.corners()
    chosen = _chosen(jobs, asked.only)
    listed, fixed = (jobs, grid.fixed) if search is None else ([], search.fixed)
    record.check(fixed, listed)
    say(f"sweep      {record.folder}")
    rows = (record.read() or {"jobs": {}})["jobs"]
    if search is None:
        say(f"jobs       {len(chosen)} of {len(jobs)}, {pool}")
        for line in _listing(jobs, chosen, rows):
            say(line)
    else:
        say(f"search     {asked.search} trials over {', '.join(grid.keys)}, {pool}")
    pending = [job for job in chosen if _state(job, rows) != states.FINISHED]
    for line in check_jobs(pending, pool, graders=asked.dry_run):
        say(line)
    if asked.dry_run:
        say("all checks passed; nothing was started")
        return 0
    build_material(pending)
    record.open(shlex.join(["mint", "sweep", *asked.overrides]), fixed, listed)
    if search is not None:
        search.begin()
    else:
        _tell_changes(chosen, rows)
    source: Source = Listed(chosen) if search is None else search
    driver = Driver(record, source, pool, module)
    status = driver.run()
    if status == SAVED or driver.was_ended:
        return status  # there is no time for a page
    return _finish(record, status)


def _tell_changes(jobs: Sequence[Job], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Say which jobs were started with other settings than they would be now."""
    for job in jobs:
        if job.name in rows and rows[job.name].get("digest", job.digest) != job.digest:
            say(
                f"note: {job.label} was started with other settings than its recipe gives now; "
                f"it goes on with its own (to begin anew, delete {job.folder})"
            )


def _finish(record: Record, status: int) -> int:
    """Write the page, and say how the sweep has ended."""
    from mint.sweeping.page import write_page

    rows = record.read()["jobs"].values()
    counts = {state: sum(row["state"] == state for row in rows) for state in states.STATES}
    try:
        page = f"page: {write_page(record.folder)}"
    except MintError as error:
        page, status = f"{record.folder / PAGE} was not written: {error}", status or 1
    said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    say(f"sweep: {said}; {page}")
    if counts[states.FAILED] or counts[states.STOPPED]:
        say("the same command goes on with what has not finished")
    return status


def default_folder(grid: Grid, asked: Asked) -> Path:
    """The same for the same command, so that starting it again goes on: its recipe, the swept keys,
    and digits of all that is not swept."""
    names = [short for key, short in short_keys(grid.keys).items() if key != RECIPE]
    recipes = [str(o.input_line).split("=", 1)[1] for o in grid.parsed if key_of(o) == RECIPE]
    fixed = sorted([*grid.fixed, *grid.keys, "search" if asked.search else ""])
    recipe = recipes[0] if len(recipes) == 1 and RECIPE not in grid.keys else "recipes"
    plain = folder_name({RECIPE: "_".join([recipe, *names])}, {})
    return Path("outputs/sweeps") / f"{plain}_{short_hash(chr(10).join(fixed))}"


def _state(job: Job, rows: Mapping[str, Mapping[str, Any]]) -> str:
    return states.state_of(job.folder, rows[job.name]) if job.name in rows else states.WAITING


def _listing(
    jobs: Sequence[Job], chosen: Sequence[Job], rows: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """A line a job: its number for --only, what differs, its state and its folder."""
    width = max(len(job.label) for job in jobs)
    for number, job in enumerate(jobs):
        state = _state(job, rows) if job in chosen else "not chosen"
        yield f"  {number:>3}  {job.label:<{width}}  {state:<10}  {job.folder}"


def _chosen(jobs: Sequence[Job], only: Sequence[int] | None) -> Sequence[Job]:
    if only is None:
        return jobs
    for number in only:
        if number >= len(jobs):
            raise ConfigError(f"--only {number}: the jobs are numbered 0 to {len(jobs) - 1}")
    return [jobs[number] for number in only]


def _numbers(text: str) -> tuple[int, ...]:
    """ "3" or "0,2-4" -> numbers, ascending."""
    found: set[int] = set()
    for part in text.split(","):
        ends = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if ends is None:
            raise ConfigError(f"--only takes numbers of jobs, such as 3 or 0,2-4, got {text!r}")
        found |= set(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    return tuple(sorted(found))


def _count(name: str, given: dict[str, str]) -> int | None:
    if name not in given:
        return None
    if not given[name].isdecimal() or int(given[name]) < 1:
        raise ConfigError(f"{name} must be a whole number >= 1, got {given[name]!r}")
    return int(given[name])
