"""EmpatheticDialogues (its CSV) and conversations in mint's form, as samples."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mint.config.prompts import PromptConfig, PromptStyle
from mint.data.conversation import Conversation, SentenceTactics, load_conversations
from mint.data.prompts import chat_messages
from mint.data.rows import Case, conversation_cases, prompt_row, row_messages
from mint.supervised.labels import Labels, strategy_of_tactics
from mint.supervised.place import numbers as place_numbers
from mint.supervised.samples import Text
from rewards.errors import DataError

EMPATHETIC, OWN = "empathetic_dialogues", "conversations"


def read_empathetic(path: Path, labels: Labels, prompts: PromptConfig) -> list[Text]:
    """A sample for each listener turn, with the emotion of the speaker's situation.

    The authors' CSV writes commas as _comma_ and leaves quotation marks unbalanced. Raises
    ConfigError when it cannot be read, DataError with conversation for an unknown emotion.
    """
    found = []
    for conversation in load_conversations(path, wanted=EMPATHETIC).conversations:
        try:
            emotion = labels.index(conversation.scenario)
        except DataError as error:
            name = conversation.conversation_id
            raise DataError(f"{path}: conversation {name!r}: {error}") from error
        for case in conversation_cases([conversation]):
            messages = chat_messages(prompts, case.history, ())
            found.append(_text(EMPATHETIC, case, tuple(messages), emotions=(emotion,)))
    return found


def read_own(path: Path, labels: Labels, prompts: PromptConfig, *, strategies: bool) -> list[Text]:
    """The same of `own_samples`, of a file in any layout that `mint.prepare` reads."""
    return own_samples(load_conversations(path).conversations, labels, prompts, strategies, path)


def own_samples(
    conversations: list[Conversation],
    labels: Labels,
    prompts: PromptConfig,
    strategies: bool,
    path: Path | None = None,
) -> list[Text]:
    """A sample for each supporter turn, with the prompts that training on rewards uses.

    `strategies`: a turn whose sentences are tagged counts as the strategy that most of them stand
    for, the first in a tie. Raises DataError for untagged turns where tags are needed.
    """
    tells = prompts.style in (PromptStyle.TACTICS_HISTORY, PromptStyle.FILE)
    for conversation in conversations:
        if (strategies or tells) and not conversation.tagged:
            raise DataError(
                f"{path or OWN}: conversation {conversation.conversation_id!r} has untagged "
                "supporter turns; `python -m mint.prepare ... tagged=FILE` writes a tagged copy, "
                "or choose data.prompts.style=plain and data.conversations.strategies=false"
            )
    of_tactic = strategy_of_tactics() if strategies else {}
    found = []
    for conversation in conversations:
        turns = conversation.turns[1::2]
        earlier: list[int] = []
        for case, turn in zip(conversation_cases([conversation]), turns, strict=True):
            strategy = _strategy(turn.sentence_tactics or (), of_tactic, labels)
            place = None
            if strategy is not None:
                place = place_numbers(2 * case.turn + 1, earlier, len(labels.names))
                earlier.append(strategy)
            if not case.reply or not case.reply.strip():
                continue
            messages = (
                row_messages(prompt_row(case, prompts))
                if tells
                else tuple(chat_messages(prompts, case.history, ()))
            )
            found.append(_text(OWN, case, messages, strategy=strategy, place=place))
    return found


def _strategy(
    sentences: tuple[SentenceTactics, ...], of_tactic: dict[str, str], labels: Labels
) -> int | None:
    counts = Counter(
        of_tactic[tactic]
        for sentence in sentences
        for tactic in sentence.tactics
        if tactic in of_tactic
    )
    return labels.index(counts.most_common(1)[0][0]) if counts else None


def _text(
    source: str,
    case: Case,
    messages: tuple[dict[str, str], ...],
    emotions: tuple[int, ...] | None = None,
    strategy: int | None = None,
    place: tuple[float, ...] | None = None,
) -> Text:
    return Text(
        source=source,
        group=case.conversation_id,
        messages=messages,
        reply=case.reply,
        emotions=emotions,
        strategy=strategy,
        place=place,
    )
