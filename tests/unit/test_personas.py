from __future__ import annotations

from typing import Any

import pytest

from mint.config.prompts import (
    LEVELS,
    TRAITS,
    Persona,
    PromptConfig,
    PromptStyle,
    persona_of_card,
    prompts_of_card,
)
from mint.data.personas import persona_text
from mint.data.prompts import system_prompt
from rewards.errors import ConfigError

WARM = Persona(warmth="high", length="low")


def test_each_trait_and_level_says_something_else() -> None:
    said = [persona_text(Persona(**{trait: level})) for trait in TRAITS for level in LEVELS[1:]]
    assert len(set(said)) == len(said) == 6
    assert persona_text(Persona()) == ""
    assert "warm" in persona_text(WARM)
    assert persona_text(WARM).endswith("one or two short sentences.")


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("style", [PromptStyle.PLAIN, PromptStyle.TACTICS_HISTORY])
def test_a_persona_is_a_part_of_the_prompt_and_changes_no_other(
    style: PromptStyle, compact: bool
) -> None:
    plain = system_prompt(PromptConfig(style=style, compact=compact), [])
    asked = system_prompt(PromptConfig(style=style, compact=compact, persona=WARM), [])
    assert persona_text(WARM) in asked
    without = asked.replace(persona_text(WARM), "").replace("# Manner\n\n\n", "").strip()
    assert without == plain


def test_a_prompt_of_ones_own_has_the_persona_where_it_says_or_at_its_end() -> None:
    def said(template: str) -> str:
        config = PromptConfig(style=PromptStyle.FILE, template=template, persona=WARM)
        return system_prompt(config, [])

    assert said("Be kind. {persona} Go.") == f"Be kind. {persona_text(WARM)} Go."
    assert said("Be kind.") == f"Be kind.\n\n{persona_text(WARM)}"


def test_a_card_keeps_the_persona_and_says_nothing_of_none() -> None:
    config = PromptConfig(compact=True, persona=WARM)
    assert config.card()["persona"] == {"warmth": "high", "directness": "any", "length": "low"}
    assert prompts_of_card(config.card()) == config
    assert "persona" not in PromptConfig().card()
    assert persona_of_card(PromptConfig().card()) == Persona()


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"persona": {"charm": "high"}}, "keys warmth, directness, length"),
        ({"persona": {"warmth": "huge"}}, "persona.warmth must be one of any, low, high"),
    ],
)
def test_an_unknown_persona_is_refused(card: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        persona_of_card(card)
