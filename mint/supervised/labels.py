"""Names of classes, and what other names mean; data files in `data/supervised`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mint.shell.cli import nearest
from mint.shell.files import read_json
from mint.shell.paths import data_dir
from rewards.errors import DataError

FOLDER = "supervised"


@dataclass(frozen=True)
class Labels:
    """Classes of a head."""

    what: str
    """emotion or strategy."""
    names: tuple[str, ...]
    spellings: Mapping[str, str]
    """Other names, in lower case -> class."""

    def index(self, name: str) -> int:
        """Number of the class that a name means. Raises DataError for one that means none."""
        word = name.strip().lower()
        for place, known in enumerate(self.names):
            if word == known.lower():
                return place
        if word in self.spellings:
            return self.names.index(self.spellings[word])
        known_words = (*self.names, *self.spellings)
        raise DataError(f"unknown {self.what} {name!r:.40}{nearest(name, known_words)}")


def emotions() -> Labels:
    """The 28 classes of GoEmotions; the 32 words of EmpatheticDialogues mean some of them."""
    table = _table("emotions.json", ("classes", "empathetic_dialogues"))
    return _labels("emotion", table["classes"], table["empathetic_dialogues"])


def strategies() -> Labels:
    """The 8 strategies of ESConv."""
    table = _table("strategies.json", ("classes", "spellings"))
    return _labels("strategy", table["classes"], table["spellings"])


def tactics_of_strategies() -> dict[str, list[str]]:
    """Strategy -> the tactics of MINT that it stands for."""
    return dict(_table("strategies.json", ("tactics",))["tactics"])


def strategy_of_tactics() -> dict[str, str]:
    """Tactic of MINT -> the strategy that it is counted as."""
    return dict(_table("strategies.json", ("of_tactic",))["of_tactic"])


def _labels(what: str, names: Sequence[str], spellings: Mapping[str, str]) -> Labels:
    for other, name in spellings.items():
        if name not in names:
            raise DataError(f"{what} {other!r} is mapped to {name!r}, which is no class")
    return Labels(what, tuple(names), dict(spellings))


def _table(name: str, keys: Sequence[str]) -> dict[str, Any]:
    path: Path = data_dir() / FOLDER / name
    table: dict[str, Any] = read_json(path)
    for key in keys:
        if key not in table:
            raise DataError(f"{path}: {key!r} is missing")
    return table
