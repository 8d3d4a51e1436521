"""Settings of an evaluation; the configuration node `mint.evaluation`."""

from __future__ import annotations

from dataclasses import dataclass

from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How held-out replies are generated and how their numbers are summarised."""

    samples_per_prompt: int = 4
    """Replies to each held-out prompt, >= 1; 1 when temperature is 0."""
    temperature: float = 1.0
    """Sampling temperature, >= 0; 0 takes the likeliest token (greedy)."""
    top_p: float = 1.0
    """Share of probability that is sampled from, in (0, 1]."""
    max_new_tokens: int = 80
    """Longest reply in tokens, thinking included; one without end by then counts as truncated."""
    enable_thinking: bool = False
    """Passed to the chat template; must be what the policy is trained with."""
    max_prompts: int | None = None
    """Use only the first so many rows of the held-out file; null uses all of them."""
    batch_size: int = 64
    """Replies generated at the same time; lower it when memory runs out."""
    seed: int = 42
    """Seed of sampling and of the bootstrap."""
    resamples: int = 10_000
    """Bootstrap resamples behind each interval, >= 100."""
    confidence: float = 0.95
    """Coverage of the intervals, in (0, 1)."""

    def __post_init__(self) -> None:
        limits = {
            "samples_per_prompt": (self.samples_per_prompt >= 1, ">= 1"),
            "temperature": (self.temperature >= 0, ">= 0"),
            "top_p": (0 < self.top_p <= 1, "in (0, 1]"),
            "max_new_tokens": (self.max_new_tokens >= 1, ">= 1"),
            "max_prompts": (self.max_prompts is None or self.max_prompts >= 1, ">= 1 or null"),
            "batch_size": (self.batch_size >= 1, ">= 1"),
            "seed": (self.seed >= 0, ">= 0"),
            "resamples": (self.resamples >= 100, ">= 100"),
            "confidence": (0 < self.confidence < 1, "in (0, 1)"),
        }
        for name, (holds, rule) in limits.items():
            if not holds:
                raise ConfigError(
                    f"mint.evaluation.{name} must be {rule}, got {getattr(self, name)}"
                )
        if self.temperature == 0 and self.samples_per_prompt > 1:
            raise ConfigError(
                "mint.evaluation.samples_per_prompt must be 1 when temperature is 0 (greedy "
                f"replies are all alike), got {self.samples_per_prompt}"
            )
