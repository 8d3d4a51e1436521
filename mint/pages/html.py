"""Small pieces of HTML. Everything that enters as text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from rewards.tactics import TACTIC_INDEX, TACTICS

MINUS = "−"


def text(value: object) -> str:
    """Any value as escaped text."""
    return escape(str(value), quote=True)


def label(name: str) -> str:
    """A tactic, dimension or metric name for people: "self_disclosure" -> "self disclosure"."""
    return text(name.replace("_", " "))


def number(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """A number with a real minus sign; a dash when there is none."""
    if value is None:
        return "–"
    shown = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if float(shown) == 0:
        shown = shown.lstrip("+-")
    return shown.replace("-", MINUS)


def section(anchor: str, title: str, body: str, lead: str = "") -> str:
    """A titled part of the page."""
    intro = f'<p class="lead">{lead}</p>' if lead else ""
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-h">'
        f'<h2 id="{anchor}-h">{text(title)}</h2>{intro}{body}</section>'
    )


def figure(title: str, drawing: str, explanation: str) -> str:
    """A drawing with its title and the one sentence that says how to read it."""
    return (
        f'<figure class="card figure"><h3>{text(title)}</h3>{drawing}'
        f"<figcaption>{explanation}</figcaption></figure>"
    )


def missing(what: str, remedy: str = "") -> str:
    """A note in the place of something the run directory lacks."""
    tail = f" {remedy}" if remedy else ""
    return f'<p class="missing">{text(what)}{tail}</p>'


def code(command: str) -> str:
    """A command or file name."""
    return f"<code>{text(command)}</code>"


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], caption: str, kind: str = "plain"
) -> str:
    """A table of ready cells (already escaped); the first cell of a row is its header."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f"<td>{c}</td>" for c in row[1:]) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}">'
        f'<table class="{kind}">'
        f'<caption class="sr">{text(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def facts(rows: Mapping[str, str]) -> str:
    """A list of names and ready values."""
    items = "".join(f"<div><dt>{text(k)}</dt><dd>{v}</dd></div>" for k, v in rows.items())
    return f'<dl class="facts">{items}</dl>'


def more(title: str, body: str) -> str:
    """Content that is folded away at first."""
    return f'<details class="more"><summary>{text(title)}</summary>{body}</details>'


def tactic_class(name: str) -> str:
    """CSS class of a tactic's colour."""
    return f"t{TACTIC_INDEX[name]}" if name in TACTIC_INDEX else "none"


def tagged_reply(sentences: Sequence[str], tactics: Sequence[Sequence[str]], reply: str) -> str:
    """A reply whose sentences are marked by tactic; plain text when it was not tagged."""
    if not sentences or len(sentences) != len(tactics):
        return (
            f'<p class="reply">{text(reply)}</p>'
            if reply
            else '<p class="reply empty">(no visible reply)</p>'
        )
    marked = [
        _sentence(sentence, names) for sentence, names in zip(sentences, tactics, strict=True)
    ]
    return f'<p class="reply">{" ".join(marked)}</p>'


def _sentence(sentence: str, names: Sequence[str]) -> str:
    if not names:
        return f'<span class="unit"><span title="no tactic found">{text(sentence)}</span></span>'
    title = text(", ".join(name.replace("_", " ") for name in names))
    tags = "".join(f'<i class="tag {tactic_class(n)}">{label(n)}</i>' for n in names)
    return (
        f'<span class="unit"><span class="s {tactic_class(names[0])}" title="{title}">'
        f"{text(sentence)}</span>{tags}</span>"
    )


def tactic_legend() -> str:
    """The ten tactics with colour and definition."""
    items = "".join(
        f'<li><i class="tag t{k}">{label(t.name)}</i> <span>{text(t.definition)}</span></li>'
        for k, t in enumerate(TACTICS)
    )
    return f'<details class="legend"><summary>The ten tactics</summary><ul>{items}</ul></details>'


def tactic_list(counts: Sequence[Any]) -> str:
    """Tags of the tactics with a count above 0."""
    tags = [
        f'<i class="tag t{k}">{label(tactic.name)}</i>'
        for k, (tactic, count) in enumerate(zip(TACTICS, counts, strict=False))
        if count
    ]
    return " ".join(tags) if tags else '<span class="muted">none found</span>'
