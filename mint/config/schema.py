"""The project's own settings: the node `mint` of every training configuration.

Each default lives here once (or on the dataclass that owns it: `RewardWeights`, the grader and
evaluation configs). verl's keys stay verl's; recipes set them directly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mint.config.curriculum import CurriculumConfig
from mint.config.dialogue import DialogueRules, SecondSeekerConfig, SeekerConfig
from mint.config.evaluation import EvaluationConfig
from mint.config.prompts import Persona, PromptConfig, prompt_style
from mint.config.rules import POSITIVE, SHARE, check, one_of
from mint.config.validation import CollapseConfig, ValidationConfig
from mint.shell.cli import make_writable
from rewards.build import EncoderConfig, JudgeConfig, SecondJudgeConfig, TaggerConfig
from rewards.errors import ConfigError
from rewards.formula import RewardWeights
from rewards.talks import DialogueWeights

TASKS = ("replies", "dialogues")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where prompts come from."""

    source: str = "prepared"
    """prepared: `dir` was written by `python -m mint.prepare`. synthetic: built on demand from the
    shipped scenarios and sentence banks. persons: the people whom dialogues are held with."""
    dir: str = "data/built/mint"
    """Folder with train.parquet, val.parquet and card.json."""
    train_file: str = "${mint.data.dir}/train.parquet"
    """Training rows."""
    val_file: str = "${mint.data.dir}/val.parquet"
    """Held-out rows, evaluated before and after training."""
    style: str = PromptConfig.style.value
    """Prompt style, as given to `mint.prepare` (plain, tactics, tactics_history or file). Must
    match the prepared data."""
    compact: bool = PromptConfig.compact
    """Short system prompts (for small policies). Must match the prepared data."""
    persona: Persona = field(default_factory=Persona)
    """Manner that the prompts ask for. Must match the prepared data."""
    enable_thinking: bool = False
    """Passed to the policy's chat template, in rollouts, validations and evaluations."""
    num_conversations: int = 600
    """Conversations to generate when source is synthetic."""
    seed: int = 0
    """Seed of the synthetic generator."""

    def __post_init__(self) -> None:
        prompt_style("mint.data.style", self.style)
        rules = {
            "source": one_of("prepared", "synthetic", "persons"),
            "num_conversations": POSITIVE,
        }
        check(self, rules, "mint.data.")


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """How the starting policy comes about."""

    build: str = "none"
    """none: `actor_rollout_ref.model.path` must exist or be a hub name. tiny: the small Qwen3 of
    `python -m mint.tiny` is built at `path` when it is not there. smol: SmolLM2-135M-Instruct of
    `python -m mint.policy smol` likewise."""
    path: str = "outputs/tiny-policy"
    """Where the policy that was built is kept between runs."""
    seed: int = 0
    """Seed of its initialisation and warm start."""

    def __post_init__(self) -> None:
        check(self, {"build": one_of("none", "tiny", "smol")}, "mint.policy.")


