"""The probes on their way to a model, and its replies on their way back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mint.safety.probes import ProbeItem
from mint.shell.files import read_text, text_lines
from rewards.errors import DataError


def items_text(items: Sequence[ProbeItem]) -> str:
    """The probes without their expectations, a JSON object a line."""
    rows = (
        {
            "id": item.id,
            "category": item.category,
            "subcategory": item.subcategory,
            "messages": [message._asdict() for message in item.messages],
        }
        for item in items
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read_replies(path: Path) -> dict[str, str | None]:
    """Replies by probe id; null stays None. Raises ConfigError or DataError with file and line."""
    replies: dict[str, str | None] = {}
    for number, line in text_lines(read_text(path, "replies=")):
        name, reply = _reply(line, f"{path}:{number}")
        if name in replies:
            raise DataError(f"{path}:{number}: a second reply to {name!r}")
        replies[name] = reply
    if not replies:
        raise DataError(f"{path}: no replies; expected a JSON object {{id, reply}} a line")
    return replies


def _reply(line: str, place: str) -> tuple[str, str | None]:
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON: {error}") from error
    if not isinstance(row, dict) or not {"id", "reply"} <= set(row):
        raise DataError(f"{place}: expected an object with id and reply")
    if not isinstance(row["id"], str) or not isinstance(row["reply"], str | None):
        raise DataError(f"{place}: id must be text, and reply text or null")
    return row["id"], row["reply"]
