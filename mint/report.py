"""Write a self-contained page about one run, or one that compares several:
`python -m mint.report RUN...`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from mint.config.evaluation import EvaluationConfig
from mint.config.rules import check, one_of
from mint.evaluation.people import People, read_people
from mint.reporting.comparison.contestants import is_mixed, is_run, load_contestants
from mint.reporting.comparison.page import render_comparison
from mint.reporting.run import write_report
from mint.shell import cli
from mint.shell.files import check_output_file, write_text_atomic
from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """One run: write RUN/report.html, what training changed, how it went, and what it said.
    Several runs or evaluation folders: write one page that compares them. The folder of a sweep:
    write its page again.

    Works on a run that is not finished or not evaluated: the page says what is missing.
    """

    runs: list[str] = field(default_factory=list, metadata=cli.POSITIONAL)
    """Run directories and evaluation folders, given without key: python -m mint.report A B."""
    run: str | None = None
    """Run directory, the same as a single one without key."""
    overwrite: bool = False
    """Replace the file that `output` names."""
    output: str | None = None
    """File of the page; unless set RUN/report.html, comparison.html in the first of several folders
    or sweep.html in a sweep's."""
    allow_mixed: bool = False
    """Compare although different graders have graded; the page then carries a warning."""
    contrasts: str = "first"
    """How a comparison judges: first tests every system against the first and corrects the verdicts
    of a table for their number (Benjamini and Hochberg), none goes by each interval alone."""
    resamples: int = 10_000
    """Bootstrap resamples behind each interval of a comparison."""
    confidence: float = 0.95
    """Coverage of these intervals."""
    seed: int = 42
    """Seed of their resampling."""
    people: str | None = None
    """Figures of people's replies by python -m mint.people; null: those that ship with mint."""

    def __post_init__(self) -> None:
        check(self, {"contrasts": one_of("first", "none")})


def write_comparison(settings: ReportSettings) -> Path:
    """Write the page that compares the folders of `settings`, and return its path.

    Raises ConfigError for a folder without evaluation and for different graders.
    """
    output = _output(settings) or Path(settings.runs[0]) / "comparison.html"
    check_output_file(output)
    contestants = load_contestants(settings.runs, settings.allow_mixed)
    statistics = _statistics(settings)
    page = render_comparison(
        contestants,
        statistics,
        is_mixed(contestants),
        settings.contrasts == "first",
        _people(settings),
    )
    write_text_atomic(output, page)
    return output


def _output(settings: ReportSettings) -> Path | None:
    """The file that is named, once it is known that it can be written."""
    if settings.output is None:
        return None
    return check_output_file(settings.output, overwrite=settings.overwrite)


def _statistics(settings: ReportSettings) -> EvaluationConfig:
    return EvaluationConfig(
        resamples=settings.resamples, confidence=settings.confidence, seed=settings.seed
    )


def _people(settings: ReportSettings) -> People | None:
    return None if settings.people is None else read_people(Path(settings.people))


def main(settings: ReportSettings) -> None:
    """Entry point of `python -m mint.report`."""
    runs = [*settings.runs, *([settings.run] if settings.run is not None else [])]
    if not runs:
        raise ConfigError(
            "give run directories or evaluation folders: python -m mint.report RUN..."
        )
    if len(runs) == 1 and (Path(runs[0]) / "sweep.json").is_file():
        # Imported here: runs alone need none of it.
        from mint.sweeping.page import write_page

        folder = Path(runs[0]).resolve()
        print(write_page(folder, _statistics(settings), _people(settings), _output(settings)))
    elif len(runs) == 1 and (is_run(Path(runs[0])) or not Path(runs[0]).is_dir()):
        print(write_report(runs[0], _people(settings), _output(settings)))
    else:
        print(write_comparison(replace(settings, runs=runs)))


if __name__ == "__main__":
    sys.exit(cli.run(ReportSettings, main))
