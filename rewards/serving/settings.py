"""Settings of served graders: where the servers are and how they are asked.

The defaults suit a vLLM server on the same machine or network that takes seconds for an answer and
a minute for a restart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import urlsplit

from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """A group of servers that answer alike, and how patiently they are asked."""

    where: ClassVar[str] = "served"
    urls: list[str] = field(default_factory=list)
    """Base addresses, e.g. [http://127.0.0.1:8100]; requests go round them in turn."""
    model: str = ""
    """Model name the servers go by (`/v1/models`); not needed for get_reward."""
    revision: str = ""
    """Which weights these are (a commit or any label of yours); required for `cache`."""
    omit: list[str] = field(default_factory=list)
    """Parameters that are not sent because the servers refuse them, e.g. [temperature, top_p]."""
    token_file: str | None = None
    """File whose first line is sent as bearer token; null: no token."""
    concurrency: int = 64
    """Requests in flight at most, over all servers."""
    connect_timeout_s: float = 5.0
    """Longest wait for a connection, seconds."""
    read_timeout_s: float = 60.0
    """Longest wait for a whole answer, seconds."""
    retries: int = 7
    """Further attempts after a transport error, 429 or 5xx; nothing else is tried again. With the
    waits below, seven outlast the minute that a restarted vLLM needs."""
    backoff_s: float = 1.0
    """Wait before the first further attempt, seconds; doubles each time, with jitter."""
    backoff_cap_s: float = 30.0
    """Longest such wait, seconds; a server's Retry-After is honoured up to this as well."""
    seed: int = 0
    """Seed of the jitter, and of sampling where a grader samples."""
    url_failures: int = 3
    """Failures in a row after which one address rests while others are left."""
    url_rest_s: float = 15.0
    """How long it rests, seconds."""
    breaker_failures: int = 16
    """Requests in a row that failed for good after which all further ones fail at once."""
    breaker_rest_s: float = 30.0
    """How long they do, seconds; then one request is let through as a probe."""
    cache: str | None = None
    """SQLite file that keeps good answers across runs and processes; null: no cache."""
    record: str | None = None
    """JSON lines file that every request is appended to with its answer."""
    replay: str | None = None
    """JSON lines file of `record` that answers instead of the servers; no network is used."""
    repeats: int = 1
    """How often each reply is graded; the mean counts, the spread is logged."""

    def __post_init__(self) -> None:
        for url in self.urls:
            parts = urlsplit(url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname)
            self._check(valid, "urls", "be http://HOST:PORT addresses", url)
        for name in ("concurrency", "url_failures", "breaker_failures", "repeats"):
            value = getattr(self, name)
            self._check(value >= 1, name, "be >= 1", value)
        for name in ("connect_timeout_s", "read_timeout_s"):
            value = getattr(self, name)
            self._check(0 < value < math.inf, name, "be > 0 seconds", value)
        for name in ("retries", "backoff_s", "backoff_cap_s", "url_rest_s", "breaker_rest_s"):
            value = getattr(self, name)
            self._check(0 <= value < math.inf, name, "be >= 0", value)
        if self.record and self.replay:
            raise ConfigError(f"{self.where}.record and {self.where}.replay cannot both be set")
        if self.cache and not self.revision:
            raise ConfigError(
                f"{self.where}.cache needs {self.where}.revision: without one, answers of other "
                "weights behind the same model name would be taken from it"
            )

    def require(self, *names: str) -> None:
        """Raise ConfigError unless the named fields are set; `urls` may be empty for a replay."""
        for name in names:
            if name == "urls" and self.replay:
                continue
            self._check(bool(getattr(self, name)), name, "be set", getattr(self, name))

    def _check(self, holds: bool, name: str, rule: str, got: object) -> None:
        if not holds:
            raise ConfigError(f"{self.where}.{name} must {rule}, got {got!r}")

    def _check_sampling(self, temperature: float, max_tokens: int) -> None:
        self._check(0 <= temperature < math.inf, "temperature", "be >= 0", temperature)
        self._check(max_tokens >= 1, "max_tokens", "be >= 1", max_tokens)


@dataclass(frozen=True, kw_only=True)
class ServedTaggerConfig(EndpointConfig):
    """Servers of a tactic tagger."""

    where: ClassVar[str] = "mint.tagger.served"
    prompts: str | None = None
    """served_lora: data/tagger_annotations of your copy of honglizhan/mint-empathy (or the copy
    itself), which holds the input format of the released adapters."""
    threshold: float = 0.5
    """Probability from which a tactic counts as present, in (0, 1)."""
    unit: str = "reply"
    """served_zero_shot: reply (one request a reply) or sentence (one a sentence)."""
    temperature: float = 0.0
    """Sampling temperature, >= 0."""
    max_tokens: int = 1024
    """Longest answer in tokens; served_lora answers need about ten."""
    constrain: bool = True
    """Let the server allow only well-formed answers (structured outputs of vLLM); the answer is
    parsed strictly in any case."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(0 < self.threshold < 1, "threshold", "be in (0, 1)", self.threshold)
        self._check(self.unit in ("reply", "sentence"), "unit", "be reply or sentence", self.unit)
        self._check_sampling(self.temperature, self.max_tokens)


@dataclass(frozen=True, kw_only=True)
class ServedJudgeConfig(EndpointConfig):
    """Servers of an empathy judge or a reward model."""

    where: ClassVar[str] = "mint.judge.served"
    temperature: float = 0.0
    """served: sampling temperature, >= 0."""
    max_tokens: int = 2048
    """served: longest answer in tokens, thinking included."""
    constrain: bool = True
    """served: let the server allow only well-formed answers (response_format json_schema); the
    answer is parsed strictly in any case."""
    expectation: bool = False
    """served: mean rating over the token probabilities of 1 to 5 instead of the likeliest."""
    route: str = "classify"
    """reward_model: vLLM's route, classify or pooling."""
    tokenizer: str | None = None
    """get_reward: folder or hub name of the tokenizer whose chat template renders the text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = self.route in ("classify", "pooling")
        self._check(known, "route", "be classify or pooling", self.route)
        self._check_sampling(self.temperature, self.max_tokens)
