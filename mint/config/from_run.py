"""`policy=RUN`: training starts from the model of a run of mint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mint.config.quoting import quoted
from rewards.errors import ConfigError

POLICY = "policy"
_MODEL = "actor_rollout_ref.model.path"


def with_policy(overrides: Sequence[str]) -> list[str]:
    """The overrides with `policy=RUN` as what it stands for: the model that the run has written,
    and nothing to build. Raises ConfigError when RUN has none, or a model is given beside it."""
    found = [override for override in overrides if override.startswith(f"{POLICY}=")]
    if not found:
        return list(overrides)
    if len(found) > 1:
        raise ConfigError(f"{found[1]}: {POLICY} is given twice")
    for override in overrides:
        if override.startswith((f"{_MODEL}=", "mint.policy.")):
            raise ConfigError(f"{override} and {found[0]} both name the starting policy; give one")
    run = Path(found[0].partition("=")[2].strip("\"'")).expanduser().resolve()
    if not (run / "manifest.json").is_file():
        raise ConfigError(f"{found[0]} is no run directory: it has no manifest.json")
    if not (run / "model" / "config.json").is_file():
        raise ConfigError(f"{found[0]} has no model yet: its training has not ended")
    kept = [override for override in overrides if override not in found]
    return [*kept, f"{_MODEL}={quoted(str(run / 'model'))}", "mint.policy.build=none"]
