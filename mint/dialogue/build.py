"""The seeker that the configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from mint.config.dialogue import SeekerConfig
from mint.dialogue.drift import DriftSeeker
from mint.dialogue.presets import get_preset
from mint.dialogue.protocol import Seeker
from mint.dialogue.rule import RuleSeeker
from mint.dialogue.served import ServedSeeker
from rewards.build import Graders, call_factory


def build_seeker(config: SeekerConfig, graders: Callable[[], Graders]) -> Seeker:
    """The configured seeker; `graders` are asked for where it listens with them. Raises
    ConfigError."""
    if config.kind == "custom":
        return cast(Seeker, call_factory("seeker", config.factory))
    preset = get_preset(config.preset)
    if config.kind == "rule":
        made = graders()
        return RuleSeeker(preset, made.tagger, made.judge)
    return DriftSeeker(preset) if config.kind == "drift" else ServedSeeker(preset, config.served)
