"""What runs are called on a page: by the keys in which they differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from mint.reporting.comparison.run_settings import RunSettings

_MANY = 3
"""More keys than that make no label."""
_MACHINE_MADE = re.compile(r"\d[\d_.:-]*(?:_[0-9a-f]{4})?")
"""A number, or a date and time: the names that a sweep or a run without directory gets."""


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Dotted key -> the shortest ending that no other one has: "mint.reward.kl" -> "kl"."""
    full = list(keys)
    found = {}
    for key in full:
        parts = key.split(".")
        for depth in range(1, len(parts) + 1):
            end = ".".join(parts[-depth:])
            if sum(other == end or other.endswith(f".{end}") for other in full) == 1:
                break
        found[key] = end
    return found


def is_seed(key: str) -> bool:
    """Whether a key only makes chance fall out otherwise."""
    return key.rpartition(".")[2] in ("seed", "train_seed") and key != "mint.data.seed"


def machine_made(names: Sequence[str]) -> bool:
    """Whether all names are numbers or times, which tell nobody what ran there."""
    return all(_MACHINE_MADE.fullmatch(part) for name in names for part in name.split("/"))


def differing(runs: Sequence[RunSettings]) -> dict[str, list[Any]]:
    """Key -> its value in each run, for the keys whose values are not all equal; the seed first."""
    keys = {key for run in runs[1:] for key in run.differing(runs[0])}
    found = {key: [run.values.get(key) for run in runs] for key in sorted(keys)}
    seeds = [run.seed for run in runs]
    return {"mint.run.seed": seeds, **found} if len(set(map(str, seeds))) > 1 else found


def labels(runs: Sequence[RunSettings], recipes: Sequence[str], names: Sequence[str]) -> list[str]:
    """A label for each run: its recipe where these differ, the values that differ where they are
    few, else its folder's name; the seed, and the folder's name where all else is equal."""
    found = differing(runs)
    seeds = found.pop("mint.run.seed", None)
    if recipes and all(recipes) and len(set(recipes)) > 1:
        made = list(recipes)
    elif found and len(found) <= _MANY and "data" not in found:
        short = short_keys(found)
        made = [
            ", ".join(f"{short[key]} {values[i]}" for key, values in found.items())
            for i in range(len(runs))
        ]
    else:
        made = list(names)
    if seeds is not None:
        made = [f"{own}, seed {seed}" for own, seed in zip(made, seeds, strict=True)]
    count = Counter(made)
    return [
        own if count[own] == 1 or name == own else f"{own} ({name})"
        for own, name in zip(made, names, strict=True)
    ]
