"""Which language a text is in: by script, and for Latin script by its most frequent small words.

Enough to find what is not English. It cannot tell languages of one non-Latin script apart (Russian
and Ukrainian are "Cyrillic"), knows eight languages in Latin script, and says "unknown" below a few
words. Texts that mix languages get the one with most cues.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

UNKNOWN = "unknown"
ENGLISH = "English"
_WORDS = re.compile(r"[^\W\d_]+")
_SCRIPTS = {
    "CYRILLIC": "Cyrillic",
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "DEVANAGARI": "Devanagari",
    "BENGALI": "Bengali",
    "GREEK": "Greek",
    "THAI": "Thai",
    "TAMIL": "Tamil",
}
_SMALL_WORDS = {
    ENGLISH: (
        "the and to of a in is that it you for i my with was on are be have not this me do "
        "what so but just at your can how am if we they about as or from no when would"
    ),
    "Spanish": (
        "de la que el en y los se del las un por con no una su para es al lo como pero sus le "
        "mi me muy porque qué cómo está yo tu eres hola"
    ),
    "French": (
        "de la le et les des en un du une que est pour qui dans par je pas sur plus ne se il "
        "ce vous mon ma avec c'est suis mais bonjour nous"
    ),
    "German": (
        "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als "
        "auch es an ich mein mir du wir aber wie was habe bin"
    ),
    "Portuguese": (
        "de a o que e do da em um para é com não uma os no se na por mais as dos como mas eu "
        "meu minha você está são isso muito"
    ),
    "Italian": (
        "di e il la che in un per è non una sono mi si con da come ma lo del della io mio "
        "anche ho le gli questo cosa perché"
    ),
    "Dutch": (
        "de het een en van ik te dat die in is niet op zijn met voor aan er maar om ook mijn "
        "je wat heb ben naar hoe"
    ),
    "Turkish": (
        "bir ve bu da de için ben çok ne ile gibi daha o mi var ama kadar sen benim değil olarak"
    ),
}
_MIN_WORDS = 5


def language(text: str) -> str:
    """Name of a language or script, or "unknown".

    >>> [language(t) for t in ("I don't know what to do", "Мне очень плохо")]
    ['English', 'Cyrillic']
    """
    script = _script(text)
    if script != "Latin":
        return script
    words = [word.casefold() for word in _WORDS.findall(text)]
    if len(words) < _MIN_WORDS:
        return UNKNOWN
    hits = Counter(
        {name: sum(word in small for word in words) for name, small in _small_words().items()}
    )
    (best, most), (_, second) = hits.most_common(2)
    return best if most >= max(1, len(words) // 20) and most > second else UNKNOWN


def _script(text: str) -> str:
    counts: Counter[str] = Counter()
    for character in text[:5000]:
        if character.isalpha():
            counts[_script_of(character)] += 1
    if not counts:
        return UNKNOWN
    if counts["Japanese"]:
        counts["Japanese"] += counts["Chinese"]  # kanji
    best, most = counts.most_common(1)[0]
    # A few foreign letters do not make a text foreign, and one English name does not make it Latin.
    others = [(name, n) for name, n in counts.items() if name != "Latin"]
    if best == "Latin" and others:
        name, n = max(others, key=lambda pair: pair[1])
        return name if n > 0.4 * most else "Latin"
    return best


@lru_cache(maxsize=4096)
def _script_of(character: str) -> str:
    name = unicodedata.name(character, "LATIN").split(" ")[0]
    return _SCRIPTS[name] if name in _SCRIPTS else "Latin"


@lru_cache(maxsize=1)
def _small_words() -> dict[str, frozenset[str]]:
    return {name: frozenset(words.split()) for name, words in _SMALL_WORDS.items()}
