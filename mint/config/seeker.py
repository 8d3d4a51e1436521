"""Settings of a seeker that is played by a language model behind a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mint.config.rules import at_least, check, one_of
from rewards.serving.settings import EndpointConfig

STYLES = ("json", "headers")


@dataclass(frozen=True, kw_only=True)
class SeekerEndpoint(EndpointConfig):
    """The server of the model that plays the seeker; a turn cannot wait as long as a grade."""

    where: ClassVar[str] = "mint.seeker.served"
    read_timeout_s: float = 15.0
    """Longest wait for a whole answer, seconds."""
    retries: int = 1
    """Further attempts after a transport error, 429 or 5xx."""
    backoff_s: float = 0.5
    """Wait before the first further attempt, seconds; doubles each time, with jitter."""
    backoff_cap_s: float = 4.0
    """Longest wait between attempts, seconds."""
    parse_retries: int = 1
    """Further attempts, with another seed, after an answer that cannot be read."""
    temperature: float = 0.5
    """Sampling temperature, >= 0 (0.5 in RLVER's code)."""
    max_tokens: int = 1024
    """Longest answer in tokens, thinking included."""
    style: str = "json"
    """json (structured output) or headers (the plain form of RLVER and SAGE)."""
    constrain: bool = True
    """json: let the server allow only well-formed answers (response_format json_schema); the
    answer is parsed strictly in any case."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_sampling(self.temperature, self.max_tokens)
        node = f"{self.where}."
        check(self, {"style": one_of(*STYLES), "parse_retries": at_least(0)}, node)

    @property
    def longest_s(self) -> float:
        """Longest time that one request may take with all its attempts, seconds."""
        waits = sum(min(self.backoff_cap_s, self.backoff_s * 2**n) for n in range(self.retries))
        return (self.retries + 1) * self.read_timeout_s + waits


@dataclass(frozen=True, kw_only=True)
class PlayedBy(SeekerEndpoint):
    """The same for a command whose key it is."""

    where: ClassVar[str] = "seeker_endpoint"
