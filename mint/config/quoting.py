"""Values in Hydra's grammar of overrides."""

from __future__ import annotations


def quoted(value: str) -> str:
    """A value as Hydra's grammar reads it, whatever is in it."""
    plain = all(c.isascii() and (c.isalnum() or c in "/_.+-") for c in value)
    if plain:
        return value
    escaped = value.replace("'", "\\'")
    return f"'{escaped}'"
