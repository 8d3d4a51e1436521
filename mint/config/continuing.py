"""Which run a command line wants to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mint.config.changes import OWN_KEYS, RESUME, RUN_DIR
from rewards.errors import ConfigError

SHORT = "resume"


class Resume(NamedTuple):
    """A run to go on with."""

    run: Path
    typed: list[str]
    """The overrides as they were given."""
    overrides: list[str]
    """Those of them that do not only say which run is meant."""
    allow_changes: bool


def asked_resume(overrides: Sequence[str], options: Sequence[str]) -> Resume | None:
    """The run that `resume=RUN`, or `mint.run.resume=true mint.run.dir=RUN`, names; None for a new
    one. Raises ConfigError when it is not clear, or when one of `options` has no meaning then."""
    given = {}
    for override in overrides:
        key, _, value = override.partition("=")
        given[key.lstrip("+")] = value.strip("\"'")
    short, folder = given.get(SHORT), given.get(RUN_DIR)
    if short is None and not _is_true(given.get(RESUME, "")):
        return None
    if short is not None and folder is not None and Path(short) != Path(folder):
        raise ConfigError(f"resume={short} and mint.run.dir={folder} are two runs; give one")
    run = short or folder
    if not run:
        raise ConfigError("which run is to go on? give resume=RUN, the run's folder")
    if options:
        raise ConfigError(
            f"{options[0]} has no meaning for a run that goes on; see RUN/config.yaml"
        )
    own = (SHORT, *OWN_KEYS)
    return Resume(
        run=Path(run).expanduser(),
        typed=list(overrides),
        overrides=[o for o in overrides if key_of(o) not in own],
        allow_changes=_is_true(given.get("mint.run.allow_changes", "")),
    )


def key_of(override: str) -> str:
    """The key of an override, without a leading plus."""
    return override.partition("=")[0].lstrip("+")


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "yes", "on", "y", "1")
