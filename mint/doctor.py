"""What this machine has and lacks for training, within a second: `python -m mint.doctor`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from mint.config.rules import check, one_of
from mint.machine.diagnosis import Diagnosis, diagnose
from mint.machine.facts import disk, read_machine
from mint.shell import cli


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """Lists packages, GPUs, cores, memory, disk and running Ray clusters, whether they are right
    for the CPU stack and for the GPU stack (ok; near: works, but is not what was tested; no: stops
    training), and ends with the one thing to do. Exit status 0 when the stack is complete, else 1.
    """

    stack: str | None = None
    """cpu or gpu: which stack decides status and advice; null: gpu where a GPU or its stack is."""
    path: str = "."
    """Folder whose disk counts: where runs are to be written."""
    json: bool = False
    """Print JSON: facts, rows, stack, ready, advice."""

    def __post_init__(self) -> None:
        check(self, {"stack": one_of("cpu", "gpu", None)})


def main(config: DoctorConfig) -> int:
    """Exit status of the command."""
    machine = read_machine()
    found = diagnose(machine, disk(Path(config.path)), config.stack)
    if config.json:
        row = {"machine": asdict(machine), **found._asdict()}
        row["rows"] = [line._asdict() for line in found.rows]
        print(json.dumps(row, indent=1))
    else:
        print(table(found))
    return 0 if found.ready else 1


def table(found: Diagnosis) -> str:
    """The rows in columns, and the advice."""
    head = ("", "found", "cpu", "gpu", "")
    rows = [head, *((r.what, r.found, r.cpu or "-", r.gpu or "-", r.note) for r in found.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", f"{found.stack} stack: {found.advice}"])


if __name__ == "__main__":
    sys.exit(cli.run(DoctorConfig, main))
