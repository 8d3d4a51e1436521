"""Several runs laid over each other, and a sweep with its table and front."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.pages import page
from mint.pages.html import chip, missing, number, section, table, text
from mint.reporting.comparison.contestants import Contestant, names_of
from mint.reporting.comparison.curves import curves_section
from mint.reporting.comparison.differences import differences_section
from mint.reporting.comparison.run_settings import RunSettings, run_settings
from mint.rundir.directory import RunDir
from mint.sweeping.page import draw as draw_sweep
from mint.sweeping.record import FILE, read_sweep
from mint.watching.follow import RESULTS, Signature, signature
from mint.watching.pages import KICKER, Drawn, Page, RunPage, not_yet, safely
from mint.watching.sections import since
from mint.watching.words import span
from rewards.errors import ConfigError, MintError

_STATISTICS = EvaluationConfig(resamples=1000)
"""Of a sweep that goes on: its own page, written at the end, has more resamples."""


class OverviewPage:
    """Several runs laid over each other."""

    def __init__(self, pages: Sequence[RunPage], title: str, note: str = "") -> None:
        self.runs = list(pages)
        self._title, self._note = title, note
        self._settings: dict[str, tuple[int, RunSettings | None]] = {}

    def draw(self) -> Drawn:
        for run in self.runs:
            run.followed.refresh()
        sections = self._own()
        links = {"runs": "Runs", "curves": "Learning curves", "differences": "What differs"}
        shown = "".join(sections.values())
        links = {name: said for name, said in links.items() if f'<section id="{name}"' in shown}
        return Drawn(head=self._head(), links=links, sections=sections)

    def _head(self) -> page.Head:
        about = [f"{len(self.runs)} runs", *([self._note] if self._note else [])]
        return page.Head(
            title=f"{self._title} · {KICKER}",
            kicker=KICKER,
            heading=self._title,
            about=about,
            skip_to="runs",
        )

    def _own(self) -> dict[str, str]:
        contestants = self._contestants() if self.runs else []
        return {
            "runs": safely("runs", self._table),
            "curves": safely("curves", lambda: curves_section(contestants)),
            "differences": safely("differences", lambda: differences_section(contestants)),
        }

    def _contestants(self) -> list[Contestant]:
        folders = [run.followed.run.path for run in self.runs]
        return [
            Contestant(
                name=called.after,
                systems=(),
                probes=None,
                metrics=run.followed.data.metrics,
                run=self._settings_of(run),
                recipe=str((run.followed.data.manifest or {}).get("recipe") or ""),
                setting=called.setting,
            )
            for run, called in zip(self.runs, names_of(folders), strict=True)
        ]

    def _settings_of(self, run: RunPage) -> RunSettings | None:
        place, version = str(run.followed.run.path), run.followed.versions[RESULTS]
        if place not in self._settings or self._settings[place][0] != version:
            try:
                found = run_settings(run.followed.run)
            except (MintError, OSError, KeyError, TypeError):
                found = None
            self._settings[place] = (version, found)
        return self._settings[place][1]

    def _table(self) -> str:
        head = (
            "Run",
            "Now",
            "Step",
            "Since",
            "Time left",
            "Reward",
            "Empathy",
            "Novelty",
            "Alarms",
        )
        rows = [self._row(number_, run) for number_, run in enumerate(self.runs)]
        body = table(head, rows, "Runs", "wide") if rows else missing("No run has begun yet.")
        return section("runs", "Runs", body)

    def _row(self, place: int, run: RunPage) -> list[str]:
        activity, alarms = run.state(time.time())
        data = run.followed.data
        left = activity.left_s
        of = f" of {activity.total}" if activity.total else ""
        serious = sum(alarm.serious for alarm in alarms)
        said = "none" if not alarms else f"{len(alarms)}: {alarms[0].title}"
        values = (
            data.series(key)[-1] if data.metrics else None
            for key in ("reward/raw/mean", "reward/quality/mean", "reward/kl/mean")
        )
        return [
            f'<a href="{run_address(place)}">{text(run_name(run.followed.run))}</a>',
            text(activity.said),
            text(f"{activity.step}{of}"),
            since(activity.since),
            "–" if left is None else span(left),
            *(number(value, 3) for value in values),
            chip("worse" if serious else "changed" if alarms else "better", said),
        ]


class SweepPage(OverviewPage):
    """A sweep's jobs as they run, its table, its front, and what else its page has."""

    def __init__(self, folder: Path) -> None:
        super().__init__([], folder.name, "sweep")
        self._folder = folder
        self._places: list[Path] = []
        self._seen: Signature = {}
        self._parts: dict[str, tuple[str, str]] = {}
        self._find_jobs()

    def draw(self) -> Drawn:
        self._find_jobs()
        live = super().draw()
        found = signature(self._files())
        if found != self._seen:
            self._parts = self._draw_results()
            self._seen = found
        results = {f"sweep-{name}": html for name, (_, html) in self._parts.items()}
        titles = {name: title for name, (title, html) in self._parts.items() if html}
        return replace(
            live,
            sections={"runs": live.sections["runs"], **results, "curves": live.sections["curves"]},
            links={
                **{name: live.links[name] for name in ("runs",) if name in live.links},
                **titles,
                **live.links,
            },
        )

    def _find_jobs(self) -> None:
        """Runs that have begun since; a job keeps its address."""
        try:
            jobs = read_sweep(self._folder)["jobs"]
        except (MintError, OSError, KeyError):
            return  # half written: it is read again
        for row in jobs.values():
            place = Path(row["dir"])
            if place not in self._places and RunDir(place).is_begun:
                self._places.append(place)
                self.runs.append(RunPage(RunDir(place), str(row["label"]), self._folder.name))

    def _files(self) -> list[Path]:
        files = [self._folder / FILE]
        for run in (one.followed.run for one in self.runs):
            files += [run.manifest_path, *sorted(run.evaluation_path.glob("*.json"))]
        return files

    def _draw_results(self) -> dict[str, tuple[str, str]]:
        def address(row: Mapping[str, Any]) -> str:
            place = Path(row["dir"])
            return run_address(self._places.index(place)) if place in self._places else ""

        try:
            _, parts = draw_sweep(self._folder, address, _STATISTICS)
        # As for the sections of a run: one job's odd file must not hide the others.
        except Exception as error:
            return self._parts or {"results": ("Results", not_yet("results", error))}
        return {name: part for name, part in parts.items() if name != "curves"}


def run_address(place: int) -> str:
    """Where the page of a run is."""
    return f"/run/{place}/"


def run_name(run: RunDir) -> str:
    """What a run is called beside others: its folder, with the one it is in."""
    return "/".join(run.path.resolve().parts[-2:])


def make_pages(folders: Sequence[Path]) -> Page:
    """The first page of what is given: a run, several, or the folder of one sweep.

    Raises ConfigError for a folder that is neither.
    """
    if len(folders) == 1 and (folders[0] / FILE).is_file():
        return SweepPage(folders[0].resolve())
    for folder in folders:
        if (folder / FILE).is_file():
            raise ConfigError(f"{folder} is a sweep: watch it alone, without other folders")
    runs = [RunDir.open(folder) for folder in folders]
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise ConfigError("a run is given twice")
    if len(runs) == 1:
        return RunPage(runs[0])
    return OverviewPage([RunPage(run, run_name(run)) for run in runs], "Runs side by side")
