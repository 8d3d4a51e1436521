"""Small pieces of HTML. Everything that enters as text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

MINUS = "−"


def text(value: object) -> str:
    """Any value as escaped text."""
    return escape(str(value), quote=True)


def spaced(name: str) -> str:
    """A tactic, dimension or metric name for people: "self_disclosure" -> "self disclosure"."""
    return name.replace("_", " ")


def number(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """A number with a real minus sign; a dash when there is none."""
    if value is None:
        return "–"
    shown = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if float(shown) == 0:
        shown = shown.lstrip("+-")
    return shown.replace("-", MINUS)


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """ "[low, high]"."""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def section(anchor: str, title: str, body: str, lead: str = "") -> str:
    """A titled part of the page."""
    intro = f'<p class="lead">{lead}</p>' if lead else ""
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-h">'
        f'<h2 id="{anchor}-h">{text(title)}</h2>{intro}{body}</section>'
    )


def figure(title: str, drawing: str, explanation: str) -> str:
    """A drawing with its title and the sentences that say how to read it."""
    return (
        f'<figure class="card figure"><h3>{text(title)}</h3>{drawing}'
        f"<figcaption>{explanation}</figcaption></figure>"
    )


def grid(parts: Iterable[str]) -> str:
    """Figures or cards side by side where the page is wide enough."""
    return f'<div class="grid">{"".join(parts)}</div>'


def missing(what: str, remedy: str = "") -> str:
    """A note in the place of something that is not there; `remedy` is ready HTML."""
    tail = f" {remedy}" if remedy else ""
    return f'<p class="missing">{text(what)}{tail}</p>'


def watch(title: str, lines: Sequence[str]) -> str:
    """A box of warnings (ready HTML); "" without any."""
    return f'<aside class="watch"><h3>{text(title)}</h3>{listed(lines)}</aside>' if lines else ""


def listed(lines: Iterable[str], kind: str = "") -> str:
    """A list of ready lines; numbered when its `kind` is "numbers"."""
    tag = "ol" if kind == "numbers" else "ul"
    named = f' class="{kind}"' if kind else ""
    return f"<{tag}{named}>{''.join(f'<li>{line}</li>' for line in lines)}</{tag}>"


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


def chip(verdict: str, said: str) -> str:
    """A small coloured label; the first word of `verdict` gives the colour."""
    return f'<span class="chip {verdict.split()[0]}">{text(said)}</span>'
