"""The conversation in a terminal: lines in, replies with their grades out."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, TextIO

from mint.chatting.conversation import Conversation
from mint.chatting.feed import Event
from mint.chatting.house import House
from mint.chatting.notice import NOTICE, help_text
from mint.chatting.records import training_record
from mint.pages.html import number, spaced
from rewards.errors import DataError

COMMANDS = (
    "/vote left|right|tie [why]  /who  /save  /copy  /bye; "
    '"+5 yes, that is it" says how your feeling changed'
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
Show = Callable[[str], None]


def printable(text: str) -> str:
    """Text that cannot steer a terminal: control characters other than tab and line feed are
    shown as a replacement character."""
    return _CONTROL.sub("\ufffd", text)


async def talk(house: House, lines: AsyncIterator[str], show: Show) -> None:
    """One conversation as the command line asks for it, from its opening to its end.

    `lines`: what is typed; their end says goodbye. `show` writes text as it is.
    """
    show("\n".join(NOTICE) + f"\n\n{COMMANDS}\n\n")
    conversation = await house.begin(house.usual)
    reader = _Reader(conversation, show)
    try:
        async for _, event in conversation.feed.follow():
            reader.tell(event)
            if event["kind"] == "over" and reader.over:
                return
            if event["kind"] == "waiting" and event["all"]:
                await _answer(house, conversation, lines, show)
    finally:
        await house.close()


async def _answer(
    house: House, conversation: Conversation, lines: AsyncIterator[str], show: Show
) -> None:
    """Commands until a line that goes to the models."""
    while True:
        show("you> " if conversation.you else "Enter for the next turn> ")
        line = await anext(lines, None)
        if line is None or (line.strip() == "/bye" and not conversation.you):
            await conversation.stop()
            return
        try:
            if line.startswith("/") and line.strip() != "/bye":
                show(_obey(house, conversation, line))
                continue
            conversation.say(line) if conversation.you else conversation.next()
            return
        except DataError as error:
            show(f"{error}\n")


def _obey(house: House, conversation: Conversation, line: str) -> str:
    """What a command has done. Raises DataError."""
    name, _, rest = line.strip().partition(" ")
    if name == "/vote":
        choice, _, why = rest.strip().partition(" ")
        turn = min(len(side.replies) for side in conversation.sides) - 1
        return f"noted in {house.vote(conversation, turn, choice, why)}\n"
    if name == "/who":
        conversation.reveal()
        return f"left: {conversation.names[0]}, right: {conversation.names[-1]}\n"
    if name == "/save":
        return f"saved to {house.save(conversation)}\n"
    if name == "/copy":
        records = [training_record(conversation, n) for n in range(len(conversation.sides))]
        return "".join(printable(json.dumps(r, ensure_ascii=False)) + "\n" for r in records)
    raise DataError(f"unknown command {name}; {COMMANDS}")


class _Reader:
    """Writes events down: a single model's reply as it grows, of two each when it is graded."""

    def __init__(self, conversation: Conversation, show: Show) -> None:
        self._conversation, self._show = conversation, show
        self._streams = len(conversation.sides) == 1
        self._shown = ""
        self._replies: dict[int, Event] = {}
        self._ended = 0
        self._in_danger = False

    @property
    def over(self) -> bool:
        """Whether all sides have ended."""
        return self._ended == len(self._conversation.sides)

    def tell(self, event: Event) -> None:
        """Write one event down."""
        write = getattr(self, f"_{event['kind']}", None)
        if write is not None:
            write(event)

    def _name(self, event: Event) -> str:
        return printable(self._conversation.names[event["side"]])

    def _danger(self, event: Event) -> None:
        if not self._in_danger:
            self._show(f"\n{help_text()}\n\n")
        self._in_danger = True

    def _seeker(self, event: Event) -> None:
        if self._conversation.you:
            return
        of = f" to {self._name(event)}" if len(self._conversation.sides) == 2 else ""
        felt = f"emotion {number(event['emotion'], 1)}, {number(event['change'], 1, True)}"
        why = f": {event['reason']}" if event["turn"] else ""
        self._show(printable(f"seeker{of}> {event['text']}\n    [{felt}{why}]\n"))

    def _growing(self, event: Event) -> None:
        if not self._streams:
            return
        if not self._shown:
            self._show(f"{self._name(event)}> ")
        text = printable(event["text"])
        if text.startswith(self._shown):
            self._show(text[len(self._shown) :])
            self._shown = text

    def _reply(self, event: Event) -> None:
        text = printable(event["text"]) or f"(no visible reply: {event['status']})"
        if not self._streams or not text.startswith(self._shown) or not self._shown:
            self._show(f"{self._name(event)}> {text}")
        else:
            self._show(text[len(self._shown) :])
        self._shown = ""
        cut = ", cut at the limit" if event["cut"] else ""
        self._show(f"\n    [{event['tokens']} tokens{cut}]\n")
        self._replies[event["side"]] = event

    def _grades(self, event: Event) -> None:
        of = f"{self._name(event)}: " if not self._streams else ""
        self._show(printable(f"    [{of}{'; '.join(grade_lines(event))}]\n"))

    def _over(self, event: Event) -> None:
        self._ended += 1
        why = f"lost: {event['lost']}" if event["lost"] else f"over: {event['ended']}"
        self._show(printable(f"{self._name(event)} is {why}\n"))


def grade_lines(grades: Event) -> list[str]:
    """What the graders say, a phrase each."""
    found: list[str] = []
    if grades["sentences"] is not None:
        tags = [spaced(name) for one in grades["sentences"] for name in one["tactics"]]
        found.append(f"tactics {', '.join(dict.fromkeys(tags)) or 'none found'}")
    rating: dict[str, Any] | None = grades["rating"]
    if rating is not None and "value" in rating:
        found.append(f"reward model {number(rating['value'])}")
    elif rating is not None:
        held = f", held down: {', '.join(rating['tricks'])}" if rating["tricks"] else ""
        found.append(f"empathy {number(rating['aggregate'])} of 5{held}")
    if grades["novelty"] is not None:
        found.append(f"novelty {number(grades['novelty'])} nats")
    if grades["label_leak"]:
        found.append("names its tactics")
    return [*found, *(f"{name} failed: {why}" for name, why in grades["failures"].items())]


async def typed(stream: TextIO | None = None) -> AsyncIterator[str]:
    """Lines of standard input as they are typed. Read in a thread that nobody waits for, so that
    Ctrl-C ends a program which waits for a line."""
    source = sys.stdin if stream is None else stream
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        for line in iter(source.readline, ""):
            loop.call_soon_threadsafe(queue.put_nowait, line.rstrip("\n"))
        loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) is not None:
        yield line
