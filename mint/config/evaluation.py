"""Settings of an evaluation; the configuration node `mint.evaluation`."""

from __future__ import annotations

from dataclasses import dataclass

from mint.config.rules import PART, Rule, at_least, check, one_of, or_null
from rewards.errors import ConfigError

ENGINES = ("auto", "vllm", "transformers")


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
    max_prompts: int | None = None
    """Use only the first so many rows of the held-out file; null uses all of them."""
    engine: str = "auto"
    """What generates: vllm (all GPUs), transformers (one GPU or the CPU), or auto: vllm where
    there is a GPU."""
    batch_size: int = 64
    """Most replies that transformers generates at the same time; fewer where long prompts would
    not fit in memory."""
    seed: int = 42
    """Seed of sampling and of the bootstrap."""
    resamples: int = 10_000
    """Bootstrap resamples behind each interval, >= 100."""
    confidence: float = 0.95
    """Coverage of the intervals, in (0, 1)."""

    def __post_init__(self) -> None:
        rules = {
            "samples_per_prompt": at_least(1),
            "temperature": at_least(0),
            "top_p": PART,
            "max_new_tokens": at_least(1),
            "max_prompts": or_null(at_least(1)),
            "engine": one_of(*ENGINES),
            "batch_size": at_least(1),
            "seed": at_least(0),
            "resamples": at_least(100),
            "confidence": Rule("in (0, 1)", lambda value: 0 < value < 1),
        }
        check(self, rules, "mint.evaluation.")
        if self.temperature == 0 and self.samples_per_prompt > 1:
            raise ConfigError(
                "mint.evaluation.samples_per_prompt must be 1 when temperature is 0 (greedy "
                f"replies are all alike), got {self.samples_per_prompt}"
            )


@dataclass(frozen=True, kw_only=True)
class GenerationConfig(EvaluationConfig):
    """The same with what the prompts are made with; no node of its own."""

    enable_thinking: bool = False
    """Passed to the chat template: `mint.data.enable_thinking` of a run."""
