"""The phrases that the rules look for: word lists as text files beside this module.

`[name]` begins a list; every line of it is one alternative, a regular expression. An indented line
goes on where the line before it ends, `<name>` stands for another list of the file as it is, and
`#` begins a comment. In a list a space is any white space (with ? or * after it there may be none),
and a word left open, (?:\\w+ ), is never "not", "never" or "no": those are written where they are
meant.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_HEAD = re.compile(r"\[([a-z_]+)\]")
_NAME = re.compile(r"<([a-z_]+)>")
_OPEN_WORD = r"(?:\w+ )"
_OPEN_WORD_NOT_DENYING = r"(?:(?!(?:not|never|no)\b)\w+ )"


@cache
def pattern(place: str) -> re.Pattern[str]:
    """The whole-word pattern, in any case, of the list `place`, given as file/name.

    >>> pattern("crisis/dismissal").search("Cheer  up!")[0]
    'Cheer  up'
    """
    file, name = place.split("/")
    joined = _insert(_read(file), name).replace(_OPEN_WORD, _OPEN_WORD_NOT_DENYING)
    joined = re.sub(r" [?*]", r"\\s*", joined).replace(" ", r"\s+")
    return re.compile(rf"\b(?:{joined})\b", re.IGNORECASE)


@cache
def _read(file: str) -> dict[str, str]:
    text = resources.files(__name__).joinpath(f"{file}.txt").read_text(encoding="utf-8")
    lists: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if head := _HEAD.fullmatch(line):
            lines = lists[head[1]] = []
        elif line.startswith("  "):
            lines[-1] += line[2:]
        elif line and not line.startswith("#"):
            lines.append(line)
    return {name: "|".join(own) for name, own in lists.items()}


def _insert(lists: dict[str, str], name: str) -> str:
    return _NAME.sub(lambda match: _insert(lists, match[1]), lists[name])
