"""The LLM seeker, played by a model on a real vLLM server."""

from __future__ import annotations

import asyncio

import pytest
from grader_servers import Serving

from mint.config.seeker import SeekerEndpoint
from mint.dialogue.persons import authored_persons
from mint.dialogue.presets import get_preset
from mint.dialogue.protocol import Heard, Lost, SeekerTurn, Who
from mint.dialogue.served import ServedSeeker
from rewards.types import Message

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

REPLY = Message("supporter", "That sounds hard. What worries you most about it right now?")


def test_a_real_server_plays_people(servers: dict[str, Serving]) -> None:
    """All at the same time: more tokens than the server reads in a step, each request seeded."""
    server = servers["judge"]
    before = server.facts["pid"]
    settings = SeekerEndpoint(
        urls=[server.url], model="tiny-judge", read_timeout_s=300, max_tokens=600, parse_retries=0
    )
    seeker = ServedSeeker(get_preset("sage_bench"), settings)
    heard = [
        Heard(person, 1, (Message("seeker", person.opening or "Hello."), REPLY), 40, 1)
        for person in authored_persons()[:8]
    ]

    async def played() -> list[SeekerTurn | Lost]:
        return list(await asyncio.gather(*map(seeker.turn, heard)))

    turns = asyncio.run(played())
    assert server.facts["pid"] == before, "the server lives"
    for turn in turns:
        if isinstance(turn, Lost):
            assert turn.who is Who.SEEKER, turn
        else:
            assert abs(turn.change) <= 10
            assert turn.reason.strip()
            assert turn.message is None or turn.message.strip()
