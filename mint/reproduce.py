"""Published tables from released files: `python -m mint.reproduce upstream=PATH output=DIR`, or
`sage=PATH` for SAGE's leaderboard."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from mint.reproduction.report.files import write
from mint.reproduction.report.summary import in_words
from mint.reproduction.results import Step, reproduce
from mint.reproduction.settings import ReproduceSettings
from mint.shell import cli
from mint.shell.console import progress_bar, say
from mint.shell.files import check_output


def main(settings: ReproduceSettings) -> int:
    """Entry point of `python -m mint.reproduce`."""
    started = time.monotonic()
    output = Path(settings.output)
    check_output(output, settings.overwrite)
    with progress_bar(transient=True) as bar:
        task = bar.add_task("start", total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        report, lines = _from_files(settings, output, step)
    for line in lines:
        say(line)
    say(f"report: {report} ({time.monotonic() - started:.0f} s)")
    return 0


def _from_files(
    settings: ReproduceSettings, output: Path, step: Step
) -> tuple[Path, Iterable[str]]:
    if settings.sage is not None:
        # Imported here: readers of tables, which the help should not wait for.
        from mint.reproduction.sage import files as sage_files
        from mint.reproduction.sage.results import reproduce_sage

        dialogues = reproduce_sage(settings, step)
        return sage_files.write(dialogues, output), sage_files.in_words(dialogues)
    results = reproduce(settings, step)
    return write(results, output), in_words(results)


if __name__ == "__main__":
    sys.exit(cli.run(ReproduceSettings, main))
