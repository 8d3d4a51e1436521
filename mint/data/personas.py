"""What a prompt says of a supporter's manner (data/personas)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from mint.config.prompts import ANY, LEVELS, TRAITS, Persona
from mint.shell.files import read_json
from mint.shell.paths import data_dir
from rewards.errors import DataError


def persona_text(persona: Persona) -> str:
    """A sentence for each trait that is not left open, in the order of the traits; "" for none."""
    levels = {trait: getattr(persona, trait) for trait in TRAITS}
    return " ".join(_wording()[trait][level] for trait, level in levels.items() if level != ANY)


@cache
def _wording() -> Mapping[str, Mapping[str, str]]:
    """Trait -> level -> sentence. Raises DataError unless the file has every one."""
    path = data_dir() / "personas" / "wording.json"
    table: Mapping[str, Mapping[str, str]] = read_json(path)
    for trait in TRAITS:
        for level in LEVELS:
            if level != ANY and not table.get(trait, {}).get(level):
                raise DataError(f"{path}: no sentence for {trait}, {level}")
    return table
