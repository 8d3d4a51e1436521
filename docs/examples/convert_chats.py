"""Chats as chat APIs keep them -> conversations for `mint.audit` and `mint.prepare`.

    python docs/examples/convert_chats.py CHATS.jsonl CONVERSATIONS.json

In: a JSON object a line, {"messages": [{"role": "user", "content": "..."}, ...]}, roles user,
assistant and system. System messages are left out, neighbouring messages of one role are joined,
and a conversation begins with the person and ends with the supporter. A chat without such a part is
left out and its line named.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

ROLES = {"user": "seeker", "assistant": "supporter"}


def convert(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Alternating messages, the seeker's first and the supporter's last; [] without any."""
    spoken = [m for m in messages if m["role"] in ROLES and m["content"]]
    turns = [
        {"role": ROLES[role], "content": "\n\n".join(m["content"] for m in group)}
        for role, group in itertools.groupby(spoken, key=lambda m: m["role"])
    ]
    if turns and turns[0]["role"] == "supporter":
        turns = turns[1:]
    return turns[: len(turns) - len(turns) % 2]


def main(source: Path, target: Path) -> None:
    """Write `target`; says how many chats were left out and which lines they are on."""
    conversations, skipped = [], []
    with source.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            turns = convert(json.loads(line)["messages"])
            name = f"{source.stem}-{number}"
            row = {"conversation_id": name, "source": source.stem, "model": "unknown"}
            if turns:
                conversations.append({**row, "conversation": turns})
            else:
                skipped.append(number)
    target.write_text(json.dumps(conversations, indent=1, ensure_ascii=False), encoding="utf-8")
    print(f"{len(conversations)} conversations in {target}; lines left out: {skipped or 'none'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
