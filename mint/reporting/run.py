"""The page of one run, made of its files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import mint
from mint.pages.html import text
from mint.reporting import facts, outcome, replies, training, validation
from mint.reporting.data import ReportData, load
from mint.rundir.directory import RunDir
from mint.shell.files import utc_now, write_text_atomic

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
