"""Write a self-contained page about one run, or one that compares several:
`python -m mint.report RUN...`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

import mint
from mint import cli
from mint.evaluation.settings import EvaluationConfig
from mint.reporting import facts, outcome, replies, training, validation
from mint.reporting.compare import render_comparison
from mint.reporting.contestants import is_mixed, is_run, load_contestants
from mint.reporting.data import ReportData, load
from mint.reporting.html import text
from mint.runlog import RunDir, utc_now, write_text_atomic
from rewards.errors import ConfigError

_LINKS = {
    "outcome": "What changed",
    "measures": "Measures",
    "reward": "Reward",
    "health": "Health",
    "validation": "Validation",
    "tactics": "Tactics",
    "replies": "Replies",
    "samples": "Training replies",
    "time": "Time",
    "graders": "Graders",
    "facts": "Run facts",
    "notes": "Trust",
}


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """One run: write RUN/report.html, what training changed, how it went, and what it said.
    Several runs or evaluation folders: write one page that compares them.

    Works on a run that is not finished or not evaluated: the page says what is missing.
    """

    runs: list[str] = field(default_factory=list, metadata=cli.POSITIONAL)
    """Run directories and evaluation folders, given without key: python -m mint.report A B."""
    run: str | None = None
    """Run directory, the same as a single one without key."""
    output: str | None = None
    """File of the comparison; comparison.html in the first folder unless set."""
    allow_mixed: bool = False
    """Compare although different graders have graded; the page then carries a warning."""
    resamples: int = 10_000
    """Bootstrap resamples behind each interval of a comparison."""
    confidence: float = 0.95
    """Coverage of these intervals."""
    seed: int = 42
    """Seed of their resampling."""


def write_report(run: RunDir | str | Path) -> Path:
    """Write RUN/report.html from what the run directory has, and return its path.

    Raises ConfigError when it is not a run directory, DataError for a broken file.
    """
    run = run if isinstance(run, RunDir) else RunDir.open(run)
    write_text_atomic(run.report_path, render(load(run)))
    return run.report_path


def render(data: ReportData) -> str:
    """The whole page."""
    style = (resources.files("mint.reporting") / "style.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in _LINKS.items())
    sections = "".join(
        (
            outcome.outcome_section(data),
            outcome.measures_section(data),
            training.reward_section(data),
            training.health_section(data),
            validation.validation_section(data),
            outcome.tactics_section(data),
            training.tactic_curves_section(data),
            replies.pairs_section(data),
            replies.samples_section(data),
            training.time_section(data),
            facts.graders_section(data),
            facts.facts_section(data),
            facts.notes_section(data),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="icon" href="data:,">'
        f"<title>{text(data.name)} · mint report</title><style>{style}</style></head><body>"
        f'<a class="skip" href="#outcome">Skip to the results</a>{_header(data)}'
        f'<nav aria-label="Sections"><div>{links}</div></nav><main>{sections}</main>'
        f"<footer>Written by mint {text(mint.__version__)} on {utc_now()[:16].replace('T', ' ')} "
        "UTC from the files of the run directory.</footer></body></html>\n"
    )


def _header(data: ReportData) -> str:
    manifest = data.manifest
    title = data.name if manifest is None or not manifest["recipe"] else manifest["recipe"]
    parts = [f"{len(data.metrics)} training steps"]
    if manifest is not None:
        took = facts.duration(manifest)
        parts += [took] if took else []
        parts.append(str(manifest["started"])[:10])
    model = data.setting("actor_rollout_ref.model.path")
    if model is not None:
        parts.insert(0, Path(str(model)).name)
    status = manifest["status"] if manifest is not None else "no manifest"
    error = ""
    if manifest is not None and manifest["error"]:
        error = f'<p class="error" role="alert">The run failed: {text(manifest["error"])}</p>'
    return (
        '<header><div><p class="kicker">mint run report</p>'
        f'<h1>{text(title)} <span class="status {text(status)}">{text(status)}</span></h1>'
        f'<p class="muted">{" · ".join(text(part) for part in parts)}</p>{error}</div></header>'
    )


def write_comparison(settings: ReportSettings) -> Path:
    """Write the page that compares the folders of `settings`, and return its path.

    Raises ConfigError for a folder without evaluation and for different graders.
    """
    contestants = load_contestants(settings.runs, settings.allow_mixed)
    statistics = EvaluationConfig(
        resamples=settings.resamples, confidence=settings.confidence, seed=settings.seed
    )
    output = settings.output or str(Path(settings.runs[0]) / "comparison.html")
    page = render_comparison(contestants, statistics, is_mixed(contestants))
    write_text_atomic(Path(output), page)
    return Path(output)


def main(settings: ReportSettings) -> None:
    """Entry point of `python -m mint.report`."""
    runs = [*settings.runs, *([settings.run] if settings.run is not None else [])]
    if not runs:
        raise ConfigError(
            "give run directories or evaluation folders: python -m mint.report RUN..."
        )
    if len(runs) == 1 and (is_run(Path(runs[0])) or not Path(runs[0]).is_dir()):
        print(write_report(runs[0]))
    else:
        print(write_comparison(replace(settings, runs=runs)))


if __name__ == "__main__":
    sys.exit(cli.run(ReportSettings, main))
