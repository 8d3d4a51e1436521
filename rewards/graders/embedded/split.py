"""A reply as the embedded graders read it."""

from __future__ import annotations

from rewards.protocols import SplitReply
from rewards.text import split_sentences
from rewards.types import Reply


def split_reply(reply: Reply) -> SplitReply:
    """The seeker's last message and the reply's sentences; none when nothing is said."""
    sentences = split_sentences(reply.text) if reply.sentences is None else reply.sentences
    return SplitReply(reply.seeker_turn.strip(), tuple(sentences))
