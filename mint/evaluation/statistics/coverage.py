"""What intervals are over, and thereby what they leave out: said wherever one is shown."""

from __future__ import annotations

ONE_RUN = (
    "held-out conversations of one run: not the spread between runs of other seeds, nor the error "
    "of the graders"
)
ONE_MODEL = (
    "conversations, for one model: not the spread between training runs of other seeds, nor the "
    "error of the graders"
)
RELEASED = (
    "the released conversations, one trained model each: not the spread between training runs, nor "
    "the error of the judge and of the taggers"
)
RELEASED_DIALOGUES = (
    "seeker profiles, one dialogue with one simulator each: not the spread between dialogues of "
    "one profile, nor between simulators"
)
RUNS = (
    "training runs that differ in the seed alone, on the same held-out conversations: not other "
    "conversations, nor the error of the graders"
)


def covers(confidence: float, what: str) -> str:
    """A sentence for people."""
    return f"Intervals ({confidence:.0%}) are over {what}."
