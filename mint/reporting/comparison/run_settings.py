"""What a run was trained with, without what may differ between runs of one recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from mint.rundir.directory import RunDir
from mint.shell.files import read_json_if_there

_DATA_SEED = "mint.data.seed"
"""Makes other conversations, and so another experiment."""
_NAMES = (
    *("mint.run.name", "mint.run.dir", "mint.run.resume", "mint.run.watch"),
    "trainer.experiment_name",
)


class RunSettings(NamedTuple):
    """Settings and data of a run."""

    seed: Any
    """mint.run.seed."""
    values: Mapping[str, Any]
    """Dotted key -> value, without seeds and names of the run; `data` -> hash of each file."""

    def differing(self, other: RunSettings) -> list[str]:
        """Keys whose values differ, sorted; [] for runs that differ in the seed alone."""
        keys = self.values.keys() | other.values.keys()
        absent = object()
        return sorted(
            key for key in keys if self.values.get(key, absent) != other.values.get(key, absent)
        )


def run_settings(run: RunDir) -> RunSettings | None:
    """Of a run directory; None without configuration. Raises ConfigError for a broken one."""
    if not run.config_path.is_file():
        return None
    config = OmegaConf.to_container(run.read_config())
    flat = dict(_flat(config, ""))
    place = str(flat["mint.run.dir"]) if flat.get("mint.run.dir") else str(run.path)
    kept = {
        key: value.replace(place, "RUN") if isinstance(value, str) else value
        for key, value in flat.items()
        if key not in _NAMES and (key == _DATA_SEED or not _is_seed(key))
    }
    manifest = read_json_if_there(run.manifest_path)
    if manifest is not None:
        kept["data"] = sorted(str(content) for content in manifest["data"].values())
    return RunSettings(flat.get("mint.run.seed"), kept)


def _is_seed(key: str) -> bool:
    name = key.rpartition(".")[2]
    return name == "seed" or name.endswith("_seed")


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys of nested mappings with their values; lists are values."""
    if not isinstance(value, Mapping):
        yield key, value
        return
    for name, own in value.items():
        yield from _flat(own, f"{key}.{name}" if key else str(name))
