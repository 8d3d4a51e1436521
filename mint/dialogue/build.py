"""The seeker that the configuration asks for."""

from __future__ import annotations

from typing import cast

from mint.config.dialogue import SeekerConfig
from mint.dialogue.protocol import Seeker
from rewards.build import call_factory
from rewards.errors import ConfigError


def build_seeker(config: SeekerConfig) -> Seeker:
    """The configured seeker. Raises ConfigError."""
    if config.factory is None:
        raise ConfigError(f"mint.seeker.kind={config.kind} cannot be built")
    return cast(Seeker, call_factory("seeker", config.factory))
