"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def backoff_s(number: int, first_s: float, cap_s: float, source: random.Random) -> float:
    """Seconds before attempt number + 2: first_s * 2**number, at most cap_s, times 0.5 to 1.

    The random half keeps requests that failed together from coming back together.
    """
    return float(min(cap_s, first_s * 2.0 ** min(number, 60)) * source.uniform(0.5, 1.0))


def retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds >= 0 of a Retry-After header (a number or an HTTP date), None without a usable one.

    >>> retry_after_s("7"), retry_after_s("soon")
    (7.0, None)
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
