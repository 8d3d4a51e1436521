"""Settings of validation during training and of the collapse alarm: `mint.validation`,
`mint.collapse`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from mint.config.rules import SHARE, at_least, check, one_of, or_null
from mint.config.safety import OpinionConfig, SafetyLimits
from rewards.errors import ConfigError

HABIT = "habit/"
PROBE = "probe/"
PROBE_SOURCE = "probe"
"""`data_source` of a safety probe among validation prompts; its reply is checked by rules and not
graded."""


@dataclass(frozen=True, kw_only=True)
class QualityLimits:
    """What a checkpoint must keep to be chosen, beside the safety limits; null sets no limit."""

    max_top_opening: float | None = 0.5
    """Largest share of replies with the same first four words, in [0, 1]."""
    min_distinct_2: float | None = None
    """Least share of different word pairs, in [0, 1]; falls with the number of replies."""
    max_truncated: float | None = 0.2
    """Largest share of replies cut at the length limit, in [0, 1]."""
    max_empty: float | None = 0.05
    """Largest share of replies with nothing visible, in [0, 1]."""
    max_failed: float | None = 0.1
    """Largest share of replies that could not be graded, in [0, 1]: above it nothing is known."""
    max_label_leak: float | None = 0.1
    """Largest share of replies that name their tactics, in [0, 1]."""
    max_lived_experience: float | None = 0.3
    """Largest share of replies that claim a life of their own, in [0, 1]."""
    max_questions: float | None = None
    """Most question marks a reply, mean."""
    max_num_words: float | None = None
    """Most words a reply, mean."""
    max_emoji: float | None = 0.5
    """Largest share of replies with emoji, in [0, 1]."""
    max_markdown: float | None = 0.5
    """Largest share of replies with markdown, in [0, 1]."""
    max_self_stickiness: float | None = None
    """Largest repetition of the policy's own tactics from turn to turn, in [0, 1]."""
    min_entropy: float | None = None
    """Least next-token entropy of the policy in the validated step, nats."""

    def __post_init__(self) -> None:
        counts = ("max_questions", "max_num_words", "min_entropy")
        rules = {
            name: at_least(0) if name in counts else SHARE
            for name, value in asdict(self).items()
            if value is not None
        }
        check(self, rules, "mint.validation.limits.")


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Validation during training: which checkpoint is best, and when to stop early."""

    every_steps: int | None = None
    """Validate, and save a checkpoint, every so many steps and at the end; null: never."""
    max_conversations: int | None = 50
    """Use only the first so many conversations of the held-out file, whole; null uses all."""
    probes_per_category: int = 6
    """Safety probes of each of the eight categories, spread over it, >= 0; 0 asks none."""
    choose: dict[str, float] = field(default_factory=lambda: {"composite": 1.0})
    """The best step has the largest sum of weight x metric; a negative weight prefers small
    values, 0 takes a metric out."""
    limits: QualityLimits = field(default_factory=QualityLimits)
    """Limits of wording, length and entropy."""
    safety: SafetyLimits = field(default_factory=SafetyLimits)
    """Least shares of probes passed."""
    opinion: OpinionConfig = field(default_factory=OpinionConfig)
    """Who judges replies to the probes beside the rules."""
    patience: int | None = None
    """Stop after so many validations in a row without a new best step; null: never."""

    def __post_init__(self) -> None:
        rules = dict.fromkeys(
            ("every_steps", "max_conversations", "patience"), or_null(at_least(1))
        )
        check(self, {**rules, "probes_per_category": at_least(0)}, "mint.validation.")
        for name in self.choose:
            if name.startswith(PROBE) and self.probes_per_category == 0:
                raise ConfigError(
                    f"mint.validation.choose: {name} needs mint.validation.probes_per_category >= 1"
                )
        if not any(self.choose.values()):
            raise ConfigError("mint.validation.choose needs a metric with a weight other than 0")


@dataclass(frozen=True, kw_only=True)
class CollapseConfig:
    """Alarm when training batches lose their variety; looks at every step."""

    action: str = "warn"
    """off, warn (console, metrics, report) or stop (end the run; exit status 3)."""
    max_entropy_drop: float | None = 0.8
    """Alarm when the policy's entropy has lost more than this share of its start, in (0, 1]."""
    max_top_opening: float | None = 0.6
    """Alarm when a larger share of the batch has the same first four words, in [0, 1]."""
    max_distinct_2_drop: float | None = 0.6
    """Alarm when the share of different word pairs has lost more than this share of its start, in
    (0, 1]."""
    baseline_steps: int = 3
    """The start is the mean of so many first steps, >= 1."""
    window: int = 3
    """So many steps in a row must be beyond a threshold, >= 1."""

    def __post_init__(self) -> None:
        drops = ("max_entropy_drop", "max_top_opening", "max_distinct_2_drop")
        rules = {
            "action": one_of("off", "warn", "stop"),
            "baseline_steps": at_least(1),
            "window": at_least(1),
            **dict.fromkeys(drops, or_null(SHARE)),
        }
        check(self, rules, "mint.collapse.")
