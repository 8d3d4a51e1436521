"""What the policy reads: system prompts in the styles of `mint.config.prompts`, and chat messages.

The five-part prompt follows the design of MINT (arXiv 2604.11742) in our own words. The compact
form says the same in one or two lines, for policies too small to read definitions.
"""

from __future__ import annotations

from collections.abc import Sequence

from mint.config.prompts import PromptConfig, PromptStyle
from mint.data.control_tokens import neutralised
from mint.data.memory import Summary, with_summary
from mint.data.personas import persona_text
from rewards.errors import ConfigError
from rewards.tactics import TACTIC_NAMES, TACTICS, count_tactics
from rewards.types import Message

TurnTactics = Sequence[Sequence[str]]
"""Tactics of one supporter turn, sentence by sentence."""

_CHAT_ROLES = {"seeker": "user", "supporter": "assistant"}


def chat_messages(
    config: PromptConfig,
    history: Sequence[Message],
    history_tactics: Sequence[TurnTactics],
    summary: Summary | None = None,
) -> list[dict[str, str]]:
    """System prompt and history as chat messages; the last one is the user's.

    Control tokens in their texts are letters here (`mint.data.control_tokens`). `history_tactics`
    has one entry for each supporter turn of `history`, oldest first; `summary` tells of messages
    that are not shown.
    """
    shown = history
    if config.max_history_turns is not None:
        shown = history[-(2 * config.max_history_turns - 1) :]
    told = with_summary(config, system_prompt(config, history_tactics), summary)
    system = {"role": "system", "content": told}
    chat = ({"role": _CHAT_ROLES[m.role], "content": neutralised(m.content)} for m in shown)
    return [system, *chat]


def system_prompt(config: PromptConfig, history_tactics: Sequence[TurnTactics]) -> str:
    """The system prompt for the next supporter turn.

    `history_tactics`: earlier supporter turns, oldest first; ignored unless the style reports them.
    Raises ConfigError for the style `file` without a text.
    """
    manner = persona_text(config.persona)
    if config.style is PromptStyle.FILE:
        return _filled_in(config, history_tactics, manner)
    if config.compact:
        return f"{_compact_prompt(config.style, history_tactics)} {manner}".strip()
    sections = [_ROLE]
    if config.style is not PromptStyle.PLAIN:
        sections.append(_tactics_section())
    if config.style is PromptStyle.TACTICS:
        sections.append(_VARIETY)
    if config.style is PromptStyle.TACTICS_HISTORY:
        sections.append("# Tactic usage so far\n" + _usage(history_tactics))
    sections.append(_FORMAT if config.style is PromptStyle.PLAIN else f"{_FORMAT} {_NO_LABELS}")
    if manner:
        sections.append(f"# Manner\n{manner}")
    sections.append(f"# Length\nKeep it short: fewer than {config.max_tokens_hint} tokens.")
    return "\n\n".join(sections)


_ROLE = (
    "# Role\n"
    "You support a person who came to talk about something difficult. The conversation goes back "
    "and forth; you write the next message to them."
)
_VARIETY = (
    "# Variety\nDo not lean on the same few tactics in every message; choose what fits this moment."
)
_FORMAT = "# Form\nWrite one warm, natural message in plain prose, addressed to the person."
_NO_LABELS = (
    "The tactics above are for your planning only. Never name them, use them as headings, number "
    "them or comment on how you wrote the message."
)


def _filled_in(config: PromptConfig, history_tactics: Sequence[TurnTactics], manner: str) -> str:
    if not config.template:
        raise ConfigError(
            "the prompt style `file` needs the text of the prompt: `mint.prepare style=file "
            "prompt_file=FILE` keeps it in the data set's card.json"
        )
    text = config.template
    if manner and "{persona}" not in text:
        text += "\n\n{persona}"
    text = text.replace("{persona}", manner).replace("{tactics}", _definitions())
    text = text.replace("{usage}", _usage(history_tactics))
    return text.replace("{max_tokens}", str(config.max_tokens_hint))


def _tactics_section() -> str:
    return (
        "# Empathy tactics\nTen ways in which a message can support. Draw on different ones from "
        "message to message.\n" + _definitions()
    )


def _definitions() -> str:
    return "\n".join(
        f'{number}. {tactic.name}: {tactic.definition} Example: "{tactic.example}"'
        for number, tactic in enumerate(TACTICS, start=1)
    )


def _usage(history_tactics: Sequence[TurnTactics]) -> str:
    if not history_tactics:
        return "This will be your first message. Combine tactics freely and aim for variety."
    counts = count_tactics(history_tactics[-1])
    ranked = sorted(range(len(counts)), key=lambda k: (-counts[k], k))
    used = ", ".join(f"{TACTIC_NAMES[k]} ({counts[k]}x)" for k in ranked if counts[k])
    if used:
        last = f"Your previous message used: {used}. Choose different tactics this time."
    else:
        last = "None of the ten tactics was found in your previous message."
    unused = unused_tactics(history_tactics)
    if unused:
        rest = f"Not used in this conversation yet: {', '.join(unused)}. Prefer these."
    else:
        rest = "All ten tactics have been used in this conversation; keep changing between them."
    return f"{last}\n{rest}"


def _compact_prompt(style: PromptStyle, history_tactics: Sequence[TurnTactics]) -> str:
    role = "Reply with warmth in a few sentences."
    if style is PromptStyle.PLAIN:
        return role
    if style is PromptStyle.TACTICS:
        return f"{role} Vary your tactics."
    if not history_tactics:
        return f"{role} First message."
    counts = count_tactics(history_tactics[-1])
    used = [name for name, count in zip(TACTIC_NAMES, counts, strict=True) if count]
    unused = unused_tactics(history_tactics)
    return (
        f"{role} Last time: {', '.join(used) or 'none found'}. "
        f"Not yet: {', '.join(unused) or 'all were used'}."
    )


def unused_tactics(history_tactics: Sequence[TurnTactics]) -> list[str]:
    """Tactics that no earlier supporter turn carries, in taxonomy order."""
    used = {name for turn in history_tactics for sentence in turn for name in sentence}
    return [name for name in TACTIC_NAMES if name not in used]
