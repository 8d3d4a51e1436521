"""Turn conversations into training rows: `python -m mint.prepare input=FILE output=DIR`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mint.config.prompts import Persona, PromptConfig, PromptStyle, prompt_style
from mint.data.conversation import Conversation, save_conversations
from mint.data.memory import Summary
from mint.data.preparation import load_tagged, summary
from mint.shell import cli
from mint.shell.files import check_output, check_output_file, read_text, sha256_file
from rewards.errors import ConfigError
from rewards.protocols import TacticTagger


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Conversations (JSON) to train.parquet, val.parquet and card.json."""

    input: str
    """File of conversations: JSON or JSON lines in the form of the official MINT data, ShareGPT,
    OpenAI, WildChat or ESConv; the CSV of EmpatheticDialogues."""
    output: str
    """Folder to write; must be new or empty unless --overwrite."""
    format: str = "auto"
    """Layout of the input: mint, sharegpt, openai, wildchat, esconv, empathetic_dialogues; auto
    tells it by its keys."""
    style: str = PromptConfig.style.value
    """Prompt style: plain, tactics, tactics_history, or file (the text of prompt_file)."""
    prompt_file: str | None = None
    """Text file with a system prompt of your own, for style=file; {tactics}, {usage},
    {persona} and {max_tokens} in it are filled in."""
    max_tokens_hint: int = PromptConfig.max_tokens_hint
    """Reply length that the prompt asks for; see mint.reward.length_target_tokens."""
    val_fraction: float = 0.1
    """Share of the conversations that is held out, in [0, 1); 0 leaves val.parquet empty."""
    seed: int = 0
    """Seed of the split."""
    compact: bool = False
    """Short system prompts, for small policies."""
    max_history_turns: int | None = None
    """Seeker turns shown in a prompt; null shows the whole conversation."""
    memory: str | None = None
    """Model folder, hub name or run that is to be trained: it writes, turn by turn, a summary of
    what a prompt no longer shows, which the prompt then holds; needs max_history_turns."""
    persona: Persona = field(default_factory=Persona)
    """Manner that the prompts ask for: persona.warmth=high persona.length=low."""
    exclude: str | None = None
    """File of conversations or rows to leave out, written by `python -m mint.audit exclude=FILE`:
    a JSON object {conversation_id[, turn]} a line."""
    skip_bad: bool = False
    """Leave unusable records out (card.json lists them) instead of stopping."""
    overwrite: bool = False
    """Replace the files of an earlier data set in the output folder, and the one `tagged` names."""
    tagged: str | None = None
    """Also write the conversations with their tags to this JSON file, as input for other styles."""


def prepare(config: PrepareConfig, tagger: TacticTagger | None = None) -> dict[str, Any]:
    """Write the data set and return its card.

    `tagger`: see `load_tagged`. Raises ConfigError, DataError or GraderError; the output folder is
    then as it was.
    """
    # Imported here: it loads pyarrow, which --help does not need.
    from mint.data.dataset import split_conversations, write_dataset

    source, output = Path(config.input), Path(config.output)
    prompts = prompt_config(config)
    check_output(output, config.overwrite)
    if config.tagged is not None:
        check_output_file(config.tagged, "tagged", overwrite=config.overwrite)
    prepared = load_tagged(source, config.exclude, config.skip_bad, tagger, config.format)
    splits = split_conversations(prepared.conversations, config.val_fraction, config.seed)
    summaries = _summaries(config, prepared.conversations, prompts)
    facts = {
        "input": source.name,
        "input_sha256": sha256_file(source),
        "seed": config.seed,
        "val_fraction": config.val_fraction,
        "tagger": prepared.tagger,
        "turns_tagged": prepared.turns_tagged,
        "skipped": [asdict(record) for record in prepared.skipped],
        "excluded": len(prepared.excluded),
        **_memory_facts(config, summaries),
    }
    card = write_dataset(output, splits, prompts, facts, prepared.excluded, summaries)
    if config.tagged is not None:
        save_conversations(config.tagged, prepared.conversations)
    return card


def _summaries(
    config: PrepareConfig, conversations: Sequence[Conversation], prompts: PromptConfig
) -> dict[tuple[str, int], Summary]:
    """What the model of `memory` has written before each supporter turn; {} without one."""
    if config.memory is None:
        return {}
    # Imported here: a model takes seconds, and few data sets have a memory.
    from mint.evaluation.compared import model_of
    from mint.evaluation.remember import summaries_of
    from mint.evaluation.sources.local import LocalModel

    model = model_of(Path(config.memory).expanduser(), config.memory)
    journal = Path(config.output).with_name(f"{Path(config.output).name}.memory.journal.jsonl")
    source = LocalModel(model, batch_size=32)
    return asyncio.run(summaries_of(source, conversations, prompts, journal, config.seed))


def _memory_facts(
    config: PrepareConfig, summaries: Mapping[tuple[str, int], Summary]
) -> dict[str, Any]:
    if config.memory is None:
        return {}
    failed = sum(bool(one.reason) for one in summaries.values())
    return {"memory_model": config.memory, "summaries_failed": failed}


def prompt_config(config: PrepareConfig) -> PromptConfig:
    """The prompt settings of a command line. Raises ConfigError for wrong ones."""
    style = prompt_style("style", config.style)
    if (style is PromptStyle.FILE) != (config.prompt_file is not None):
        raise ConfigError(
            "style=file and prompt_file=FILE belong together: got "
            f"style={style} prompt_file={config.prompt_file}"
        )
    return PromptConfig(
        style=style,
        compact=config.compact,
        max_tokens_hint=config.max_tokens_hint,
        max_history_turns=config.max_history_turns,
        persona=config.persona,
        memory=config.memory is not None,
        template="" if config.prompt_file is None else _template(Path(config.prompt_file)),
    )


def _template(path: Path) -> str:
    text = read_text(path, "prompt_file=").strip()
    if not text:
        raise ConfigError(f"prompt_file={path} is empty")
    return text


def main(config: PrepareConfig) -> None:
    """Entry point."""
    print(summary(prepare(config), config.output))


if __name__ == "__main__":
    sys.exit(cli.run(PrepareConfig, main))
