"""The page of one run, made of its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mint.evaluation.people import People
from mint.pages import page
from mint.reporting import (
    canaries,
    dialogues,
    explorer,
    facts,
    going_on,
    outcome,
    ratings,
    replies,
    training,
    tuning,
    validation,
)
from mint.reporting.data import ReportData, load
from mint.rundir.directory import RunDir
from mint.shell.files import write_text_atomic

Section = Callable[[ReportData], str]
_LINKS = {
    "scores": "What was learnt",
    "tuning": "Training",
    "outcome": "What changed",
    "dialogues": "Dialogues",
    "measures": "Measures",
    "ratings": "Ratings",
    "reward": "Reward",
    "health": "Health",
    "validation": "Validation",
    "tactics": "Tactics",
    "replies": "Replies",
    "all-replies": "All replies",
    "samples": "Training replies",
    "dialogue-curves": "Dialogues in training",
    "dialogue-samples": "Training dialogues",
    "canaries": "Canaries",
    "time": "Time",
    "graders": "Graders",
    "settings": "Settings",
    "facts": "Run facts",
    "notes": "Trust",
    "go-on": "Go on",
}
SECTIONS: tuple[Section, ...] = (
    dialogues.dialogues_section,
    outcome.outcome_section,
    outcome.measures_section,
    ratings.ratings_section,
    dialogues.dialogue_curves_section,
    training.reward_section,
    training.health_section,
    validation.validation_section,
    outcome.tactics_section,
    training.tactic_curves_section,
    replies.pairs_section,
    explorer.explorer_section,
    replies.samples_section,
    dialogues.dialogue_samples_section,
    canaries.canaries_section,
    training.time_section,
    facts.graders_section,
    facts.facts_section,
    facts.notes_section,
    going_on.going_on_section,
)
_OF_REPLIES: tuple[Section, ...] = (
    outcome.outcome_section,
    outcome.measures_section,
    ratings.ratings_section,
    outcome.tactics_section,
    replies.pairs_section,
    explorer.explorer_section,
    canaries.canaries_section,
)
"""Of replies before and after; left out of the page of a run that has not evaluated any."""
_TUNED: tuple[Section, ...] = (
    tuning.scores_section,
    tuning.curves_section,
    *_OF_REPLIES,
    tuning.settings_section,
    facts.facts_section,
)
"""Of a run of `mint sft` or `mint prefer`."""


STEPWISE: frozenset[Section] = frozenset(
    (
        dialogues.dialogue_curves_section,
        dialogues.dialogue_samples_section,
        replies.samples_section,
        training.reward_section,
        training.health_section,
        training.tactic_curves_section,
        training.time_section,
        tuning.curves_section,
        tuning.scores_section,
        validation.validation_section,
    )
)
"""Those that change with every step of training."""


def write_report(
    run: RunDir | str | Path, people: People | None = None, output: Path | None = None
) -> Path:
    """Write RUN/report.html, or `output`, from what the run directory has; returns its path.

    `people`: figures of people's replies; None takes those that ship with mint.

    Raises ConfigError when it is not a run directory, DataError for a broken file.
    """
    run = run if isinstance(run, RunDir) else RunDir.open(run)
    page_path = output or run.report_path
    write_text_atomic(page_path, render(load(run, people)))
    return page_path


def render(data: ReportData) -> str:
    """The whole page."""
    body = "".join(make(data) for make in sections_of(data))
    return page.render(head_of(data), links_of(body), body, " from the files of the run directory")


def sections_of(data: ReportData) -> tuple[Section, ...]:
    """What the page of this kind of run is made of, in order."""
    if not tuning.is_tuned(data):
        return SECTIONS
    evaluated = data.before is not None or data.after is not None
    return tuple(make for make in _TUNED if evaluated or make not in _OF_REPLIES)


def links_of(body: str) -> dict[str, str]:
    """Anchor -> title of the sections that are in the body of a page."""
    return {anchor: title for anchor, title in _LINKS.items() if f'<section id="{anchor}"' in body}


def head_of(data: ReportData) -> page.Head:
    """What stands at the top of the page."""
    manifest = data.manifest
    error = ""
    about = [f"{len(data.metrics)} training steps"]
    model = data.setting("actor_rollout_ref.model.path")
    if model is not None:
        about.insert(0, Path(str(model)).name)
    if manifest is not None:
        took = facts.duration(manifest)
        error = f"The run failed: {manifest['error']}" if manifest["error"] else ""
        about += [*([took] if took else []), str(manifest["started"])[:10]]
    return page.Head(
        title=f"{data.name} · mint report",
        kicker="mint run report",
        heading=data.name if manifest is None else manifest["recipe"] or data.name,
        about=about,
        skip_to="results",
        status="no manifest" if manifest is None else manifest["status"],
        error=error,
    )
