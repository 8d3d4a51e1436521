"""GoEmotions (Demszky et al. 2020): comments with one or several of 28 emotions, as TSV."""

from __future__ import annotations

from pathlib import Path

from mint.shell.files import read_text, text_lines
from mint.supervised.labels import Labels
from mint.supervised.samples import Text
from rewards.errors import DataError

NAME = "goemotions"
_NO_SYSTEM = {"role": "system", "content": ""}
"""Comments have no task: an empty system message keeps a template's own, long one away."""


def read_comments(path: Path, labels: Labels, *, single: bool) -> tuple[list[Text], int]:
    """Comments of a file of lines TEXT, tab, class numbers with commas, tab, id.

    `single` keeps those with exactly one class; returned beside them is how many were left out.
    Raises ConfigError when the file cannot be read, DataError with file and line.
    """
    found, left_out = [], 0
    for number, line in text_lines(read_text(path, f"data.{NAME}: ")):
        place = f"{path}:{number}"
        cells = line.rstrip("\r").split("\t")
        if len(cells) < 2 or not cells[0].strip():
            raise DataError(
                f"{place}: expected TEXT, tab, class numbers, tab, id; got {line!r:.60}"
            )
        classes = _classes(place, cells[1], len(labels.names))
        if single and len(classes) > 1:
            left_out += 1
            continue
        group = cells[2] if len(cells) > 2 and cells[2] else f"{path.stem}-{number}"
        messages = (_NO_SYSTEM, {"role": "user", "content": cells[0].strip()})
        found.append(Text(source=NAME, group=group, messages=messages, emotions=classes))
    if not found:
        raise DataError(f"{path}: no comment with a class")
    return found, left_out


def _classes(place: str, cell: str, count: int) -> tuple[int, ...]:
    classes = []
    for word in cell.split(","):
        if not word.strip().isdecimal() or int(word) >= count:
            raise DataError(f"{place}: class {word!r:.20} is no number from 0 to {count - 1}")
        classes.append(int(word))
    return tuple(dict.fromkeys(classes))
