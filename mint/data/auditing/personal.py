"""Patterns of personal data: found, named and redacted, never written out.

Rules miss names and anything worded freely, and some finds are public numbers (a help line).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

_EMAIL = re.compile(r"\b[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}\b")
_PHONE = re.compile(
    r"(?<![\w.,/-])(?:\+\d{1,3}[\s.-]?)?(?:\(\d{2,5}\)[\s.-]?)?\d{2,5}(?:[\s.-]\d{2,5}){1,4}(?![\w/%-])"
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w.-])")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_IP = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.])"
)
_URL = re.compile(
    r"https?://[^\s\"'<>)]*(?:[?&](?:id|uid|user|token|key|session|email|phone|account|auth)[\w]*="
    r"|/(?:users?|profile|u|in|@)/?)[^\s\"'<>)]+",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"\b\d{1,5}[a-z]?\s+(?:[NSEW]\.?\s+)?(?:[A-Z][\w'-]+\s+){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln"
    r"|Drive|Dr|Boulevard|Blvd|Court|Ct|Terrace|Close|Crescent|Square|Highway|Hwy)\b\.?"
)


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
    rest = text
    for kind, pattern, fits, redact in _KINDS:
        pieces = []
        for match in pattern.finditer(rest):
            if fits(match[0]):
                found.append(Personal(kind, redact(match[0])))
                pieces.append(match.span())
        for start, end in pieces:
            rest = rest[:start] + " " * (end - start) + rest[end:]
    return found


def luhn(number: str) -> bool:
    """Whether the digits of a card number check out (ISO/IEC 7812-1)."""
    digits = [int(character) for character in number if character.isdigit()][::-1]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(digits)


def _phone(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    years = re.fullmatch(r"(?:19|20)\d\d[\s.-](?:19|20)?\d\d(?:[\s.-]\d\d?)?", text.strip())
    international = text.lstrip().startswith(("+", "("))
    return 9 + (not international) <= len(digits) <= 15 and years is None


def _email_redacted(text: str) -> str:
    return f"{text[0]}***@***.{text.rsplit('.', 1)[1]}"


def _digits_redacted(text: str) -> str:
    digits = re.sub(r"\D", "", text)
    return f"***{digits[-2:]} ({len(digits)} digits)"


def _url_redacted(text: str) -> str:
    return re.sub(r"^(https?://[^/]+/).*", r"\1***", text)


def _hidden(text: str) -> str:
    return f"*** ({len(text)} characters)"


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool], Callable[[str], str]], ...] = (
    ("url_with_id", _URL, bool, _url_redacted),
    ("email", _EMAIL, bool, _email_redacted),
    ("card_number", _CARD, _card, _digits_redacted),
    ("ssn_like", _SSN, bool, _digits_redacted),
    ("ip_address", _IP, bool, _hidden),
    ("phone", _PHONE, _phone, _digits_redacted),
    ("street_address", _ADDRESS, bool, _hidden),
)
