"""The configuration of `mint prefer`."""

from __future__ import annotations

from dataclasses import dataclass, field

from mint.config.evaluation import EvaluationConfig
from mint.config.rules import POSITIVE, Rule, at_least, check, one_of, or_null
from mint.tuning.settings import BatchSettings, LoopSettings, ModelSettings, TuningRun
from rewards.build import EncoderConfig, JudgeConfig, SecondJudgeConfig, TaggerConfig
from rewards.formula import RewardWeights

UNSAFE = (
    "belief_endorsement",
    "death_endorsement",
    "dependence",
    "diagnosis",
    "dismissal",
    "disordered_tips",
    "dosage",
    "false_reassurance",
    "human_claim",
    "insult",
    "legal_certainty",
    "lived_experience",
    "plan_endorsement",
    "revenge",
    "secrecy",
    "self_harm_tips",
    "stop_medication",
)
"""Finders (`mint.safety.finders`) whose find in a reply is a fault whatever was said before it."""


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Which two replies to a prompt become a pair: what they must differ in, and who must agree."""

    samples: int = 6
    """Replies drawn to each prompt, >= 2."""
    max_prompts: int | None = 400
    """Prompts of the training file that are sampled, spread over it; null: all."""
    temperature: float = 1.0
    """Of the draws, > 0; what is trained is the policy at this temperature."""
    max_new_tokens: int = 80
    """Longest reply, tokens."""
    min_margin: float = 0.05
    """Least difference of the composite reward on its fixed scale."""
    min_judge_gap: float = 0.1
    """Least difference of the judge's rating, points of 1 to 5."""
    min_second_gap: float | None = 0.0
    """Least difference of the second judge's rating; null: it is not asked."""
    max_novelty_loss: float | None = 0.5
    """Most nats of tactic novelty that the better reply may give away; null: any."""
    max_length_ratio: float | None = 2.0
    """Longest of a pair over its shortest in tokens, so that length is not what is learnt; null:
    any."""
    safety: bool = True
    """Refuse a better reply in which a safety rule finds a fault."""
    per_prompt: int = 1
    """Most pairs of a prompt; no reply is in two of them."""

    def __post_init__(self) -> None:
        rules = {
            "samples": at_least(2),
            "max_prompts": or_null(at_least(1)),
            "temperature": POSITIVE,
            "max_new_tokens": at_least(1),
            "min_margin": at_least(0),
            "min_judge_gap": at_least(0),
            "min_second_gap": or_null(at_least(0)),
            "max_novelty_loss": or_null(at_least(0)),
            "max_length_ratio": or_null(at_least(1)),
            "per_prompt": at_least(1),
        }
        check(self, rules, "pairs.")


@dataclass(frozen=True, kw_only=True)
class PreferData:
    """Prompts to draw replies to, or ready pairs."""

    source: str = "prepared"
    """prepared: `dir` was written by `python -m mint.prepare`. synthetic: built on demand from the
    shipped scenarios and sentence banks."""
    dir: str = "data/built/mint"
    """Folder with train.parquet, whose prompts are answered, and val.parquet, which is held out."""
    num_conversations: int = 600
    """Conversations to generate when source is synthetic."""
    pairs: str | None = None
    """Ready pairs instead of drawn ones: JSON lines with messages, chosen and rejected, such as
    pairs.jsonl of a run."""
    dev_share: float = 0.1
    """Share of the scenarios or conversations of `train.parquet` that choose the step, (0, 1)."""
    enable_thinking: bool = False
    """Passed to the chat template."""

    def __post_init__(self) -> None:
        part = Rule("in (0, 1)", lambda value: 0 < value < 1)
        rules = {
            "source": one_of("prepared", "synthetic"),
            "num_conversations": at_least(1),
            "dev_share": part,
        }
        check(self, rules, "data.")


@dataclass(frozen=True, kw_only=True)
class DpoSettings:
    """The loss (`mint.preference.dpo`)."""

    beta: float = 0.1
    """How dear it is to leave the reference, > 0: small values allow large changes."""
    label_smoothing: float = 0.0
    """Share of pairs that may be the wrong way round, in [0, 0.5)."""

    def __post_init__(self) -> None:
        smoothing = Rule("in [0, 0.5)", lambda value: 0 <= value < 0.5)
        check(self, {"beta": POSITIVE, "label_smoothing": smoothing}, "dpo.")


@dataclass(frozen=True, kw_only=True)
class PreferSettings:
    """Everything under `mint.prefer`."""

    model: ModelSettings = field(default_factory=ModelSettings)
    data: PreferData = field(default_factory=PreferData)
    pairs: PairConfig = field(default_factory=PairConfig)
    dpo: DpoSettings = field(default_factory=DpoSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    """Of pairs: `size` counts pairs, `tokens` both replies with their prompts."""
    reward: RewardWeights = field(default_factory=RewardWeights)
    """What ranks replies: `mint.reward` of training."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    tagger: TaggerConfig = field(default_factory=TaggerConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    second_judge: SecondJudgeConfig = field(default_factory=SecondJudgeConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """Held-out replies before and after training."""
    evaluate: bool = True
    """Evaluate val.parquet before and after training."""
    run: TuningRun = field(default_factory=TuningRun)
