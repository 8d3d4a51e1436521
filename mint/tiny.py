"""Build the tiny policy of the demo: `python -m mint.tiny output=DIR`."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from mint.policy.settings import TinySettings
from mint.shell import cli


@dataclass(frozen=True, kw_only=True)
class TinyConfig(TinySettings):
    """A tiny Qwen3 that answers in sentences, for the demo and the tests."""

    output: str
    """Folder to write; must be new or empty unless --overwrite."""
    overwrite: bool = False
    """Replace an earlier policy in the output folder."""


def main(config: TinyConfig) -> None:
    """Entry point."""
    # Imported here: torch and transformers take seconds, which --help should not wait for.
    from mint.policy.tiny import build_tiny

    card = build_tiny(config.output, config, overwrite=config.overwrite)
    print("what it says; of so small a model no sense is expected:\n")
    for sample in card["samples"]:
        print(f"  seeker  {sample['seeker']}\n  policy  {sample['reply']}\n")
    print(
        f"{card['parameters']:,} parameters, {card['steps']:,} steps, {card['tokens']:,} tokens in "
        f"{card['seconds']:.0f} s; loss {card['loss']:.3f}, held-out {card['val_loss']:.3f} nats "
        f"a token\nwritten to {config.output}"
    )


if __name__ == "__main__":
    sys.exit(cli.run(TinyConfig, main))
