"""What a run of a demo builds for itself: its data and its policy."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from mint.config.prompts import PromptConfig, PromptStyle
from mint.config.schema import MintConfig
from mint.data.dataset import TRAIN, VAL
from mint.data.synthetic import build_demo_data
from mint.dialogue.people import shipped_parts, write_people
from mint.policy import building
from mint.policy.building import KINDS, is_missing
from mint.shell.console import say

DATA, POLICY = "data", "policy"


def missing(config: DictConfig, mint: MintConfig) -> dict[str, str]:
    """DATA and POLICY, those that the run has to build first -> in words."""
    found = {}
    built = {"synthetic": "generated data", "persons": "people to talk with"}
    if mint.data.source in built and not Path(mint.data.train_file).is_file():
        found[DATA] = f"the {built[mint.data.source]} in {mint.data.dir}"
    # Only the recipe's own path is built: a mistyped model path must be an error.
    own = str(config.actor_rollout_ref.model.path) == mint.policy.path
    if own and is_missing(mint.policy.build, Path(mint.policy.path)):
        found[POLICY] = f"{KINDS[mint.policy.build].words} in {mint.policy.path}"
    return found


def build(config: DictConfig, mint: MintConfig) -> None:
    """Build what is missing. Raises TrainingError when the policy cannot be built."""
    wanted = missing(config, mint)
    if DATA in wanted and mint.data.source == "persons":
        build_people(mint)
    elif DATA in wanted:
        say(f"generating {mint.data.num_conversations} conversations in {mint.data.dir}")
        build_demo_data(
            mint.data.dir,
            mint.data.num_conversations,
            mint.data.seed,
            persona=mint.data.persona,
        )
    if POLICY in wanted:
        building.build(mint.policy.build, mint.policy.path, mint.policy.seed)


def build_people(mint: MintConfig) -> None:
    """Write the shipped people to talk with, some held out."""
    prompts = PromptConfig(
        style=PromptStyle(mint.data.style),
        compact=mint.data.compact,
        persona=mint.data.persona,
        max_tokens_hint=mint.dialogue.turn_tokens,
    )
    parts = shipped_parts()
    say(
        f"writing {len(parts[TRAIN])} people to talk with and {len(parts[VAL])} held out: "
        f"{mint.data.dir}"
    )
    write_people(Path(mint.data.dir), parts, prompts, mint.data.seed)
