"""Replies whose sentences are marked by tactic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mint.pages.html import more, spaced, text
from rewards.tactics import TACTIC_INDEX, TACTICS

_LAST = 2
"""Messages before the answered one that are not folded away."""


def tagged_reply(sentences: Sequence[str], tactics: Sequence[Sequence[str]], reply: str) -> str:
    """A reply whose sentences are marked by tactic; plain text when it was not tagged."""
    if sentences and len(sentences) == len(tactics):
        marked = " ".join(_sentence(*one) for one in zip(sentences, tactics, strict=True))
        return f'<p class="reply">{marked}</p>'
    if reply:
        return f'<p class="reply">{text(reply)}</p>'
    return '<p class="reply empty">(no visible reply)</p>'


def tactic_legend() -> str:
    """The ten tactics with colour and definition."""
    items = "".join(
        f"<li>{_tag(tactic.name)} <span>{text(tactic.definition)}</span></li>" for tactic in TACTICS
    )
    return f'<details class="legend"><summary>The ten tactics</summary><ul>{items}</ul></details>'


def tactic_list(counts: Sequence[Any]) -> str:
    """Tags of the tactics with a count above 0."""
    tags = [_tag(one.name) for one, count in zip(TACTICS, counts, strict=False) if count]
    return " ".join(tags) if tags else '<span class="muted">none found</span>'


def side_by_side(top: str, sides: Sequence[str]) -> str:
    """Answers to the same message (ready HTML) below what is said about it."""
    return f'<article class="card pair">{top}<div class="sides">{"".join(sides)}</div></article>'


def conversation(history: Sequence[tuple[str, str]]) -> str:
    """What was said before (role and text), all but the last two messages folded away."""
    turns = [_turn(role, said) for role, said in history]
    older, last = "".join(turns[:-_LAST]), "".join(turns[-_LAST:])
    count = len(turns) - _LAST
    return (more(f"{count} earlier message{'s' * (count > 1)}", older) if older else "") + last


def _turn(role: str, said: str) -> str:
    if role == "seeker":
        return seeker(said)
    return f'<p class="seeker supporter"><b>Supporter</b> {text(said)}</p>'


def seeker(said: str) -> str:
    """What the person said."""
    return f'<p class="seeker"><b>Seeker</b> {text(said)}</p>'


def side(title: str, body: str, scores: str, kind: str = "") -> str:
    """One of several replies (ready HTML) with its line of scores."""
    return (
        f'<div class="{f"side {text(kind)}".rstrip()}"><h4>{text(title)}</h4>{body}'
        f'<p class="scores">{scores}</p></div>'
    )


def _sentence(sentence: str, names: Sequence[str]) -> str:
    if not names:
        return f'<span class="unit"><span title="no tactic found">{text(sentence)}</span></span>'
    return (
        f'<span class="unit"><span class="s {_colour(names[0])}" '
        f'title="{text(spaced(", ".join(names)))}">{text(sentence)}</span>'
        f"{''.join(map(_tag, names))}</span>"
    )


def _tag(name: str) -> str:
    return f'<i class="tag {_colour(name)}">{text(spaced(name))}</i>'


def _colour(name: str) -> str:
    """CSS class of a tactic."""
    return f"t{TACTIC_INDEX[name]}" if name in TACTIC_INDEX else "none"
