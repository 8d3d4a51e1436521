"""Watch runs while they train, in the browser: `python -m mint.watch RUN...`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp

from mint.shell import cli
from mint.web.listen import WebSettings, read_token
from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class WatchSettings(WebSettings):
    """Serves a page that shows a run while it goes on: what it does and how long it will take,
    alarms with their thresholds, the newest replies, and all of the run's report. Several runs are
    laid over each other; the folder of a sweep shows its jobs, its table and its front.

    It only reads, and only while a browser has a page open. A run may fail, be restarted or be
    finished meanwhile. Ctrl-C ends it.
    """

    runs: list[str] = field(default_factory=list, metadata=cli.POSITIONAL)
    """Run directories, or the folder of one sweep: python -m mint.watch RUN RUN."""
    demo: bool = False
    """Show a run that is made up by code and goes on for two minutes; its figures mean nothing."""


def main(settings: WatchSettings) -> None:
    """Serve until a signal comes."""
    if bool(settings.runs) == settings.demo:
        raise ConfigError(
            "give run directories or the folder of a sweep, or --demo alone: "
            "python -m mint.watch RUN..."
        )
    token = read_token(settings.token_file)
    # Imported here: what draws pages takes a second, which --help should not wait for.
    from mint.watching.app import application
    from mint.watching.demo import going_on
    from mint.watching.overview import make_pages
    from mint.web.server import serve

    with ExitStack() as stack:
        runs = settings.runs or [str(stack.enter_context(going_on()))]
        first = make_pages([Path(run) for run in runs])

        def make(port: int, stopping: asyncio.Event) -> ASGIApp:
            return application(first, token, f"mint_{port}", stopping)

        serve(make, settings, "demo" if settings.demo else f"watching {', '.join(runs)}")


if __name__ == "__main__":
    sys.exit(cli.run(WatchSettings, main))
