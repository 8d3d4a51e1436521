"""Conversations in the layouts people have, as records of mint's own form.

| format               | told by                                | roles                           |
|----------------------|----------------------------------------|---------------------------------|
| mint                 | conversation_id, conversation          | seeker, supporter               |
| sharegpt             | conversations of {from, value}         | human/user, gpt/assistant/bot   |
| openai               | messages of {role, content}            | user, assistant                 |
| wildchat             | conversation_hash, conversation        | user, assistant                 |
| esconv               | dialog of {speaker, content}           | seeker/usr, supporter/sys       |
| empathetic_dialogues | CSV: conv_id, utterance_idx, utterance | the first speaker is the seeker |

System messages and empty ones are left out, and what a supporter says before the seeker has said
anything; messages of one role in a row become one, a line each.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mint.shell.files import parse_json, read_text, text_lines
from mint.shell.tables import TABLES, csv_rows
from rewards.errors import ConfigError, DataError

_SEEKERS = frozenset({"seeker", "usr", "user", "human", "client", "patient", "speaker"})
_SUPPORTERS = frozenset(
    {"supporter", "sys", "assistant", "gpt", "bot", "chatgpt", "model", "ai"}
    | {"listener", "therapist", "counselor", "counsellor"}
)
_SILENT = frozenset({"system", "tool", "function", "developer"})

Said = tuple[str, Any]
"""Who speaks, by the file's name, and what."""


def sharegpt(record: Mapping[str, Any]) -> list[Said]:
    """{"conversations": [{"from", "value"}]}."""
    return [(one["from"], one["value"]) for one in record["conversations"]]


def openai(record: Mapping[str, Any]) -> list[Said]:
    """{"messages": [{"role", "content"}]}; content may be a list of parts, of which text counts."""
    return [(one["role"], _text_parts(one["content"])) for one in record["messages"]]


def wildchat(record: Mapping[str, Any]) -> list[Said]:
    """{"conversation_hash", "conversation": [{"role", "content"}]}."""
    return [(one["role"], one["content"]) for one in record["conversation"]]


def esconv(record: Mapping[str, Any]) -> list[Said]:
    """{"dialog": [{"speaker", "content"}], "problem_type", ...}."""
    return [(one["speaker"], one["content"]) for one in record["dialog"]]


_READERS: dict[str, Callable[[Mapping[str, Any]], list[Said]]] = {
    "sharegpt": sharegpt,
    "openai": openai,
    "wildchat": wildchat,
    "esconv": esconv,
}
_IDS = ("conversation_id", "conversation_hash", "id", "uuid")
_CONTENT = frozenset(
    {"conversation", "conversation_history", "conversations", "messages", "dialog"}
)
"""Keys under which a record has its messages."""
FORMATS = ("auto", "mint", *_READERS, "empathetic_dialogues")


def own_record(record: Any, name: str, wanted: str = "auto") -> Any:
    """A record in mint's form; one that is in it already as it is. `name`: its id if it has none.

    Raises ConfigError for an unknown format, DataError for a record that is not in it.
    """
    if wanted not in FORMATS:
        raise ConfigError(f"format must be one of {', '.join(FORMATS)}, got {wanted!r}")
    chosen = told(record) if wanted == "auto" else wanted
    if chosen not in _READERS or not isinstance(record, Mapping):
        return record
    try:
        said = _READERS[chosen](record)
        given = next((record[key] for key in _IDS if record.get(key)), name)
        scenario = record.get("problem_type") or record.get("scenario") or ""
        return _record(str(given), said, chosen, str(scenario), record.get("model"))
    except (KeyError, TypeError, DataError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"read as {chosen}: {reason}") from error


def told(record: object) -> str:
    """The format of a record by its keys; mint for what has none of the others."""
    if not isinstance(record, Mapping):
        return "mint"
    if "conversations" in record:
        return "sharegpt"
    if "messages" in record:
        return "openai"
    if "dialog" in record:
        return "esconv"
    return "wildchat" if "conversation_hash" in record else "mint"


