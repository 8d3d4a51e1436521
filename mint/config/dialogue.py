"""Settings of conversations: who is talked with (`mint.seeker`) and how long (`mint.dialogue`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mint.config.rules import POSITIVE, at_least, check, one_of
from mint.config.seeker import SeekerEndpoint
from rewards.errors import ConfigError
from rewards.text import visible_reply
from rewards.thoughts import thoughts_in
from rewards.types import Status

THINKING = ("none", "keep", "drop")
SEEKERS = ("rule", "drift", "served", "custom")


@dataclass(frozen=True, kw_only=True)
class SeekerConfig:
    """Who the policy talks with."""

    where: ClassVar[str] = "mint.seeker"
    kinds: ClassVar[tuple[str, ...]] = SEEKERS
    kind: str = "rule"
    """rule and drift (both offline, moved in different ways, see docs/seekers.md), served (a model
    behind `served`), or custom with `factory`."""
    preset: str = "rlver_train"
    """Emotion rules and manner of the seeker, see docs/dialogues.md."""
    factory: str | None = None
    """package.module:callable that takes no argument and returns a Seeker."""
    served: SeekerEndpoint = field(default_factory=SeekerEndpoint)

    def __post_init__(self) -> None:
        check(self, {"kind": one_of(*self.kinds)}, f"{self.where}.")
        if (self.kind == "custom") != (self.factory is not None):
            raise ConfigError(f"{self.where}.factory belongs to {self.where}.kind=custom")


@dataclass(frozen=True, kw_only=True)
class SecondSeekerConfig(SeekerConfig):
    """Whom the policy never trains with: held-out people are played by it too, before and after."""

    where: ClassVar[str] = "mint.second_seeker"
    kinds: ClassVar[tuple[str, ...]] = (*SEEKERS, "none")
    kind: str = "drift"
    """As mint.seeker.kind, but another one; none: nothing is measured with a second seeker."""


@dataclass(frozen=True, kw_only=True)
class DialogueRules:
    """Limits of one conversation. Limits in seconds nest: request < seeker < dialogue < step."""

    max_turns: int = 8
    """Replies of the model (RLVER trains with 8, SAGE measures with 10)."""
    turn_tokens: int = 96
    """Tokens of one reply at most, its thoughts included."""
    min_turn_tokens: int = 16
    """A conversation ends where less than this is left for the next reply."""
    seeker_timeout_s: float = 60.0
    """Longest wait for one turn of the seeker, seconds."""
    reply_timeout_s: float = 120.0
    """Longest wait for one reply of the model, seconds."""
    dialogue_timeout_s: float = 900.0
    """Longest conversation, seconds; more than one wait for the seeker and one for a reply."""
    thinking: str = "none"
    """none; keep (a <think> block before each reply, all stay in the prompt); or drop (earlier
    thoughts leave the prompt, as chat templates of thinking models do)."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range and limits that do not nest."""
        seconds = ("seeker_timeout_s", "reply_timeout_s", "dialogue_timeout_s")
        ranges = {"max_turns": at_least(1), "min_turn_tokens": at_least(1)}
        ranges |= dict.fromkeys(seconds, POSITIVE)
        node = "mint.dialogue."
        check(self, {**ranges, "thinking": one_of(*THINKING)}, node)
        check(self, {"turn_tokens": at_least(self.min_turn_tokens)}, node)
        waits = self.seeker_timeout_s + self.reply_timeout_s
        if not self.dialogue_timeout_s > waits:
            raise ConfigError(
                f"{node}dialogue_timeout_s must be more than seeker_timeout_s + reply_timeout_s = "
                f"{waits:g}, got {self.dialogue_timeout_s:g}"
            )

    def well_formed(self, raw: str) -> bool:
        """Whether a raw reply says something and thinks exactly as it should.

        With thinking: one closed block, at the start and not empty. Without: no block. A block has
        any form of `rewards.thoughts`. (RLVER's paper gives other replies no reward; its released
        code checks nothing.)

        >>> DialogueRules(thinking="keep").well_formed("<think>tired</think>You sound tired.")
        True
        """
        if visible_reply(raw).status is not Status.OK:
            return False
        thoughts = thoughts_in(raw)
        if self.thinking == "none":
            return not thoughts
        (only,) = thoughts if len(thoughts) == 1 else (None,)
        return only is not None and only.first and only.whole and bool(only.text.strip())
