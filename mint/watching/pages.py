"""The pages: of a run, of several laid over each other, and of a sweep; each as named parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from mint.pages import page
from mint.pages.html import missing, section
from mint.reporting.replies import samples_section
from mint.reporting.run import STEPWISE, head_of, links_of, sections_of
from mint.rundir.directory import RunDir
from mint.watching.activity import Activity, activity_of
from mint.watching.alarms import Alarm, alarms_of
from mint.watching.follow import RESULTS, SAMPLES, Followed
from mint.watching.sections import alarms_section, newest_section, now_section

HEADER, NAVIGATION = "header", "nav"
"""Parts that stand outside the page's middle."""
KICKER = "mint watch"
_QUIET_S = 5.0
"""How often a page is drawn again when no file has changed: time itself can raise an alarm."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A page."""

    head: page.Head
    links: Mapping[str, str]
    """Anchor -> title."""
    sections: Mapping[str, str]
    """Name -> ready HTML, in their order."""

    @property
    def parts(self) -> dict[str, str]:
        """All that can change: the sections, and what stands above them."""
        return {
            HEADER: page.header(self.head),
            NAVIGATION: page.navigation(self.links),
            **self.sections,
        }


class Page(Protocol):
    """Something to look at."""

    def draw(self) -> Drawn:
        """As it is now. Reads what is new in the files."""


class RunPage:
    """The report of a run, with what it does now."""

    def __init__(self, run: RunDir, name: str = "", note: str = "") -> None:
        """`name` stands above the page where several runs are watched, `note` beside it."""
        self.followed = Followed(run)
        self._name, self._note = name, note
        self._sections: dict[str, str] = {}
        self._drawn_of: dict[str, int] = {}
        self._last: tuple[float, Drawn] | None = None

    def draw(self) -> Drawn:
        self.followed.refresh()
        known = dict(self.followed.versions)
        now = time.time()
        if known == self._drawn_of and self._last and now - self._last[0] < _QUIET_S:
            return self._last[1]
        self._draw_sections(known)
        links = links_of("".join(self._sections.values()))
        links = {"alarms": "Alarms", "now": "Now", "newest": "Newest", **links}
        drawn = Drawn(head=self._head(), links=links, sections=self._live(now) | self._sections)
        self._last, self._drawn_of = (now, drawn), known
        return drawn

    def state(self, now: float) -> tuple[Activity, list[Alarm]]:
        """What the run does, and what is wrong."""
        activity = activity_of(self.followed.data, self.followed.phases)
        return activity, alarms_of(self.followed.data, activity, self.followed.not_yet, now)

    def _live(self, now: float) -> dict[str, str]:
        try:
            activity, alarms = self.state(now)
        except Exception as error:  # a damaged file: see `safely`
            return {"alarms": not_yet("alarms", error), "now": not_yet("now", error)}
        data, run = self.followed.data, self.followed.run
        return {
            "alarms": alarms_section(alarms),
            "now": safely("now", lambda: now_section(data, activity, run)),
        }

    def _draw_sections(self, known: Mapping[str, int]) -> None:
        """Those whose files have changed; a new number of steps changes no evaluation."""
        data, before = self.followed.data, self._drawn_of
        all_new = known[RESULTS] != before.get(RESULTS)
        steps_new = all_new or known != before
        for make in sections_of(data):
            if make is samples_section and (all_new or known[SAMPLES] != before.get(SAMPLES)):
                self._sections["newest"] = safely("newest", lambda: newest_section(data))
            if all_new or (steps_new and make in STEPWISE):
                name = f"{make.__module__.rpartition('.')[2]}-{make.__name__}"
                self._sections[name] = safely(name, partial(make, data))

    def _head(self) -> page.Head:
        try:
            head = head_of(self.followed.data)
        except Exception:  # a damaged file: see `safely`
            name = self.followed.data.name
            head = page.Head(title=name, kicker=KICKER, heading=name, about=[], skip_to="alarms")
        title = self._name or head.heading
        about = [*head.about, *([self._note] if self._note else [])]
        return replace(
            head,
            kicker=KICKER,
            heading=title,
            title=f"{title} · {KICKER}",
            about=about,
            skip_to="alarms",
        )


def safely(name: str, make: Callable[[], str]) -> str:
    """A section; where a file of odd content is in its way, a note of that."""
    try:
        return make()
    # Whatever a half-written or damaged file leads to: the other sections are shown all the same.
    except Exception as error:
        return not_yet(name, error)


def not_yet(name: str, error: Exception) -> str:
    said = f"{type(error).__name__}: {error}"[:300]
    note = missing(f"Not yet: this part cannot be drawn from what the files hold ({said}).")
    return section(f"{name}-missing", "Not yet", note)
