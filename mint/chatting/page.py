"""The chat page: a frame that its script, `chat.js`, fills with what the server tells."""

from __future__ import annotations

from starlette.responses import HTMLResponse

from mint.chatting.house import House
from mint.chatting.notice import NOTICE, help_box, help_list
from mint.pages.html import more, section, text, watch
from mint.pages.page import Head
from mint.pages.replies import tactic_legend
from mint.safety.help import HELP_TITLE
from mint.web.site import html_page

SCRIPTS = ("drawing.js", "chat.js")
"""In the order in which the page loads them."""


def chat_page(house: House) -> HTMLResponse:
    """The whole page."""
    names = " and ".join(subject.name for subject in house.subjects)
    head = Head(
        title="Chat with mint",
        kicker="Chat",
        heading=names if len(names) <= 90 else f"{len(house.subjects)} models",
        about=[f"votes and saved dialogues go to {house.settings.output}"],
        skip_to="conversation",
    )
    links = {"talk": "Conversation", "begin-part": "Begin anew", "notice": "What this is not"}
    lines = [*map(text, NOTICE), more(HELP_TITLE, help_list())]
    notice = section("notice", "What this is not", watch("Please read this first", lines))
    return html_page(head, links, notice + _begin() + _talk(), "", SCRIPTS)


def _begin() -> str:
    """The form that begins a conversation; its script fills the lists."""
    selects = "".join(
        f'<label data-for="{kind}">{text(title)}<select name="{name}"></select></label>'
        for name, title, kind in (
            ("left", "Model", "all"),
            ("right", "Beside it", "pair"),
            ("seeker", "Who plays the person", "all"),
            ("person", "Person", "simulated"),
            ("preset", "Disposition", "simulated"),
        )
    )
    blind = (
        '<label class="check" data-for="blind"><input type="checkbox" name="blind"> '
        "Blind: hide which is which</label>"
    )
    form = f'<form id="begin" class="filters">{selects}{blind}<button>Begin</button></form>'
    return section("begin-part", "Begin", form)


def _talk() -> str:
    composer = (
        '<form id="composer" hidden><label for="message">Your message</label>'
        '<textarea id="message" name="text" rows="3" maxlength="8000" required '
        'aria-describedby="message-hint"></textarea>'
        '<p id="message-hint" class="small muted">Enter sends, Shift+Enter begins a line, '
        '"+5 yes, that is it" says how your feeling changed, /bye ends.</p>'
        "<button>Send</button></form>"
    )
    onward = (
        '<form id="onward" hidden><button>Next turn</button> <label class="check">'
        '<input type="checkbox" name="play"> Go on by itself</label></form>'
    )
    actions = (
        '<div id="actions" class="filters" hidden><button data-do="save">Save the dialogue</button>'
        '<button data-do="copy" data-side="0">Copy as training data</button>'
        '<button data-do="copy" data-side="1" hidden>Copy as training data</button>'
        '<button data-do="reveal" hidden>Show which is which</button>'
        '<button data-do="stop">Stop</button></div>'
        '<label id="copied" hidden>Training data to copy'
        '<textarea readonly rows="4"></textarea></label>'
    )
    return section(
        "talk",
        "Conversation",
        '<noscript><p class="missing">This page needs its script.</p></noscript>'
        '<div id="emotions" class="sides"></div><div id="turns"></div>'
        '<p id="state" role="status" class="muted">Begin a conversation above.</p>'
        f"{composer}{onward}{actions}"
        f'<template id="danger">{help_box()}</template>{tactic_legend()}',
    )
