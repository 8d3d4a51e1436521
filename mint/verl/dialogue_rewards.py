"""verl's reward hook for dialogues: one finished dialogue in, the grades of its replies out.

All replies of a dialogue are graded in one call, with those of other dialogues that end at about
the same time. What they earn is computed over whole groups, in `mint.verl.dialogue_trainer`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import Any

from verl import DataProto

from mint.config.validation import PROBE_SOURCE
from mint.dialogue.record import TalkRecord
from mint.dialogue.replies import requests_of
from mint.verl.dialogue_wire import DIALOGUE, GradedDialogue, pack_dialogue
from mint.verl.reward_manager import SignalRewardManager, graded_reply, ungraded
from mint.verl.wire import KEY, GradedReply, unpack
from rewards.batching import MicroBatcher
from rewards.scorer import ScoringRequest, failed_signals
from rewards.types import Signals

Graded = list[tuple[ScoringRequest, Signals]]


class DialogueRewardManager(SignalRewardManager):
    """Grades whole dialogues; selected by `reward.reward_manager`."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._max_tokens = self._mint.dialogue.turn_tokens
        self._talks: MicroBatcher[list[ScoringRequest], tuple[Graded, float]] = MicroBatcher(
            self._score_talks,
            max_batch=self._mint.grading.max_batch,
        )

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """The dialogue's grades, and its last emotion / 100 (NaN when it was lost)."""
        item = data[-1:][0]
        if str(item.non_tensor_batch["data_source"]) == PROBE_SOURCE:
            answer = await super().run_single(data)
            probe = GradedDialogue(None, (unpack(answer[KEY]),))
            return {**answer, KEY: pack_dialogue(probe)}
        record = TalkRecord.from_json(
            json.loads(item.non_tensor_batch["tool_extra_fields"][DIALOGUE])
        )
        dialogue = GradedDialogue(record, await self._graded(record))
        score = record.emotion / 100 if dialogue.usable else math.nan
        return {"reward_score": score, KEY: pack_dialogue(dialogue)}

    async def _graded(self, record: TalkRecord) -> tuple[GradedReply, ...]:
        requests = requests_of(record)
        if not requests:
            return ()
        try:
            scored, seconds = await self._talks.submit(requests)
        except Exception as error:
            failures = ungraded(error)
            scored, seconds = [(r, failed_signals(r, failures)) for r in requests], 0.0
        return tuple(
            graded_reply(request, signals, record.person, turn, seconds / len(scored))
            for turn, (request, signals) in enumerate(scored)
        )

    async def _score_talks(
        self, talks: Sequence[list[ScoringRequest]]
    ) -> list[tuple[Graded, float]]:
        started = time.perf_counter()
        signals = iter(await self._scorer.score([request for talk in talks for request in talk]))
        graded = [self._scorer.in_order(talk, [next(signals) for _ in talk]) for talk in talks]
        share = (time.perf_counter() - started) / len(talks)
        return [(own, share) for own in graded]
