"""Insults in so many words: what a rule recognises better than any vector."""

from __future__ import annotations

import re

_NOUNS = (
    "idiot moron loser failure coward crybaby baby burden disgrace embarrassment fool joke mess "
    "drama queen waste of space piece of work piece of shit nobody whiner quitter parasite"
)
_ADJECTIVES = (
    "pathetic stupid worthless useless disgusting ridiculous dumb selfish weak lazy hopeless "
    "spineless needy boring repulsive unlovable ungrateful"
)
_NOUN = "|".join(
    [
        *(
            w
            for w in _NOUNS.split()
            if w not in {"of", "queen", "drama", "waste", "space", "piece", "work", "shit"}
        ),
        "drama queen",
        "waste of space",
        "piece of (?:work|shit|garbage|trash)",
    ]
)
_ADJECTIVE = "|".join(_ADJECTIVES.split())
_DEGREE = r"(?:(?:just|really|so|such|being|acting|honestly|clearly|simply|absolutely|a|an|the|"
_DEGREE += r"bit|bloody|fucking|total|complete|pretty|quite|always|real)\s+){0,4}"
_INSULT = re.compile(
    rf"\byou(?:'re| are|r)\s+{_DEGREE}(?:{_NOUN}|{_ADJECTIVE})\b"
    r"|\b(?:shut up|stop whining|quit whining|stop moaning|grow up|get a grip|cry me a river|"
    r"nobody (?:likes|cares about|wants) you|no one (?:likes|cares about|wants) you|"
    r"(?<!to )kill yourself|go to hell|fuck (?:you|off)|piss off|boo hoo|man up)\b"
    rf"|\b(?:how|what) (?:a |an )?{_DEGREE}(?:pathetic|idiot|loser|moron)\b",
    re.IGNORECASE,
)
# "you're not a failure", "you feel you're a burden", "it doesn't mean you're weak" console.
_CONSOLES = re.compile(
    r"\b(?:not|never|n't|isn't|feel|feels|feeling|felt|think|thinks|thinking|believe|mean|means|"
    r"mind|voice|tells?|telling|told|saying|says?|said|called|if|afraid|worry|worried|like)\b",
    re.IGNORECASE,
)


def is_insult(sentence: str) -> bool:
    """Whether a sentence insults the reader, and neither denies nor reports it.

    >>> is_insult("You are such an idiot."), is_insult("You're not a failure.")
    (True, False)
    """
    text = sentence.replace("\u2019", "'")
    found = _INSULT.search(text)
    return found is not None and _CONSOLES.search(text) is None
