"""Published tables from released files: `python -m mint.reproduce upstream=PATH output=DIR`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from mint.reproduction import page, tables
from mint.reproduction.results import Results, as_json, reproduce
from mint.reproduction.settings import ReproduceSettings
from mint.shell import cli
from mint.shell.console import progress_bar, say
from mint.shell.files import write_text_atomic
from rewards.errors import ConfigError

_LISTED = 10
"""Differing cells named at the end."""


def main(settings: ReproduceSettings) -> int:
    """Entry point of `python -m mint.reproduce`."""
    started = time.monotonic()
    output = Path(settings.output)
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output={settings.output} is a file; it must be a folder")
    results = _with_progress(settings)
    report = write(results, output)
    for line in summary(results):
        say(line)
    say(f"report: {report} ({time.monotonic() - started:.0f} s)")
    return 0


def write(results: Results, output: Path) -> Path:
    """Write every file of the results to the folder and return the report's path."""
    output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(results), indent=1, allow_nan=False)
    write_text_atomic(output / "metrics.json", text + "\n")
    for name, content in tables.files(results).items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(output / name, content)
    report = output / "report.html"
    write_text_atomic(report, page.render(results))
    return report


def summary(results: Results) -> list[str]:
    """What a person wants to know at the end."""
    tolerance = results.published.tolerance
    lines = [
        f"main table: {results.num_reproduced} of {len(results.cells)} cells within {tolerance} "
        f"of the published value, {len(results.systems)} systems found"
    ]
    different = [cell for cell in results.cells if not cell.reproduces(tolerance)]
    lines += [
        f"  differs: {cell.system} {cell.metric} {cell.observed:.3f}, published "
        f"{cell.published:.2f}"
        for cell in different[:_LISTED]
    ]
    if len(different) > _LISTED:
        lines.append(f"  and {len(different) - _LISTED} more, all in metrics.json")
    computed = [check for check in results.claims if check.reproduces is not None]
    lines.append(
        f"claims: {sum(bool(check.reproduces) for check in computed)} of {len(computed)} computed "
        f"ones reproduce; {len(results.claims) - len(computed)} need a missing system"
    )
    if results.absent:
        lines.append(f"missing ({len(results.absent)}): {', '.join(results.absent)}")
    return lines


def _with_progress(settings: ReproduceSettings) -> Results:
    with progress_bar(transient=True) as bar:
        task = bar.add_task("start", total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        return reproduce(settings, step)


if __name__ == "__main__":
    sys.exit(cli.run(ReproduceSettings, main))
