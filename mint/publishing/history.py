"""What a model card tells of the time before: runs that made the start, and interruptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mint.publishing.markdown import bullets, local, plain
from mint.rundir.manifest import attempts_of


def runs_before(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The runs of mint that have made the starting policy, the last one first."""
    while (found := manifest.get("begun_from")) is not None:
        yield found
        manifest = found


def files_of(row: Mapping[str, Any]) -> str:
    """Names of the data files of such a run."""
    names = ", ".join(Path(path).name for path in row["data"] or ())
    return plain(names) or "files that are not recorded"


def attempts_in_words(manifest: Mapping[str, Any]) -> str:
    """What changed when the run was continued; "" for one that was not."""
    rows = attempts_of(manifest)[1:] if manifest else []
    said = [
        f"Continued from step {row['from_step']}: "
        + (
            ", ".join(plain(local(f"{k}: {a} -> {b}")) for k, (a, b) in row["config_diff"].items())
            or "nothing changed"
        )
        for row in rows
    ]
    return bullets(said)
