"""Published tables from released files: `python -m mint.reproduce upstream=PATH output=DIR`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from mint.reproduction.report.files import write
from mint.reproduction.report.summary import in_words
from mint.reproduction.results import reproduce
from mint.reproduction.settings import ReproduceSettings
from mint.shell import cli
from mint.shell.console import progress_bar, say
from mint.shell.files import check_can_write
from rewards.errors import ConfigError


def main(settings: ReproduceSettings) -> int:
    """Entry point of `python -m mint.reproduce`."""
    started = time.monotonic()
    output = Path(settings.output)
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output={settings.output} is a file; it must be a folder")
    check_can_write(output, "output")
    with progress_bar(transient=True) as bar:
        task = bar.add_task("start", total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        results = reproduce(settings, step)
    report = write(results, output)
    for line in in_words(results):
        say(line)
    say(f"report: {report} ({time.monotonic() - started:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(ReproduceSettings, main))
