"""Every file of a reproduction."""

from __future__ import annotations

import json
from pathlib import Path

from mint.reproduction.report import formats, page
from mint.reproduction.report.summary import as_json
from mint.reproduction.results import Results
from mint.shell.files import write_text_atomic


def write(results: Results, output: Path) -> Path:
    """Write metrics.json, tables and report.html to the folder and return the report's path."""
    metrics = json.dumps(as_json(results), indent=1, allow_nan=False) + "\n"
    files = {"metrics.json": metrics, **formats.files(results), "report.html": page.render(results)}
    for name, content in files.items():
        write_text_atomic(output / name, content)
    return output / "report.html"
