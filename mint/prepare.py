"""Turn conversations into training rows: `python -m mint.prepare input=FILE output=DIR`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from mint.config.prompts import PromptConfig, PromptStyle, prompt_style
from mint.data.conversation import (
    BadRecord,
    Conversation,
    LoadResult,
    SentenceTactics,
    describe_bad,
    load_conversations,
    save_conversations,
    supporter_turns,
)
from mint.data.dataset import Excluded, check_output, split_conversations, write_dataset
from mint.rundir.manifest import identity_row
from mint.shell import cli
from mint.shell.console import progress_bar
from mint.shell.files import sha256_file
from rewards.errors import ConfigError, DataError, GraderError
from rewards.protocols import TacticTagger
from rewards.text import visible_reply
from rewards.types import Failure, Reply, Tagging

_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Conversations (JSON) to train.parquet, val.parquet and card.json."""

    input: str
    """JSON file of conversations in the form of the official MINT data."""
    output: str
    """Folder to write; must be new or empty unless --overwrite."""
    style: str = PromptConfig.style.value
    """Prompt style: plain, tactics, tactics_history, or file (the text of prompt_file)."""
    prompt_file: str | None = None
    """Text file with a system prompt of your own, for style=file; {tactics}, {usage} and
    {max_tokens} in it are filled in."""
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
    exclude: str | None = None
    """File of conversations or rows to leave out, written by `python -m mint.audit exclude=FILE`:
    a JSON object {conversation_id[, turn]} a line."""
    skip_bad: bool = False
    """Leave unusable records out (card.json lists them) instead of stopping."""
    overwrite: bool = False
    """Replace the files of an earlier data set in the output folder."""
    tagged: str | None = None
    """Also write the conversations with their tags to this JSON file, as input for other styles."""


class Tagged(NamedTuple):
    """Result of tagging."""

    conversations: list[Conversation]
    """Those whose supporter turns now all have tags, in order."""
    failures: dict[int, Failure]
    """Position of a conversation that could not be tagged -> its first failure."""
    num_turns: int
    """Supporter turns that the tagger was needed for."""


def prepare(config: PrepareConfig, tagger: TacticTagger | None = None) -> dict[str, Any]:
    """Write the data set and return its card.

    `tagger` tags supporter turns that have no tags; None builds the embedded one if any has none.
    Raises ConfigError, DataError or GraderError; the output folder is then as it was.
    """
    source, output = Path(config.input), Path(config.output)
    prompts = prompt_config(config)
    check_output(output, config.overwrite)
    loaded = load_conversations(source, config.skip_bad)
    excluded = read_exclusions(config.exclude, loaded.conversations)
    kept = [c for c in loaded.conversations if (c.conversation_id, None) not in excluded]
    loaded = loaded._replace(conversations=kept)
    identity: Any = "from file"
    tagged = Tagged(loaded.conversations, {}, 0)
    if any(_untagged(conversation) for conversation in loaded.conversations):
        tagger = tagger or _embedded_tagger()
        identity = identity_row(tagger.identity)
        tagged = tag_conversations(loaded.conversations, tagger)
    failed = _failed_records(loaded, tagged)
    if failed and not (config.skip_bad and tagged.conversations):
        total = len(loaded.conversations)
        raise GraderError(f"the tagger failed; {describe_bad(source, failed, total)}")
    train, val = split_conversations(tagged.conversations, config.val_fraction, config.seed)
    splits = (replace(train, excluded=excluded), replace(val, excluded=excluded))
    facts = {
        "input": source.name,
        "input_sha256": sha256_file(source),
        "seed": config.seed,
        "val_fraction": config.val_fraction,
        "tagger": identity,
        "turns_tagged": tagged.num_turns,
        "skipped": [asdict(record) for record in (*loaded.bad, *failed)],
        "excluded": len(excluded),
    }
    card = write_dataset(output, splits, prompts, facts)
    if config.tagged is not None:
        save_conversations(config.tagged, tagged.conversations)
    return card


def read_exclusions(path: str | None, conversations: Sequence[Conversation]) -> frozenset[Excluded]:
    """(conversation_id, turn or None for all of it) of an exclusion file; null gives none.

    Raises ConfigError when the file cannot be read, or leaves nothing; DataError with file and line
    for a wrong line, or one that fits no conversation.
    """
    if path is None:
        return frozenset()
    turns = {c.conversation_id: sum(1 for _ in supporter_turns(c)) for c in conversations}
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"exclude={path} cannot be read: {error}") from error
    excluded = set()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            excluded.add(_exclusion(line, f"{path}:{number}", turns))
    if {name for name, turn in excluded if turn is None} >= set(turns):
        raise ConfigError(f"exclude={path} leaves no conversation")
    return frozenset(excluded)


