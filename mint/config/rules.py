"""Rules that single settings keep, each with the words of its error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rewards.errors import ConfigError


class Rule(NamedTuple):
    """What values are allowed."""

    text: str
    """Completes "NAME must be ..."."""
    holds: Callable[[Any], bool]


POSITIVE = Rule("> 0", lambda value: value > 0)
SHARE = Rule("in [0, 1]", lambda value: 0 <= value <= 1)
PART = Rule("in (0, 1]", lambda value: 0 < value <= 1)


def at_least(least: float) -> Rule:
    """That number or more."""
    return Rule(f">= {least}", lambda value: value >= least)


def one_of(*allowed: Any) -> Rule:
    """Only these values."""
    return Rule(f"one of {', '.join(map(str, allowed))}", lambda value: value in allowed)


def or_null(rule: Rule) -> Rule:
    """The rule, or nothing set."""
    return Rule(f"{rule.text} or null", lambda value: value is None or rule.holds(value))


def check(settings: object, rules: Mapping[str, Rule], node: str = "") -> None:
    """Raise ConfigError for the first attribute of `settings` that breaks its rule; `node` is what
    stands before its name in the configuration, with the dot."""
    for name, rule in rules.items():
        value = getattr(settings, name)
        if not rule.holds(value):
            raise ConfigError(f"{node}{name} must be {rule.text}, got {value!r}")
