"""Which language a text is in, by py3langid (Lui & Baldwin 2012, retrained)."""

from __future__ import annotations

from functools import lru_cache

import pycountry
from py3langid.langid import MODEL_FILE, LanguageIdentifier

UNKNOWN = "unknown"
ENGLISH = "English"
_NO_LANGUAGE = "zxx"
_MIN_PROBABILITY = 0.4
_MIN_WORDS = 4
_READ = 5000


def language(text: str) -> str:
    """English name of a language, or "unknown".

    Unknown: a probability below 0.4, and fewer than 4 words of plain ASCII, which several languages
    share ("no", "total chat"). Other letters tell enough in one word. A text that mixes languages
    gets the one with the most cues in its first 5,000 characters.

    >>> [language(t) for t in ("I don't know what to do", "Мне очень плохо", "no idea")]
    ['English', 'Russian', 'unknown']
    """
    if text.isascii() and len(text.split()) < _MIN_WORDS:
        return UNKNOWN
    code, probability = _identifier().classify(text[:_READ])
    if probability < _MIN_PROBABILITY or code == _NO_LANGUAGE:
        return UNKNOWN
    known = pycountry.languages.get(alpha_2=code)
    return known.name.partition(" (")[0] if known is not None else code


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # Labels of three letters are dialects and small neighbours (Nigerian Pidgin, Extremaduran) that
    # take probability from the large languages.
    identifier.set_languages(
        [code for code in identifier.labels if len(code) == 2 or code == _NO_LANGUAGE]
    )
    return identifier
