"""Keys of `protocol=sage`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mint.config.seeker import SeekerEndpoint
from mint.dialogue.presets import get_preset
from rewards.errors import ConfigError
from rewards.serving.settings import ServedJudgeConfig


@dataclass(frozen=True, kw_only=True)
class RubricJudgeConfig(ServedJudgeConfig):
    """The server that judges whole conversations."""

    where: ClassVar[str] = "sage.judge"


@dataclass(frozen=True, kw_only=True)
class SageSettings:
    """Conversations with simulated seekers. `samples` is how often each person is met, and
    `max_new_tokens` the longest reply."""

    preset: str = "sage_bench"
    """Disposition of the seeker: sage_bench, rlver_train, challenging, reserved or pressing."""
    served: SeekerEndpoint = field(default_factory=SeekerEndpoint)
    """A model that plays the people: sage.served.urls=[http://127.0.0.1:8000]
    sage.served.model=NAME; without urls the rule seeker does, offline."""
    second_preset: str | None = None
    """Disposition of a second seeker, whom the model was not trained with: the same people are
    played by both, and the gap is reported. A second rule seeker is moved by the second judge,
    where there is one."""
    second_kind: str = "rule"
    """rule, or drift: the other offline seeker, moved in another way (docs/seekers.md), whose
    preset is the first one's unless set."""
    second_served: SeekerEndpoint = field(default_factory=SeekerEndpoint)
    """A model that plays the second seeker; its preset is the first one's unless set."""
    persons: str | None = None
    """all (the people that ship with mint), val (the fifth of them that is held out from training),
    or a file: JSON lines of mint's people or of RLVER's or SAGE's released profiles, or rows of
    people (Parquet). null: the held-out people of a run that has them, else all."""
    limit: int | None = None
    """Only the first so many people."""
    turns: int | None = None
    """Longest conversation in replies; null: the preset's (10 for sage_bench)."""
    judge: RubricJudgeConfig = field(default_factory=RubricJudgeConfig)
    """A chat model that judges five capabilities: sage.judge.urls=[http://127.0.0.1:8000]
    sage.judge.model=NAME; none without urls."""
    people: str | None = None
    """Conversations between people, in any form that `data` takes: how like them the seeker talks
    is measured."""

    def __post_init__(self) -> None:
        for name in ("preset", "second_preset"):
            if getattr(self, name) is not None:
                get_preset(getattr(self, name))
        if self.second_kind not in ("rule", "drift"):
            raise ConfigError(f"sage.second_kind must be rule or drift, got {self.second_kind!r}")
        alike = self.second_kind == "rule" and self.served == self.second_served
        if self.second_preset == self.preset and alike:
            raise ConfigError(
                f"sage.second_preset must differ from sage.preset, got {self.preset!r} for both"
            )
        for name in ("limit", "turns"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"sage.{name} must be >= 1 or null, got {value}")

    @property
    def second(self) -> str | None:
        """Preset of the second seeker; None without one."""
        if self.second_served.urls or self.second_kind == "drift":
            return self.second_preset or self.preset
        return self.second_preset
