"""Settings of the policies that are built here, for readers that build none."""

from __future__ import annotations

from dataclasses import dataclass

from rewards.errors import ConfigError

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class WarmStartSettings:
    """A supervised pass over conversations."""

    seed: int = 0
    """Seed of text, initial weights and batch order."""
    data: str | None = None
    """Text to learn: a folder with sentences/ and scenarios/, or a JSON file of tagged
    conversations; null uses what ships with mint."""
    batch_tokens: int = 1024
    """Tokens of a batch."""
    learning_rate: float = 4e-3
    """Peak learning rate."""
    weight_decay: float = 0.1
    """Weight decay of the matrices."""
    dtype: str = "auto"
    """float32, bfloat16 (mixed precision), or auto: bfloat16 where the processor computes in it."""
    num_threads: int = 2
    """Threads of torch while training."""

    def __post_init__(self) -> None:
        for name in ("batch_tokens", "num_threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.dtype not in ("auto", *DTYPES):
            raise ConfigError(f"dtype must be auto, {', '.join(DTYPES)}, got {self.dtype!r}")


@dataclass(frozen=True, kw_only=True)
class SmolSettings(WarmStartSettings):
    """How SmolLM2-135M-Instruct is taught to answer briefly."""

    passes: int = 1
    """How often the conversations are gone through; 0 leaves the model as its authors made it."""
    batch_tokens: int = 640
    """Tokens of a batch."""
    learning_rate: float = 1e-4
    """Peak learning rate."""
    weight_decay: float = 0.0
    """Weight decay of the matrices."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.passes < 0:
            raise ConfigError(f"passes must be >= 0, got {self.passes}")


@dataclass(frozen=True, kw_only=True)
class TinySettings(WarmStartSettings):
    """What the tiny policy is made of."""

    reply_tokens: int = 450_000
    """Tokens of the first phase, replies without a conversation: how supporters write."""
    turn_tokens: int = 400_000
    """Tokens of the second phase, replies to conversations: what to say when."""
    vocab_size: int = 4096
    """Most tokens of the tokenizer."""
    hidden_size: int = 256
    """Width of the model."""
    num_layers: int = 4
    """Layers of the model."""
    max_length: int = 1024
    """Longest prompt and reply together, tokens."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("turn_tokens", "hidden_size", "num_layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.reply_tokens < 0:
            raise ConfigError(f"reply_tokens must be >= 0, got {self.reply_tokens}")
        if self.hidden_size % 64:
            raise ConfigError(f"hidden_size must be a multiple of 64, got {self.hidden_size}")
        if self.vocab_size < 300:
            raise ConfigError(f"vocab_size must be >= 300 (bytes and marks), got {self.vocab_size}")