@dataclass(frozen=True, kw_only=True)
class GradingConfig:
    """How replies reach the graders during training, and when bad grading ends the run."""

    max_batch: int = 64
    """Replies graded in one call at most."""
    max_failed_fraction: float = 0.25
    """A step with a larger share of failed gradings ends the run, in [0, 1]."""
    max_lost_fraction: float = 0.5
    """A step with a larger share of lost groups ends the run, in [0, 1]."""
    failure_window: int = 20
    """Steps over which a slow leak of failures is looked for."""
    max_window_failed_fraction: float = 0.1
    """That many steps with a larger share of failed gradings together end the run, in [0, 1]."""
    health_interval_s: float = 60.0
    """How often, at the end of a step, grader servers are asked whether they are alive, seconds."""

    def __post_init__(self) -> None:
        shares = ("max_failed_fraction", "max_lost_fraction", "max_window_failed_fraction")
        rules = {"max_batch": POSITIVE, "failure_window": POSITIVE, **dict.fromkeys(shares, SHARE)}
        check(self, rules, "mint.grading.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The run directory and its supervision."""

    name: str = ""
    """Name of the experiment in trackers; the recipe's name unless set."""
    dir: str = ""
    """Run directory; outputs/<recipe>/<date_time> unless set. Must not exist, see `resume`."""
    resume: bool = False
    """Continue the run in `dir` from its newest checkpoint, with its own configuration."""
    allow_changes: bool = False
    """Let a continued run change what it trains (objective, data, policy); the manifest says so."""
    seed: int = 0
    """Seed of data order and sampling."""
    evaluate: bool = True
    """Evaluate held-out conversations before and after training."""
    watch: bool = False
    """Serve the run's page (`mint watch`) on this machine until the run ends; its address is
    printed."""
    export: str = "best"
    """What becomes RUN/model: best (the best validated step that keeps the limits; the last one
    without `mint.validation.every_steps`) or last."""
    start_timeout_s: float = 900.0
    """The run is ended when loading the policy or starting vLLM takes this many seconds; other
    phases of the start may take a share of it (docs/run-directory.md)."""
    step_timeout_s: float = 3600.0
    """The run is ended when no step finishes for this many seconds; of the first step, generation
    and the rest may take as long each."""
    max_skipped_updates: int = 3
    """So many steps in a row whose gradient is not a finite number end the run (verl skips such
    updates)."""
    poll_interval_s: float = 0.05
    """How often the trainer looks for finished replies; verl's own 2 s would round every
    generation phase up."""
    samples_per_step: int = 2
    """Groups a step whose best and worst reply go to samples.jsonl."""

    def __post_init__(self) -> None:
        times = ("start_timeout_s", "step_timeout_s", "poll_interval_s", "max_skipped_updates")
        check(
            self, {"export": one_of("best", "last"), **dict.fromkeys(times, POSITIVE)}, "mint.run."
        )


@dataclass(frozen=True, kw_only=True)
class MintConfig:
    """Everything under `mint`."""

    task: str = "replies"
    """replies: single replies to given histories. dialogues: whole conversations with a seeker."""
    reward: RewardWeights = field(default_factory=RewardWeights)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    tagger: TaggerConfig = field(default_factory=TaggerConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    second_judge: SecondJudgeConfig = field(default_factory=SecondJudgeConfig)
    grading: GradingConfig = field(default_factory=GradingConfig)
    data: DataConfig = field(default_factory=DataConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    collapse: CollapseConfig = field(default_factory=CollapseConfig)
    seeker: SeekerConfig = field(default_factory=SeekerConfig)
    second_seeker: SecondSeekerConfig = field(default_factory=SecondSeekerConfig)
    dialogue: DialogueRules = field(default_factory=DialogueRules)
    credit: DialogueWeights = field(default_factory=DialogueWeights)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        check(self, {"task": one_of(*TASKS)}, "mint.")


TUNING_COMMANDS = ("sft", "prefer")
"""Commands that tune a model without VERL; a run of theirs has a node `mint.COMMAND`."""
_MOVED = (("evaluation", "enable_thinking", "data"),)
"""Node, key and present node of keys that configurations of earlier runs have elsewhere."""


def schema() -> DictConfig:
    """The typed node for Hydra: misspelt keys and wrong types under `mint` fail at composition."""
    node = OmegaConf.structured(MintConfig)
    make_writable(node)
    OmegaConf.set_struct(node.validation.choose, False)  # its keys are names of metrics
    return node


def mint_config(config: DictConfig) -> MintConfig:
    """The validated `mint` node of a composed configuration. Raises ConfigError."""
    plain: Any = OmegaConf.to_container(config.mint, resolve=True)
    if other := [name for name in TUNING_COMMANDS if name in plain]:
        raise ConfigError(
            f"this is a run of `mint {other[0]}`, not of `mint train`; give its model, RUN/model"
        )
    for node_name, key, now in _MOVED:
        if key in plain.get(node_name, {}):
            plain.setdefault(now, {})[key] = plain[node_name].pop(key)
    node = OmegaConf.merge(schema(), OmegaConf.create(plain))
    return OmegaConf.to_object(node)  # type: ignore[return-value]
