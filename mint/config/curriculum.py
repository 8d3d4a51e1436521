"""What is practised when (`mint.curriculum`): seekers by step, people by success."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mint.config.rules import SHARE, Rule, at_least, check, one_of
from rewards.errors import ConfigError

PEOPLE = ("uniform", "success")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """From which step on which seekers are met."""

    from_step: int = 1
    """First step of the stage, >= 1."""
    presets: dict[str, float] = field(default_factory=dict)
    """Preset of the seeker -> its share of the people of a step; shares need not add up to 1."""

    def __post_init__(self) -> None:
        node = "mint.curriculum.stages: "
        check(self, {"from_step": at_least(1)}, node)
        shares = list(self.presets.values())
        if not shares or not all(0 <= share < math.inf for share in shares) or not any(shares):
            raise ConfigError(
                f"{node}presets of step {self.from_step} must be NAME: SHARE with shares >= 0, one "
                f"of them above 0, got {dict(self.presets)}"
            )


@dataclass(frozen=True, kw_only=True)
class CurriculumConfig:
    """Which seekers are met when, and on whom dialogues are spent."""

    stages: list[Stage] = field(default_factory=list)
    """Presets of the seeker by step, e.g. [{from_step: 1, presets: {rlver_train: 1}}, {from_step:
    100, presets: {rlver_train: 1, challenging: 1}}]; empty: mint.seeker.preset throughout."""
    people: str = "uniform"
    """uniform: everybody equally often. success: mostly those who are helped about half the time,
    where a group of dialogues teaches most (Dual-Loop, arXiv 2608.10626)."""
    success_emotion: float = 100.0
    """With people success: final emotion from which a dialogue counts as one, in (0, 100]."""
    prior: float = 4.0
    """With people success: for how many dialogues the estimate of others stands, > 0."""
    bonus: float = 0.2
    """With people success: weight of what little is known, >= 0."""
    epsilon: float = 0.2
    """With people success: share of the people drawn uniformly, in [0, 1]."""

    def __post_init__(self) -> None:
        rules = {
            "people": one_of(*PEOPLE),
            "success_emotion": Rule("in (0, 100]", lambda value: 0 < value <= 100),
            "prior": Rule("> 0", lambda value: value > 0),
            "bonus": at_least(0),
            "epsilon": SHARE,
        }
        check(self, rules, "mint.curriculum.")
        steps = [stage.from_step for stage in self.stages]
        if steps and (steps[0] != 1 or sorted(set(steps)) != steps):
            raise ConfigError(
                f"mint.curriculum.stages must begin with from_step 1 and ascend, got {steps}"
            )
