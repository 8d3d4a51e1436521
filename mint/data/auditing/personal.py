"""Personal data: found, named and redacted, never written out.

Rules miss names and anything worded freely, and some finds are public numbers (a help line). Phone
numbers are read by phonenumbers: with a country code those of all countries, without one those of
North America, Australia, the United Kingdom and Germany.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from phonenumbers import Leniency, PhoneNumberMatcher

Span = tuple[int, int]

_URL = re.compile(r"https?://[^\s\"'<>)]+", re.IGNORECASE)
_PERSON_IN_URL = re.compile(
    r"[?&](?:id|uid|user|token|key|session|email|phone|account|auth)\w*=."
    r"|/(?:users?|profile|u|in|@)/?.",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"\b[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}\b")
_DOT = r"(?:\s{1,3}dot\s{1,3}|\s{0,3}[(\[{]\s?(?:dot|\.)\s?[)\]}]\s{0,3}|\.)"
_SPOKEN_EMAIL = re.compile(
    r"\b[\w.+-]{1,64}(?:\s{1,3}at\s{1,3}|\s{0,3}(?:@|[(\[{]\s?(?:at|@)\s?[)\]}])\s{0,3})"
    r"(?!(?:the|an?|my|our|your|this|that|some|every|one)\b)[\w-]{1,63}"
    rf"(?:{_DOT}[\w-]{{1,63}}){{0,2}}"
    rf"{_DOT}(?:com|net|org|edu|gov|info|io|uk|ca|au|nz|ie|de|ch|fr|es|nl|pl)\b",
    re.IGNORECASE,
)
_SPELLED = re.compile(r"\bdot\b|[(\[{]|^\S*[\d._+-]\S*\s+at\b", re.IGNORECASE)
_IBAN = re.compile(
    r"\b[A-Z]{2}\d\d(?:[A-Z\d]{11,30}|(?:[ -][A-Z\d]{4}){2,7}(?:[ -][A-Z\d]{1,3})?)\b",
    re.IGNORECASE | re.ASCII,
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w.-])")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_IP = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\.?\w)"
)
_VERSION = re.compile(
    r"\b(?:ver(?:sion)?|v|release|build|firmware|driver|updated?|upgraded?|patch|software|app|ios"
    r"|android|windows|macos|ubuntu|chrome|python)[\s.:]*(?:to|is|was|no|number|of)?[\s.:]*$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"\b\d{1,5}[a-z]?\s+(?:[NSEW]\.?\s+)?(?:[A-Z][\w'-]+\s+){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln"
    r"|Drive|Dr|Boulevard|Blvd|Court|Ct|Terrace|Close|Crescent|Square|Highway|Hwy)\b\.?"
)
_PHONE_DIGITS = 9
_LENIENCY = {
    None: Leniency.POSSIBLE,  # with a country code
    "US": Leniency.STRICT_GROUPING,
    "AU": Leniency.STRICT_GROUPING,
    "GB": Leniency.VALID,
    "DE": Leniency.VALID,
}
_ORDER = re.compile(
    r"\b(?:order|invoice|ticket|tracking|parcel|shipment|booking|reservation|reference|ref|case"
    r"|claim|account|serial|customer|confirmation|receipt|policy|member|item|isbn|bestellung"
    r"|bestellnummer|rechnung|kundennummer)s?"
    r"(?:[\s:#.,(-]+(?:numbers?|num|no|nr|nummer|id|code|is|was|ist|it's|#))*[\s:#.(-]*$",
    re.IGNORECASE,
)
_CALL = re.compile(
    r"\b(?:phone|cell|mobile|tel|telephone|call|text|ring|sms|whatsapp|number|reach)\b[^.!?\n]*$",
    re.IGNORECASE,
)
_BEFORE = 40
"""Characters before a number in which its meaning is looked for."""


class Personal(NamedTuple):
    """A find. The text itself is not kept."""

    kind: str
    redacted: str
    """Kind of the characters instead of the characters: "j***@***.com", "*** *** 99"."""


def personal_data(text: str) -> list[Personal]:
    """Finds in order of kind; a piece of text is reported under the first kind that fits.

    >>> personal_data("write to jo.doe@example.org")
    [Personal(kind='email', redacted='j***@***.org')]
    """
    found = []
    for kind, spans, redact in _KINDS:
        rest, end = [], 0
        for start, stop in spans(text):
            found.append(Personal(kind, redact(text[start:stop])))
            rest += [text[end:start], " " * (stop - start)]
            end = stop
        text = "".join([*rest, text[end:]])
    return found


def luhn(number: str) -> bool:
    """Whether the digits of a card number check out (ISO/IEC 7812-1)."""
    digits = [int(character) for character in number if character.isdigit()][::-1]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def iban(number: str) -> bool:
    """Whether an account number without separators checks out (ISO 13616, ISO/IEC 7064).

    >>> iban("GB82WEST12345698765432")
    True
    """
    moved = number[4:] + number[:4]
    return len(number) >= 15 and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def _matches(
    pattern: re.Pattern[str], fits: Callable[[re.Match[str]], object] = bool
) -> Callable[[str], Iterator[Span]]:
    """Finder of the matches that fit."""
    return lambda text: (match.span() for match in pattern.finditer(text) if fits(match))


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        # Words that follow look like further groups: the longest piece that checks out counts.
        for end in reversed([gap.start() for gap in re.finditer(r"[ -]|$", match[0])]):
            if iban(re.sub(r"[ -]", "", match[0][:end])):
                yield match.start(), match.start() + end
                break


def _phones(region: str | None, text: str) -> Iterator[Span]:
    """What phonenumbers takes for a phone number, if what stands around it agrees."""
    if len(re.findall(r"\d", text)) < _PHONE_DIGITS:
        return
    for match in PhoneNumberMatcher(text, region, _LENIENCY[region]):
        before = text[max(0, match.start - _BEFORE) : match.start]
        after = text[match.end : match.end + 2]
        if _phone(match.raw_string, before, after):
            yield match.start, match.end


def _phone(number: str, before: str, after: str) -> bool:
    digits = len(re.findall(r"\d", number))
    if number.startswith("+"):
        return digits >= _PHONE_DIGITS
    part_of_more = (
        re.search(r"\w$|\d[.,]$|\w[/-]$", before)
        or re.match(r"[\w%]|[/-]\w", after)
        or re.match(r"\d[.,]\d", number)
    )
    spelled = number.startswith("0") or not number.isdigit() or _CALL.search(before)
    enough = digits >= _PHONE_DIGITS + (not number.startswith("("))
    return bool(enough and spelled) and not (part_of_more or _ORDER.search(before))


def _card(match: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", match[0])
    return len(set(digits)) > 1 and luhn(digits)


def _ip(match: re.Match[str]) -> bool:
    """Whether it is no version, such as 1.2.3.4 or "firmware 12.0.1.7"."""
    before = match.string[max(0, match.start() - _BEFORE) : match.start()]
    return len(match[0]) > len("1.2.3.4") and not _VERSION.search(before)


def _email_redacted(text: str) -> str:
    end = re.findall(r"\w+", text)[-1]
    return f"{text[0]}***@***.{end}"


def _digits_redacted(text: str) -> str:
    digits = re.sub(r"\D", "", text)
    return f"***{digits[-2:]} ({len(digits)} digits)"


def _url_redacted(text: str) -> str:
    return re.sub(r"^(https?://)(?:[^/?#]*@)?([^/?#]*).*", r"\1\2/***", text, flags=re.IGNORECASE)


def _hidden(text: str) -> str:
    return f"*** ({len(text)} characters)"


_KINDS: tuple[tuple[str, Callable[[str], Iterator[Span]], Callable[[str], str]], ...] = (
    ("url_with_id", _matches(_URL, lambda m: _PERSON_IN_URL.search(m[0])), _url_redacted),
    ("email", _matches(_EMAIL), _email_redacted),
    ("email", _matches(_SPOKEN_EMAIL, lambda m: _SPELLED.search(m[0])), _email_redacted),
    ("iban", _ibans, _hidden),
    ("card_number", _matches(_CARD, _card), _digits_redacted),
    ("ssn_like", _matches(_SSN), _digits_redacted),
    ("ip_address", _matches(_IP, _ip), _hidden),
    *(("phone", partial(_phones, region), _digits_redacted) for region in _LENIENCY),
    ("street_address", _matches(_ADDRESS), _hidden),
)
