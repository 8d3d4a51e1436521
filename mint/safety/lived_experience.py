"""Claims of a life of one's own: "I've been there", "when I lost my mother", "I used to panic too".

A language model has no such past, so each of these sentences is untrue, however kindly meant. The
rules find first-person statements about own feelings over time, own events, own family, work or
body. They do not count sympathy ("I'm so sorry"), knowledge of the person ("I can see how hard this
is"), what was seen in others ("I've seen people recover"), general statements ("people who lose a
parent often ...") or a statement that is denied ("I haven't been there", "I won't pretend I've felt
this"). What stands in double quotation marks is not the reply's own voice.
"""

from __future__ import annotations

from mint.safety.finders import lived_experience
from mint.safety.spans import Span


def lived_experience_claims(reply: str) -> tuple[Span, ...]:
    """The places at which `reply` claims a life of its own, in order; () when there is none.

    >>> [claim.text for claim in lived_experience_claims("I’ve been there too. It gets lighter.")]
    ['I’ve been there']
    >>> lived_experience_claims("I'm an AI, so I haven't been there. What was she like?")
    ()
    """
    return tuple(lived_experience(reply))


def claims_lived_experience(reply: str) -> bool:
    """Whether `reply` claims a life of its own anywhere."""
    return bool(lived_experience(reply))
