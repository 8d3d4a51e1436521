"""placeholder"""

from __future__ import annotations

from pathlib import Path


def write_page(folder: Path) -> Path:
    return folder / "sweep.html"