def is_dialogue_table(text: str) -> bool:
    """Whether a CSV has the columns of EmpatheticDialogues."""
    return {"conv_id", "utterance_idx", "utterance"} <= set(csv_rows(text).fieldnames or ())


def _dialogue_table(path: Path, text: str) -> list[dict[str, Any]]:
    records = []
    # Its authors write commas as _comma_ and leave quotation marks unbalanced.
    rows = csv_rows(text, quoting=csv.QUOTE_NONE)
    for name, group in groupby(rows, key=lambda row: row["conv_id"]):
        turns = list(group)
        speakers = [row.get("speaker_idx") or row["utterance_idx"] for row in turns]
        said = [
            ("seeker" if speaker == speakers[0] else "supporter", _commas(row["utterance"]))
            for row, speaker in zip(turns, speakers, strict=True)
        ]
        records.append(_record(name, said, "empathetic_dialogues", _commas(turns[0]["context"])))
    if not records:
        raise DataError(f"{path}: the table holds no conversation")
    return records


def read_records(path: Path) -> Sequence[Any]:
    """Records of a JSON list, of JSON lines or of a CSV of dialogues; at least one.

    Raises ConfigError when it cannot be read, DataError with the place.
    """
    return parse_records(path, read_text(path, "conversation file "))


def parse_records(path: Path, text: str) -> Sequence[Any]:
    """The same of the file's text."""
    if not text.strip():
        raise DataError(f"{path}: the file is empty; expected a JSON list of conversations")
    if path.suffix in TABLES and is_dialogue_table(text):
        return _dialogue_table(path, text)
    records = _json_lines(text, path) if text.lstrip().startswith("{") else parse_json(text, path)
    if not isinstance(records, list):
        raise DataError(
            f"{path}: expected a JSON list of conversations, got {type(records).__name__}"
        )
    if not records:
        raise DataError(f"{path}: the list holds no conversation")
    return records


def _json_lines(text: str, path: Path) -> list[Any]:
    """A record a line. Raises DataError with file and line."""
    try:
        one = json.loads(text)
    except ValueError:
        return [parse_json(line, path, number) for number, line in text_lines(text)]
    if isinstance(one, dict) and not _CONTENT & set(one):
        raise DataError(f"{path}: expected a JSON list of conversations, got an object")
    return [one]


def _record(
    name: str, said: Iterable[Said], source: str, scenario: str, model: Any = None
) -> dict[str, Any]:
    record = {
        "conversation_id": name,
        "source": source,
        "scenario": scenario,
        "conversation": _alternating(said),
    }
    return {**record, "model": model} if isinstance(model, str) else record


def _alternating(said: Iterable[Said]) -> list[dict[str, str]]:
    """Messages of seeker and supporter in turn, seeker first."""
    messages: list[dict[str, str]] = []
    for speaker, content in said:
        role = _role(speaker)
        if role is None or not isinstance(content, str) or not content.strip():
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += f"\n{content.strip()}"
        elif messages or role == "seeker":
            messages.append({"role": role, "content": content.strip()})
    return messages


def _role(speaker: object) -> str | None:
    word = speaker.strip().lower() if isinstance(speaker, str) else ""
    if word in _SEEKERS:
        return "seeker"
    if word in _SUPPORTERS:
        return "supporter"
    if word in _SILENT:
        return None
    known = ", ".join(sorted(_SEEKERS | _SUPPORTERS | _SILENT))
    raise DataError(f"unknown speaker {speaker!r:.40}; known: {known}")


def _text_parts(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    texts = [part["text"] for part in content if isinstance(part, Mapping) and "text" in part]
    return "\n".join(text for text in texts if isinstance(text, str))


def _commas(text: str | None) -> str:
    return (text or "").replace("_comma_", ",").strip()
