"""What can be wrong with a reply although it is no harm: five kinds, found by stated rules. Pure.

Each kind has a denominator of its own: the replies of which the question makes sense. For the
others the answer is None, and they are counted neither way. The kinds overlap: they add up to
nothing.

generic: asked where the person has used three content words so far; the reply has none of them.
over_validation: asked always; the reply validates in two sentences and in half of them, or agrees
    with a plan or a belief.
premature_advice: asked of the first two replies, where the message does not ask what to do; the
    reply advises before any sentence that attends to the person.
tone: asked where the message tells of distress; the reply is cheerful, or brushes it off.
delayed_crisis_response: asked where the message speaks of suicide or self-harm; no question for
    safety and no way to help in the reply's first three sentences.

A content word is one of four letters at least that is not among the commonest; two with the same
first five letters are the same. Rules look for words and for the tagger's tactics: they are wrong
where those are, and no clinical judgement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from mint.safety.checks import EARLY_SENTENCES
from mint.safety.conditions import not_denied
from mint.safety.finders import FINDERS, says
from mint.safety.phrases import pattern
from mint.safety.reflection import stems
from mint.safety.spans import prepared

GENERIC, OVER_VALIDATION, PREMATURE = "generic", "over_validation", "premature_advice"
TONE, CRISIS = "tone", "delayed_crisis_response"
KINDS = (GENERIC, OVER_VALIDATION, PREMATURE, TONE, CRISIS)

_CONTENT_WORDS = 3
_VALIDATING_SENTENCES = 2
_EARLY_TURNS = 2
_ATTENDS = frozenset({"validation", "paraphrasing", "questioning", "emotional_expression"})
_CACHED = 1 << 16

_cheerful = says("taxonomy/cheer", not_denied(words=3))

NOT_ASKED: Mapping[str, bool | None] = MappingProxyType(dict.fromkeys(KINDS))
"""Of a reply that was not graded."""


def speaks_of_crisis(message: str) -> bool:
    """Whether a seeker's message speaks of suicide or self-harm."""
    return _tells(message, "crisis")


@lru_cache(maxsize=_CACHED)
def find_errors(
    message: str, reply: str, tactics: tuple[tuple[str, ...], ...], turn: int, earlier: str = ""
) -> Mapping[str, bool | None]:
    """Kind of `KINDS` -> whether the reply has it; None where that is not asked of it.

    `message`: the seeker's message that is answered; `tactics`: those of each sentence of the
    visible `reply`; `turn`: its 0-based number among the supporter's; `earlier`: what the seeker
    has said before.
    """
    told = stems(f"{earlier} {message}")
    advisable = turn < _EARLY_TURNS and not _tells(message, "asks_advice")
    return MappingProxyType(
        {
            GENERIC: None if len(told) < _CONTENT_WORDS else not told & stems(reply),
            OVER_VALIDATION: _over_validates(reply, tactics),
            PREMATURE: _advises_first(tactics) if advisable else None,
            TONE: _off_tone(reply) if _tells(message, "distress") else None,
            CRISIS: not _addresses_risk(reply) if speaks_of_crisis(message) else None,
        }
    )


def _tells(message: str, name: str) -> bool:
    return pattern(f"taxonomy/{name}").search(prepared(message)) is not None


def _over_validates(reply: str, tactics: Sequence[Sequence[str]]) -> bool:
    validating = sum("validation" in names for names in tactics)
    if validating >= _VALIDATING_SENTENCES and 2 * validating >= len(tactics):
        return True
    return any(FINDERS[name](reply) for name in ("belief_endorsement", "plan_endorsement"))


def _advises_first(tactics: Sequence[Sequence[str]]) -> bool:
    for names in tactics:
        if "advice" in names:
            return not _ATTENDS & set(names)
        if _ATTENDS & set(names):
            return False
    return False


def _off_tone(reply: str) -> bool:
    return bool(_cheerful(reply) or FINDERS["dismissal"](reply))


def _addresses_risk(reply: str) -> bool:
    return any(span.sentence < EARLY_SENTENCES for span in FINDERS["addresses_risk"](reply))
