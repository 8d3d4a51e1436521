"""The replies of a recorded conversation as what graders are asked about."""

from __future__ import annotations

from mint.dialogue.record import TalkRecord
from rewards.scorer import ScoringRequest
from rewards.tactics import NUM_TACTICS
from rewards.types import Message


def requests_of(record: TalkRecord) -> list[ScoringRequest]:
    """The replies, oldest first, each with what was said before it. What earlier replies used is
    filled in when they are tagged (`rewards.scorer.ReplyScorer.in_order`)."""
    said: list[Message] = [] if record.opening is None else [Message("seeker", record.opening)]
    requests = []
    for turn in record.turns:
        requests.append(
            ScoringRequest(
                raw_reply=turn.raw,
                history=tuple(said),
                previous_counts=(0.0,) * NUM_TACTICS,
                history_tactics=(),
                num_tokens=turn.tokens,
                truncated=not turn.complete,
            )
        )
        said.append(Message("supporter", turn.visible))
        if turn.message is not None:
            said.append(Message("seeker", turn.message))
    return requests
