"""docs/fidelity.md says what the recipes do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mint.config import compose, recipes


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs/fidelity.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_is_called_the_same_is_so_in_the_recipe(page: str) -> None:
    same = page.partition("## The same")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (\S+) \|$", same, re.MULTILINE)
    assert len(rows) == 23
    recipes.register(recipes.find_recipes())
    for recipe in ("mint_4b", "mint_4b_served"):
        config = compose.compose_config([f"+recipe={recipe}"])
        assert {key: str(OmegaConf.select(config, key)) for key, _ in rows} == dict(rows)


@pytest.mark.slow
def test_its_recipes_exist_and_differ_as_it_says(page: str) -> None:
    found = recipes.find_recipes()
    table = page.partition("## Baselines")[2].partition("\n**R1")[0]
    named = set(re.findall(r"`(\w+_4b\w*)`", table))
    assert named >= {"r1_zero_div_4b", "quality_only_tactics_4b"}
    assert named <= set(found)
    recipes.register(found)
    names = ("mint_4b", "quality_only_4b", "quality_only_tactics_4b")
    mint, plain, tactics = (compose.compose_config([f"+recipe={name}"]).mint for name in names)
    assert (mint.reward.mode, mint.data.style) == ("add", "tactics_history")
    assert (plain.reward.mode, plain.data.style) == ("quality_only", "plain")
    assert (tactics.reward.mode, tactics.data.style) == ("quality_only", "tactics_history")


@pytest.mark.slow
def test_the_override_for_verls_own_entropy_composes(page: str) -> None:
    recipes.register(recipes.find_recipes())
    (command,) = re.findall(r"^mint train (.*)$", page, re.MULTILINE)
    actor = compose.compose_config(command.split()).actor_rollout_ref.actor
    assert (actor.policy_loss.loss_mode, actor.entropy_coeff) == ("vanilla", 0.01)
