"""The skeleton that every page shares: head, skip link, header, navigation, footer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import mint
from mint.pages.html import text
from mint.shell.files import utc_now


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands at the top of a page, as plain text."""

    title: str
    """Of the browser's window."""
    kicker: str
    """Small line above the heading: what kind of page it is."""
    heading: str
    about: Sequence[str]
    """Facts in one line."""
    skip_to: str
    """What the first link leads to, past the navigation."""
    status: str = ""
    """A word beside the heading."""
    error: str = ""
    """A line in red."""


def render(
    head: Head, links: Mapping[str, str], body: str, source: str, scripts: Sequence[str] = ()
) -> str:
    """A whole page that needs nothing from outside.

    `links` gives anchor -> title, `body` is ready HTML, `source` says in plain text what the page
    was made from. `scripts`: addresses on the server that sends the page.
    """
    style = (resources.files("mint.pages") / "style.css").read_text(encoding="utf-8")
    first = next(iter(links), "")
    loaded = "".join(f'<script src="{text(address)}"></script>' for address in scripts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{text(head.title)}</title><style>{style}</style></head><body>"
        f'<a class="skip" href="#{first}">Skip to the {text(head.skip_to)}</a>'
        f'<header>{header(head)}</header><nav aria-label="Sections">{navigation(links)}</nav>'
        f"<main>{body}</main>"
        f"<footer>Written by mint {text(mint.__version__)} on {utc_now()[:16].replace('T', ' ')} "
        f"UTC{text(source)}.</footer>{loaded}</body></html>\n"
    )


def navigation(links: Mapping[str, str]) -> str:
    """Inside of the page's navigation: anchor -> title."""
    shown = (f'<a href="#{anchor}">{text(title)}</a>' for anchor, title in links.items())
    return f"<div>{''.join(shown)}</div>"


def header(head: Head) -> str:
    """Inside of the page's header."""
    status = f' <span class="status {text(head.status)}">{text(head.status)}</span>'
    error = f'<p class="error" role="alert">{text(head.error)}</p>'
    return (
        f'<div><p class="kicker">{text(head.kicker)}</p>'
        f"<h1>{text(head.heading)}{status if head.status else ''}</h1>"
        f'<p class="muted">{text(" · ".join(head.about))}</p>{error if head.error else ""}'
        "</div>"
    )
