"""Settings that decide the text of a prompt. `PromptStyle` is the only list of styles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from mint.config.rules import check, one_of
from rewards.errors import ConfigError


class PromptStyle(StrEnum):
    """How much the policy is told about tactics."""

    PLAIN = "plain"
    """Role and length only (the untrained and quality-only baselines)."""
    TACTICS = "tactics"
    """Also the ten tactics, and a general wish for variety."""
    TACTICS_HISTORY = "tactics_history"
    """Also which tactics the conversation has used (MINT's training prompt)."""
    FILE = "file"
    """A text of your own: `PromptConfig.template`."""


ANY = "any"
LEVELS = (ANY, "low", "high")


@dataclass(frozen=True, kw_only=True)
class Persona:
    """How the supporter is to come across: any says nothing, low and high a sentence each
    (data/personas)."""

    warmth: str = ANY
    """any, low (matter-of-fact) or high (openly warm)."""
    directness: str = ANY
    """any, low (asks and leaves open) or high (says plainly what to do)."""
    length: str = ANY
    """any, low (one or two sentences) or high (a full paragraph)."""

    def __post_init__(self) -> None:
        check(self, dict.fromkeys(TRAITS, one_of(*LEVELS)), "persona.")


TRAITS = tuple(trait.name for trait in fields(Persona))


@dataclass(frozen=True, kw_only=True)
class PromptConfig:
    """Everything that decides the text of a prompt."""

    style: PromptStyle = PromptStyle.TACTICS_HISTORY
    compact: bool = False
    """One or two lines instead of five sections."""
    max_tokens_hint: int = 200
    """Reply length that the prompt asks for; the reward shortens longer replies' scores."""
    max_history_turns: int | None = None
    """Seeker turns shown, newest last, with the replies between them; None shows all. The system
    prompt still reports the tactics of the whole conversation."""
    memory: bool = False
    """Tell what is not shown in a summary that the policy writes (`mint.data.memory`)."""
    template: str = ""
    """System prompt of the style `file`, in which {tactics} (the ten definitions), {usage} (what
    the conversation has used so far), {persona} and {max_tokens} are filled in."""
    persona: Persona = field(default_factory=Persona)
    """Manner that the prompt asks for."""

    def __post_init__(self) -> None:
        if self.max_tokens_hint < 1:
            raise ConfigError(f"max_tokens_hint must be >= 1, got {self.max_tokens_hint}")
        if self.max_history_turns is not None and self.max_history_turns < 1:
            raise ConfigError(
                f"max_history_turns must be >= 1 or null, got {self.max_history_turns}"
            )
        if self.memory and self.max_history_turns is None:
            raise ConfigError(
                "memory=true needs max_history_turns: a prompt that shows everything has nothing "
                "to remember"
            )

    def card(self) -> dict[str, Any]:
        """These settings for a data set's card."""
        values = asdict(self) | {"style": str(self.style)}
        if self.style is not PromptStyle.FILE:
            del values["template"]
        if self.persona == Persona():
            del values["persona"]
        if not self.memory:
            del values["memory"]
        return values


def prompts_of_card(card: Mapping[str, Any]) -> PromptConfig | None:
    """The settings that `PromptConfig.card` wrote; None for a card that lacks them."""
    names = ("compact", "max_tokens_hint", "max_history_turns")
    if not {"style", *names} <= set(card):
        return None
    values = {name: card[name] for name in (*names, "template", "memory") if name in card}
    style = prompt_style("style", card["style"])
    return PromptConfig(style=style, persona=persona_of_card(card), **values)


def persona_of_card(card: Mapping[str, Any]) -> Persona:
    """The persona of the prompts that a card speaks of. Raises ConfigError for an unknown one."""
    values = card.get("persona") or {}
    if not isinstance(values, Mapping) or set(values) - set(TRAITS):
        raise ConfigError(f"persona must have the keys {', '.join(TRAITS)}, got {values!r:.80}")
    return Persona(**values)


def prompt_style(key: str, value: str) -> PromptStyle:
    """The style named `value`. ConfigError that names `key` for an unknown one."""
    if value not in set(PromptStyle):
        raise ConfigError(f"{key} must be one of {', '.join(PromptStyle)}, got {value!r}")
    return PromptStyle(value)


def length_note(card: Mapping[str, Any], target: int) -> str | None:
    """What to say when a data set's prompts ask for longer replies than the reward wants.

    `target`: `mint.reward.length_target_tokens`. None when they agree or name no length.
    """
    prompts = prompts_of_card(card)
    if prompts is None or prompts.compact or prompts.max_tokens_hint <= target:
        return None
    return (
        f"the prompts ask for fewer than {prompts.max_tokens_hint} tokens, but "
        f"mint.reward.length_target_tokens={target} scales the reward of longer replies down; "
        f"prepare the data again with max_tokens_hint={target}"
    )