def _exclusion(line: str, place: str, turns: Mapping[str, int]) -> Excluded:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON: {error}") from error
    if not isinstance(row, dict) or "conversation_id" not in row:
        raise DataError(f"{place}: expected an object with conversation_id and perhaps turn")
    name, turn = row["conversation_id"], row["turn"] if "turn" in row else None
    if name not in turns:
        raise DataError(f"{place}: the input has no conversation {name!r:.60}")
    if turn is not None and (type(turn) is not int or not 0 <= turn < turns[name]):
        raise DataError(f"{place}: turn must be 0 to {turns[name] - 1}, got {turn!r:.40}")
    return name, turn


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
        template="" if config.prompt_file is None else _template(Path(config.prompt_file)),
    )


def _template(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompt_file={path} cannot be read: {error}") from error
    if not text:
        raise ConfigError(f"prompt_file={path} is empty")
    return text


def tag_conversations(conversations: Sequence[Conversation], tagger: TacticTagger) -> Tagged:
    """The conversations with every untagged supporter turn tagged; progress on stderr.

    An empty turn gets no sentences, without asking the tagger.
    """
    todo = [
        Reply(history=turn.history, text=visible_reply(turn.turn.message.content).text)
        for conversation in conversations
        for turn in supporter_turns(conversation)
        if turn.turn.sentence_tactics is None
    ]
    answers = iter(asyncio.run(_tag_all(todo, tagger)))
    done: list[Conversation] = []
    failures: dict[int, Failure] = {}
    for number, conversation in enumerate(conversations):
        turns = []
        for turn in conversation.turns:
            if turn.message.role == "supporter" and turn.sentence_tactics is None:
                answer = next(answers)
                if isinstance(answer, Failure):
                    failures.setdefault(number, answer)
                else:
                    turn = replace(turn, sentence_tactics=_sentence_tactics(answer))
            turns.append(turn)
        if number not in failures:
            done.append(replace(conversation, turns=tuple(turns)))
    return Tagged(done, failures, len(todo))


def summary(card: Mapping[str, Any], output: str) -> str:
    """A few lines on what was written."""
    lines = [
        f"{card['conversations']:,} conversations, {card['rows']:,} rows, "
        f"{card['first_turn_rows']:,} first-turn rows, {card['unique_prompts']:,} unique prompts"
    ]
    for name, split in card["splits"].items():
        lines.append(
            f"  {name:<5} {split['conversations']:>6,} conversations  {split['rows']:>7,} rows"
        )
    if card["turns_tagged"]:
        lines.append(f"{card['turns_tagged']:,} supporter turns tagged by {card['tagger']['name']}")
    if card["excluded"]:
        lines.append(f"{card['excluded']:,} entries of the exclusion file left out")
    if card["skipped"]:
        lines.append(f"{len(card['skipped']):,} records left out; card.json says why")
    if not card["splits"]["val"]["rows"]:
        lines.append("nothing is held out: set data.val_files yourself before training")
    return "\n".join([*lines, f"written to {output}"])


def main(config: PrepareConfig) -> None:
    """Entry point."""
    print(summary(prepare(config), config.output))


def _embedded_tagger() -> TacticTagger:
    # Imported here because it loads the encoder's libraries, which tagged files do not need.
    from rewards.build import EncoderConfig, TaggerConfig, build_encoder, build_tagger

    return build_tagger(TaggerConfig(), lambda: build_encoder(EncoderConfig()))


async def _tag_all(replies: Sequence[Reply], tagger: TacticTagger) -> list[Tagging | Failure]:
    answers: list[Tagging | Failure] = [Tagging(sentences=())] * len(replies)
    asked = [index for index, reply in enumerate(replies) if reply.text]
    with progress_bar() as progress:
        task = progress.add_task("tagging supporter turns", total=len(asked))
        for start in range(0, len(asked), _BATCH):
            batch = asked[start : start + _BATCH]
            results = await tagger.tag([replies[index] for index in batch])
            for index, result in zip(batch, results, strict=True):
                answers[index] = result
            progress.advance(task, len(batch))
    return answers


def _sentence_tactics(tagging: Tagging) -> tuple[SentenceTactics, ...]:
    return tuple(SentenceTactics(s.text, s.tactics) for s in tagging.sentences)


def _untagged(conversation: Conversation) -> bool:
    return any(turn.turn.sentence_tactics is None for turn in supporter_turns(conversation))


def _failed_records(loaded: LoadResult, tagged: Tagged) -> list[BadRecord]:
    """The conversations that could not be tagged, under their positions in the file."""
    skipped = {record.index for record in loaded.bad}
    positions = [i for i in range(len(loaded.conversations) + len(skipped)) if i not in skipped]
    return [
        BadRecord(
            positions[number],
            loaded.conversations[number].conversation_id,
            f"tagger: {failure.kind}: {failure.message}",
        )
        for number, failure in tagged.failures.items()
    ]


if __name__ == "__main__":
    sys.exit(cli.run(PrepareConfig, main))
