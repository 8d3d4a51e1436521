"""Generate labelled demo conversations: `python -m mint.synthetic output=FILE`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from mint.data.banks import load_banks
from mint.data.conversation import save_conversations
from mint.data.synthetic import generate, split_scenarios
from mint.shell import cli
from mint.shell.files import check_output_file
from mint.shell.paths import data_dir
from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Labelled demo conversations in the form of the official MINT data."""

    output: str
    """JSON file to write; must not exist unless --overwrite."""
    num: int = 600
    """Number of conversations."""
    seed: int = 0
    """Seed; the same seed and number give the same file."""
    part: str = "all"
    """Scenarios to use: all, train, or val (the held-out fifth)."""
    min_turns: int = 2
    """Fewest supporter turns of a conversation."""
    max_turns: int = 5
    """Most supporter turns of a conversation."""
    data: str | None = None
    """Folder with sentences/ and scenarios/; null uses the shipped one."""
    overwrite: bool = False
    """Replace the output file."""


def main(config: SyntheticConfig) -> None:
    """Entry point."""
    output = check_output_file(config.output, overwrite=config.overwrite)
    banks = load_banks(Path(config.data) if config.data else data_dir())
    parts = {"all": list(banks.scenarios)}
    parts["train"], parts["val"] = split_scenarios(banks.scenarios)
    if config.part not in parts:
        raise ConfigError(f"part must be one of {', '.join(parts)}, got {config.part!r}")
    conversations = generate(
        config.num,
        config.seed,
        (config.min_turns, config.max_turns),
        banks=banks,
        scenarios=parts[config.part],
    )
    save_conversations(output, conversations)
    turns = sum(len(c.turns) // 2 for c in conversations)
    print(
        f"{len(conversations):,} conversations, {turns:,} supporter turns, from "
        f"{len(parts[config.part])} scenarios\nwritten to {output}"
    )


if __name__ == "__main__":
    sys.exit(cli.run(SyntheticConfig, main))
