"""What a sentence says on its surface, beside its vector: marks and turns of phrase.

The released replies that the encoder was adapted to are mostly a model's. People ask, hope, hold
opinions and tell of themselves in other words; these cues name the commonest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rewards.graders.embedded.cues import is_question

_KIN = (
    "mum|mom|mother|dad|father|parents|brother|sister|wife|husband|partner|boyfriend|girlfriend|ex|"
    "son|daughter|kids?|friends?|boss|job|cat|dog|aunt|uncle|nan|gran|grandma|cousin|neighbou?r|"
    "life|experience"
)
_DOING = (
    "try|take|talk|make|find|ask|keep|give|tell|get|go|don't|do|write|call|ring|consider|start|set|"
    "look|let|remember|reach|focus|stop|be|think|see|use|practice|seek|allow|speak|stay|join|check|"
    "put|avoid|continue|work|spend"
)
_PATTERNS = {
    "question inside": r"\?",
    "opinion": r"\b(in my opinion|imo|if you ask me|to my mind|personally|for what it's worth|"
    r"my view|my take)\b",
    "belief": r"\b(i|we) (really |just |also |do |honestly |truly |still |don't |do not )*"
    r"(think|believe|feel|reckon|guess|suppose|doubt|find|agree|bet)\b",
    "hope": r"\b(hope|hoping|wish|wishing|good luck|best of luck|fingers crossed|praying|rooting|"
    r"all the best|thinking of you)\b",
    "feeling": r"\b(sorry|glad|happy for|proud of|sad to|so sad|heartbreaking|breaks my heart|"
    r"love that|i love|hate (that|to)|wow|oh no|congrat\w*|breaks)\b",
    "own past": r"\b(i|we) (\w+ed|was|were|had|went|got|felt|did|lost|found|took|left|told|used to|"
    r"came|made|knew|thought|spent|kept)\b|\bi've (been|had|also|gone|felt|struggled)\b",
    "own people": rf"\bmy (own |late |old )?({_KIN})\b",
    "first person": r"\b(i|me|my|mine|myself|i'm|i've|i'd)\b",
    "advice": r"\byou (should|could|might|can|need to|have to|may|ought)\b|\byou'd be better\b|"
    r"\bwhy not\b|\bhave you (tried|thought|considered)\b|\bi'd (suggest|recommend|try)\b|"
    r"\bmake sure\b|\btry\b",
    "imperative": r"^\W*(\d+[.)]\s*)?\W*"
    rf"(and |but |so |then |also |maybe |just |please |perhaps )?({_DOING})\b",
    "offer": r"\b(i'm here|here for you|i can help|let me know|happy to|i'll|we can|i could|"
    r"feel free|message me|dm me|if you (want|like|need))\b",
    "retelling": r"\b(sounds like|it seems|you seem|you're feeling|you feel|i hear|so you|you said|"
    r"you mentioned|you've been)\b",
    "acceptance": r"\b(understandable|makes sense|natural|normal|valid|okay to|ok to|no wonder|"
    r"anyone would|not alone|of course|i hear you|not silly|hard|tough|right to)\b",
    "strength": r"\b(you can do|you've got|you got this|strong|strength|brave|courage|capable|"
    r"deserve|proud|resilien\w+|well done|good on you|believe in you|able to)\b",
    "other view": r"\b(maybe|perhaps|doesn't mean|instead|rather|on the other hand|another way|"
    r"look at it|at least|opportunity|chance|not your fault|isn't)\b",
    "general fact": r"\b(usually|often|studies|research|most people|many|people|generally|"
    r"typically|because|percent|law|legally|doctor|called|is a|are a|tends?|can be|common)\b",
    "you": r"\byou(r|rs|'re|'ve|'d|'ll)?\b",
    "we": r"\b(we|us|our|both of us)\b",
    "exclamation": r"!",
}
_COMPILED = [re.compile(pattern, re.IGNORECASE) for pattern in _PATTERNS.values()]
NUM_CUES = len(_PATTERNS) + 4
LONG_WORDS, SHORT_WORDS = 25, 3


def sentence_cues(sentence: str) -> list[float]:
    """`NUM_CUES` numbers from 0 to 2: final question mark, turns of phrase, and length.

    >>> sentence_cues("Really?")[0], sentence_cues("Really.")[0]
    (1.0, 0.0)
    """
    text = sentence.replace("\u2019", "'")
    words = len(text.split())
    return [
        float(is_question(text)),
        *(float(pattern.search(text) is not None) for pattern in _COMPILED),
        min(words, 40) / 20,
        float(words <= SHORT_WORDS),
        float(words > LONG_WORDS),
    ]


def tagger_features(
    vectors_SD: NDArray[np.float32], sentences: Sequence[str]
) -> NDArray[np.float32]:
    """float32 [sentences, dim + NUM_CUES]: each sentence's vector, then its cues."""
    cues = np.array([sentence_cues(text) for text in sentences], np.float32)
    return np.hstack([vectors_SD, cues.reshape(-1, NUM_CUES)])
