"""Small pieces of Markdown; text from outside stays text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_PATH = re.compile(r"(?<![\w/.:~-])(?:~/|/)(?=\S)(?:[^\s/'\",\]}]*/)*([^\s/'\",\]}]*)")


def local(said: object) -> str:
    """Text with this machine's paths cut to their last part.

    >>> local("mint.run.dir=/home/me/runs/a x=1/2 see https://example.org/b/c")
    'mint.run.dir=a x=1/2 see https://example.org/b/c'
    """
    return _PATH.sub(r"\1", str(said))


def plain(value: object) -> str:
    """Any value as one line of text that no reader takes for markup."""
    escaped = html.escape(" ".join(str(value).split()), quote=False)
    return escaped.translate({ord(mark): f"\\{mark}" for mark in "|`*[]"})


def code(value: object) -> str:
    """A name or hash; marks that could end it are left out."""
    return f"`{' '.join(str(value).split()).replace('`', '').replace('|', '')}`"


def block(text: str, language: str = "text") -> str:
    """Lines as they are."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of ready cells."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """A list of ready lines."""
    return "\n".join(f"- {line}" for line in lines)
