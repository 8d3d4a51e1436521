"""People for dialogues, split so that no persona is in two parts: `python -m mint.persons`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mint.data.banks import load_scenarios
from mint.dialogue.persons import (
    authored_persons,
    generated_persons,
    overlap,
    person_row,
    read_persons,
    split_persons,
)
from mint.dialogue.protocol import INTENTIONS, Person
from mint.shell import cli
from mint.shell.files import check_output, write_json_lines
from mint.shell.paths import data_dir


@dataclass(frozen=True, kw_only=True)
class PersonsSettings:
    """Counts people and writes OUTPUT/train.jsonl, validation.jsonl and test.jsonl. With
    against=FILE it says how many of them that file holds as well: 54 of SAGE's 100 test personas
    are in RLVER's training profiles.
    """

    source: str = "authored"
    """authored (80 people, ten of each hidden intention), generated (the 64 shipped scenarios with
    each of the eight intentions), or a JSON lines file: mint's, or released profiles of RLVER and
    SAGE."""
    output: str | None = None
    """Folder for the parts; null only counts."""
    against: str | None = None
    """JSON lines file of people whose overlap with the source is reported."""
    validation: float = 0.1
    """Share of the personas of each intention for validation, in (0, 1)."""
    test: float = 0.2
    """Share for testing, in (0, 1)."""
    overwrite: bool = False
    """Replace the files of OUTPUT."""


def main(settings: PersonsSettings) -> None:
    """Entry point."""
    people = _people(settings.source)
    print(f"{len(people)} people of {settings.source}")
    _print_intentions({"all": people})
    if settings.against is not None:
        found = overlap(read_persons(Path(settings.against)), people)
        print(
            f"also in {settings.against}: {found.same_persona} of {found.people} personas, "
            f"{found.same_scene} scenes, {found.same_id} ids"
        )
    if settings.output is not None:
        directory = Path(settings.output)
        check_output(directory, settings.overwrite)
        shares = {"validation": settings.validation, "test": settings.test}
        parts = split_persons(people, {"train": 1 - sum(shares.values()), **shares})
        directory.mkdir(parents=True, exist_ok=True)
        for name, part in parts.items():
            write_json_lines(directory / f"{name}.jsonl", map(person_row, part))
        _print_intentions(parts)
        shared = sum(overlap(parts["train"], parts[name]).same_persona for name in shares)
        print(f"personas of training in the other parts: {shared}\nwritten to {directory}")


def _people(source: str) -> tuple[Person, ...]:
    if source == "authored":
        return authored_persons()
    if source == "generated":
        return generated_persons(load_scenarios(data_dir() / "scenarios"))
    return read_persons(Path(source))


def _print_intentions(parts: Mapping[str, tuple[Person, ...]]) -> None:
    counts = {name: Counter(person.intention for person in part) for name, part in parts.items()}
    print(f"  {'hidden intention':<24}" + "".join(f"{name:>12}" for name in parts))
    for intention in INTENTIONS:
        row = "".join(f"{count[intention]:>12}" for count in counts.values())
        print(f"  {intention:<24}{row}")


if __name__ == "__main__":
    sys.exit(cli.run(PersonsSettings, main))
