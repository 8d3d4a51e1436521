"""Times in words."""

from __future__ import annotations


def span(seconds: float) -> str:
    """A length of time in the unit that fits: "45 s", "12 min", "2.5 h", "3.1 days"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"
