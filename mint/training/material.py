"""What a run of a demo builds for itself: its data and its policy."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from mint.config.prompts import PromptConfig, PromptStyle
from mint.config.schema import MintConfig
from mint.data.dataset import TRAIN, VAL
from mint.data.synthetic import build_demo_data
from mint.dialogue.people import shipped_parts, write_people
from mint.shell.console import say
from mint.shell.guard import run_guarded
from mint.shell.processes import TrainingError, python_module

DATA, POLICY = "data", "policy"


class _Kind(NamedTuple):
    """A policy that a run can build."""

    words: str
    minutes: str
    command: tuple[str, ...]
    """Module and part that build it."""


_POLICIES = {
    "tiny": _Kind("the tiny policy", "about two minutes", ("mint.tiny",)),
    "smol": _Kind("SmolLM2-135M-Instruct", "about four minutes", ("mint.policy", "smol")),
}


def missing(config: DictConfig, mint: MintConfig) -> dict[str, str]:
    """DATA and POLICY, those that the run has to build first -> in words."""
    found = {}
    built = {"synthetic": "generated data", "persons": "people to talk with"}
    if mint.data.source in built and not Path(mint.data.train_file).is_file():
        found[DATA] = f"the {built[mint.data.source]} in {mint.data.dir}"
    # Only the recipe's own path is built: a mistyped model path must be an error.
    own = str(config.actor_rollout_ref.model.path) == mint.policy.path
    there = (Path(mint.policy.path) / "config.json").is_file()
    if mint.policy.build in _POLICIES and own and not there:
        found[POLICY] = f"{_POLICIES[mint.policy.build].words} in {mint.policy.path}"
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
        kind = _POLICIES[mint.policy.build]
        say(f"building {wanted[POLICY]} ({kind.minutes} on two cores)")
        where = (f"output={mint.policy.path}", f"seed={mint.policy.seed}")
        in_own_process(*kind.command, *where)


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


def in_own_process(module: str, *arguments: str) -> None:
    """Run a stage whose memory must be gone before the next one; it ends with this process.
    Raises TrainingError."""
    status = run_guarded(python_module(module, *arguments))
    if status:
        raise TrainingError(f"the stage `python -m {module} {' '.join(arguments)}` failed")
