"""A model here talks with people: many dialogues at the same time, their replies in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from mint.config.dialogue import DialogueRules
from mint.dialogue.people import person_of_row
from mint.dialogue.protocol import Lost, Seeker
from mint.dialogue.record import TalkRecord
from mint.dialogue.talk import Said, converse, sample_seed
from mint.evaluation.generation import Generation, Prompt
from mint.evaluation.seekers.rounds import PATIENT_S
from mint.shell.console import progress_bar
from rewards.batching import MicroBatcher
from rewards.thoughts import opened_thought


class Asked(NamedTuple):
    """A dialogue to be held."""

    row: dict[str, Any]
    """Data row of the person (`mint.dialogue.people`)."""
    sample: int
    """0-based number among the dialogues with this person."""

    @property
    def key(self) -> str:
        """The same for all models that are compared, which then draw alike."""
        return f"{self.row['extra_info']['conversation_id']}/{self.sample}"


class GeneratedPolicy:
    """`mint.dialogue.talk.Policy` on a generator that many dialogues share."""

    def __init__(
        self, replies: MicroBatcher[Prompt, Generation], key: str, fits: Any, opened: str = ""
    ) -> None:
        """`fits`: whether messages leave room for a reply; `opened`: what the template writes of a
        thought before each reply, and so again where the reply stands in the history."""
        self._replies, self._key, self._fits, self._opened = replies, key, fits, opened
        self._messages: list[dict[str, str]] = []

    async def start(self, messages: Sequence[dict[str, str]]) -> bool:
        """See `Policy`."""
        self._messages = list(messages)
        return bool(self._fits(self._messages))

    async def reply(self, max_tokens: int) -> Said | Lost:
        """See `Policy`; the generator's own limit of new tokens is the rules' one of a turn."""
        prompt = Prompt(f"{self._key}/{len(self._messages)}", tuple(self._messages))
        made = await self._replies.submit(prompt)
        written = made.raw.removeprefix(self._opened)
        self._messages = [*self._messages, {"role": "assistant", "content": written}]
        return Said(made.raw, made.num_tokens, not made.truncated)

    async def hear(self, message: str) -> bool:
        """See `Policy`."""
        heard = [*self._messages, {"role": "user", "content": message}]
        if self._fits(heard):
            self._messages = heard
            return True
        return False


async def hold(
    generator: Any, asked: Sequence[Asked], seeker: Seeker, rules: DialogueRules, context: int
) -> list[TalkRecord]:
    """The dialogues, in order; `context`: most tokens of one. A generator answers one batch at a
    time, so a reply may wait for all others: only the seeker is given limits of time.

    Shows on stderr how many replies there are of the most that there can be.
    """
    title = f"dialogues ({seeker.identity['kind']} seeker): replies"
    with progress_bar(transient=True) as progress:
        task = progress.add_task(title, total=len(asked) * rules.max_turns)
        advance = partial(progress.advance, task)
        return await _hold(generator, asked, seeker, rules, context, advance)


async def _hold(
    generator: Any,
    asked: Sequence[Asked],
    seeker: Seeker,
    rules: DialogueRules,
    context: int,
    advance: Callable[[int], None],
) -> list[TalkRecord]:
    async def generate(prompts: list[Prompt]) -> list[Generation]:
        made = await asyncio.to_thread(generator.replies, prompts, advance)
        return [own[0] for own in made]

    def fits(messages: list[dict[str, str]]) -> bool:
        text = generator.render(Prompt("", tuple(messages)))
        used = len(generator.tokenizer(text, add_special_tokens=False)["input_ids"])
        return used + rules.min_turn_tokens <= context

    greeting = {"role": "user", "content": "Hello."}
    opened = opened_thought(generator.render(Prompt("", (greeting,))))
    batches: MicroBatcher[Prompt, Generation] = MicroBatcher(generate, max_batch=max(1, len(asked)))
    patient = replace(rules, reply_timeout_s=PATIENT_S, dialogue_timeout_s=10 * PATIENT_S)
    return await asyncio.gather(
        *(
            converse(
                GeneratedPolicy(batches, one.key, fits, opened),
                seeker,
                person_of_row(one.row["extra_info"]),
                sample_seed(int(one.row["extra_info"]["seed"]), one.sample),
                patient,
                str(one.row["prompt"][0]["content"]),
            )
            for one in asked
        )
    )
