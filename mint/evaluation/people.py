"""What people's replies get under the same graders: the reference line of every table and chart.

The shipped figures (people.yaml, written by `python -m mint.people`) are those of the replies of
the Lend-an-Ear conversations, arXiv 2506.10150, released by the official MINT repository. A figure
holds for the graders it was made with: under another revision of one it is stale, and beside
another grader altogether it says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mint.evaluation.metrics.means import PREVALENCE, REPETITION, WITH_SILENCE
from mint.evaluation.metrics.parts import HELD_DOWN, PARTS
from mint.evaluation.statistics.estimates import Estimate
from mint.shell.files import read_text, write_text_atomic
from rewards.errors import DataError
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS

SHIPPED = "people.yaml"
_JUDGED = ("empathy", WITH_SILENCE, *PARTS, *DIMENSIONS)
_TAGGED = (
    *("kl", "entropy", "tactics_per_turn", *REPETITION),
    *("self_stickiness", "self_lift", "self_jaccard", "same_set"),
    *("distinct_sets", "set_entropy", "effective_tactics"),
    *(f"{PREVALENCE}{name}" for name in TACTIC_NAMES),
)
_UNGRADED = ("distinct_2", "top_opening")
_HEADER = """\
# What people's replies get under the graders below: the reference line of tables and charts.
# Written by `python -m mint.people data=FILE`; run it again after every fit of a grader.
# Metric -> [mean, lower and upper end of its 95 % interval, replies].
"""


class Figure(NamedTuple):
    """What people get in one metric."""

    estimate: Estimate
    stale: bool
    """Whether another revision of the grader has made it."""

    def words(self, digits: int) -> str:
        """The value for people, with its interval."""
        mean, low, high = self.estimate.mean, self.estimate.ci_low, self.estimate.ci_high
        said = f"people {mean:.{digits}f}"
        if low is not None and high is not None:
            said += f" [{low:.{digits}f}, {high:.{digits}f}]"
        return f"{said}, stale" if self.stale else said


@dataclass(frozen=True, kw_only=True)
class People:
    """Figures of people's replies, and the graders that they were made with."""

    source: str
    """Whose replies, for people."""
    replies: int
    conversations: int
    graders: Mapping[str, Mapping[str, Any]]
    """"tagger" and "judge" -> identity."""
    figures: Mapping[str, Estimate]
    median_empathy: float | None = None
    """Median rating: what a bad reply should not exceed. None in a file that does not say it."""

    def median_for(self, judge: Mapping[str, Any]) -> float | None:
        """The median rating by a judge of this identity; None by another one."""
        own = self.graders.get("judge")
        return self.median_empathy if own is not None and _same(own, judge) else None

    def beside(self, graders: Mapping[str, Mapping[str, Any]]) -> Reference:
        """The figures as they stand beside those of other replies that `graders` have graded."""
        return Reference(self, graders)


@dataclass(frozen=True)
class Reference:
    """People's figures beside an evaluation."""

    people: People
    graders: Mapping[str, Mapping[str, Any]]
    """Graders of that evaluation; {} when not known."""

    def figure(self, name: str) -> Figure | None:
        """People's figure of a metric; None when there is none for such graders."""
        if name not in self.people.figures:
            return None
        role = _role(name)
        if role is None:
            return Figure(self.people.figures[name], stale=False)
        then, now = self.people.graders.get(role), self.graders.get(role)
        if then is None or now is None or _kind(then) != _kind(now):
            return None
        return Figure(self.people.figures[name], stale=not _same(then, now))

    def line(self, name: str) -> float | None:
        """The height of the reference line in a chart; None where none holds, stale ones too."""
        found = self.figure(name)
        return None if found is None or found.stale else found.estimate.mean

    def words(self, name: str, digits: int) -> str:
        """ "people 2.96 [2.91, 3.01]"; "" without a figure."""
        found = self.figure(name)
        return "" if found is None else found.words(digits)

    @property
    def note(self) -> str:
        """Where the figures come from, and which of them are stale."""
        people = self.people
        said = (
            f"People's figures: {people.replies} replies of {people.conversations} conversations "
            f"({people.source}), graded in the same way; not always the conversations evaluated "
            "here. Distinct word pairs fall with the amount of text."
        )
        old = [role for role in people.graders if self._differs(role)]
        if old:
            said += (
                f" They were made with another {' and '.join(old)} than graded these replies: "
                "what is called stale does not compare, and what cannot compare is left out. "
                "Make them again with python -m mint.people."
            )
        return said

    def _differs(self, role: str) -> bool:
        return role in self.graders and not _same(self.graders[role], self.people.graders[role])


def read_people(path: Path | None = None) -> People:
    """The figures of a file of `python -m mint.people`; None reads those that ship with mint.

    Raises ConfigError when the file cannot be read, DataError when it is none of that command.
    """
    own = resources.files("mint.evaluation") / SHIPPED
    text = own.read_text(encoding="utf-8") if path is None else read_text(path, "people=")
    try:
        row = yaml.safe_load(text)
        figures = {
            name: Estimate(mean=mean, ci_low=low, ci_high=high, n=n)
            for name, (mean, low, high, n) in row.pop("figures").items()
        }
        return People(**row, figures=figures)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"{path or SHIPPED}: not figures of `python -m mint.people`: {first}"
        ) from error


def write_people(path: Path, people: People) -> None:
    """Write figures, rounded to four decimals, as YAML."""
    row = asdict(people)
    row["figures"] = {
        name: [_rounded(e.mean), _rounded(e.ci_low), _rounded(e.ci_high), e.n]
        for name, e in people.figures.items()
    }
    body = yaml.safe_dump(row, sort_keys=False, default_flow_style=None, allow_unicode=True)
    write_text_atomic(path, _HEADER + body)


def reference_figures(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """Of the metrics of an outcome those that compare with other replies' and are known."""
    return {
        name: Estimate(**row)
        for name, row in metrics.items()
        if row["mean"] is not None and (_role(name) or name in _UNGRADED)
    }


def _role(name: str) -> str | None:
    """The grader that a metric depends on; None for one that no grader decides."""
    if name in _JUDGED or name.startswith(HELD_DOWN):
        return "judge"
    return "tagger" if name in _TAGGED else None


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two identities are one grader; in which precision it computes changes no mean."""

    def compared(identity: Mapping[str, Any]) -> dict[str, Any]:
        details = {k: v for k, v in identity["details"].items() if k != "dtype"}
        return {**identity, "details": details}

    return compared(first) == compared(second)


def _kind(identity: Mapping[str, Any]) -> Sequence[Any]:
    return identity["kind"], identity["name"]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
