"""What to do next with a run: commands ready to be copied."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mint.pages.html import code, facts, section
from mint.reporting.data import ReportData
from mint.reporting.tuning import tuned_by
from mint.shell.commands import COMMANDS


def going_on_section(data: ReportData) -> str:
    """Commands to go on with; "" where it is not known where the run is."""
    if not data.path:
        return ""
    rows = {title: code(command) for title, command in _commands(data)}
    lead = "A click selects a command."
    return section("go-on", "Go on", f'<div class="go-on">{facts(rows)}</div>', lead)


def _commands(data: ReportData) -> Iterator[tuple[str, str]]:
    run = shlex.quote(data.path)
    done = data.manifest is not None and data.manifest["status"] == "finished"
    # Runs of these neither `mint train` nor `mint publish` takes.
    command = tuned_by(data) or "train"
    yield from _if_there("watch", "Watch it", f"mint watch {run}", not done)
    yield "Curves in TensorBoard", f"tensorboard --logdir {shlex.quote(data.path + '/tensorboard')}"
    if not done:
        yield "Go on where it ended", f"mint {command} resume={run}"
        return
    if command != "train":
        yield from _if_there("chat", "Talk with it", f"mint chat {run}", True)
        model = shlex.quote(f"{data.path}/model")
        yield "Measure it", f"mint evaluate model={model} output=DIR data=FILE"
        yield "Compare it with another run", f"mint report {run} OTHER_RUN"
        return
    if data.steps:
        further = f"trainer.total_training_steps={2 * data.steps[-1]}"
        yield "Train further", f"mint train resume={run} {further}"
    yield from _if_there("chat", "Talk with it", f"mint chat {run}", True)
    yield "Measure it in every way", f"mint evaluate run={run} which=both protocol=all"
    yield "Compare it with another run", f"mint report {run} OTHER_RUN"
    yield "Publish it", f"mint publish {run} output=DIR"


def _if_there(name: str, title: str, command: str, wanted: bool) -> Iterator[tuple[str, str]]:
    if wanted and name in COMMANDS:
        yield title, command
