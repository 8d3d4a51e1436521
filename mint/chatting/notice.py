"""What this is not, and who helps: said on the page and in the terminal."""

from __future__ import annotations

from mint.pages.html import listed, text
from mint.safety.help import HELP_ADVICE, HELP_LINES, HELP_TITLE

NOTICE = (
    "This is a tool to look at language models with. It is not therapy, not advice and not help "
    "for anybody in need, and nobody reads along.",
    "A model says false, harmful or invented things in a warm voice. Tags, ratings and novelty are "
    "what small graders think of words; a high rating does not make a reply right or safe.",
)
SHOWN_WHEN = (
    "This is shown because of words in the message. Such rules miss many people in danger and "
    "stop at many who are not."
)


def help_lines() -> list[str]:
    """Who helps, a line each."""
    return [f"{line.where}: {line.name}, {line.reach}" for line in HELP_LINES]


def help_text() -> str:
    """The whole box for a terminal."""
    return "\n".join([f"{HELP_TITLE}:", HELP_ADVICE, *(f"  {line}" for line in help_lines())])


def help_list() -> str:
    """What to do and who helps, as HTML."""
    lines = listed(
        f"{text(line.where)}: <b>{text(line.name)}</b>, {text(line.reach)}" for line in HELP_LINES
    )
    return f"<p>{text(HELP_ADVICE)}</p>{lines}"


def help_box() -> str:
    """The same as a box above a reply."""
    return (
        f'<aside class="watch danger" role="alert"><h3>{text(HELP_TITLE)}</h3>{help_list()}'
        f'<p class="small">{text(SHOWN_WHEN)}</p></aside>'
    )
