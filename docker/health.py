"""Health of a training container: `python health.py OUTPUTS [MINUTES]`.

Healthy (status 0) unless the run that was written to last says it is running although none of its
files has changed for MINUTES (90: `mint.run.step_timeout_s` and a half), or the disk below OUTPUTS
is full. Standard library only.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

MINUTES = 90.0
FULL_BYTES = 1 << 30


def problem(outputs: Path, minutes: float = MINUTES) -> str:
    """What is wrong, "" when nothing is."""
    if not outputs.is_dir():
        return ""
    free = shutil.disk_usage(outputs).free
    if free < FULL_BYTES:
        return f"{free / 1e9:.1f} GB are free below {outputs}"
    manifests = sorted(outputs.rglob("manifest.json"), key=lambda path: path.stat().st_mtime)
    if not manifests:
        return ""
    run = manifests[-1].parent
    if json.loads(manifests[-1].read_text(encoding="utf-8")).get("status") != "running":
        return ""
    files = [*run.glob("*"), *run.glob("logs/*"), *run.glob("checkpoints/*")]
    quiet = (time.time() - max(path.stat().st_mtime for path in files)) / 60
    return f"{run} says it is running and has been silent for {quiet:.0f} min" * (quiet > minutes)


if __name__ == "__main__":
    found = problem(Path(sys.argv[1]), *map(float, sys.argv[2:3]))
    print(found or "healthy")
    sys.exit(1 if found else 0)
