"""The input format of the released tactic adapters, read from the user's copy of their repository.

Each line of data/tagger_annotations/<split>/<tactic>.jsonl holds a whole chat: system message, user
message and answer. The user message is the tactic's instruction, a reply, a sentence of it, and an
end; what is equal in all lines is the template, what differs is the input. Nothing of these texts
is part of this package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any

from rewards.errors import ConfigError
from rewards.tactics import TACTIC_NAMES

_ANNOTATIONS = Path("data") / "tagger_annotations"
_SPLITS = ("", "val", "test", "train")
_INSIDE = 0.8
_ADVICE = "point mint.tagger.served.prompts to data/tagger_annotations of honglizhan/mint-empathy"


@dataclass(frozen=True, kw_only=True)
class AdapterFormat:
    """Chat of one tactic's adapter, with places for the reply and the sentence."""

    system: str
    before_reply: str
    before_sentence: str
    after_sentence: str

    def messages(self, reply: str, sentence: str) -> list[dict[str, str]]:
        """The chat that asks whether the sentence of the reply uses the tactic."""
        user = self.before_reply + reply + self.before_sentence + sentence + self.after_sentence
        return [{"role": "system", "content": self.system}, {"role": "user", "content": user}]


def read_formats(path: str | Path) -> dict[str, AdapterFormat]:
    """Tactic -> format, for all ten. Raises ConfigError naming the file that is missing or odd."""
    return {name: read_format(find_annotations(Path(path), name)) for name in TACTIC_NAMES}


def find_annotations(path: Path, tactic: str) -> Path:
    """The tactic's file in the folder itself, in a split's folder, or in the repository."""
    path = path.expanduser()
    for folder in (path, path / _ANNOTATIONS):
        for split in _SPLITS:
            file = folder / split / f"{tactic}.jsonl"
            if file.is_file():
                return file
    raise ConfigError(f"{path} holds no {tactic}.jsonl (nor val/{tactic}.jsonl); {_ADVICE}")


def read_format(path: Path) -> AdapterFormat:
    """The template behind the lines of one file. Raises ConfigError when there is none."""
    systems, users = set(), []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            system, user = _messages(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path}:{number}: expected a chat of system, user and assistant "
                f"messages ({error}); {_ADVICE}"
            ) from error
        systems.add(system)
        users.append(user)
    if len(systems) != 1:
        raise ConfigError(f"{path} must have one system message, found {len(systems)}; {_ADVICE}")
    return AdapterFormat(system=systems.pop(), **_template(users, path))


def _messages(row: Mapping[str, Any]) -> tuple[str, str]:
    system, user, answer = row["messages"]
    roles = [message["role"] for message in (system, user, answer)]
    if roles != ["system", "user", "assistant"]:
        raise ValueError(f"roles are {', '.join(map(str, roles))}")
    return str(system["content"]), str(user["content"])


def _template(users: list[str], path: Path) -> dict[str, str]:
    """What all user messages share: beginning, middle and end, in whole lines."""
    start = commonprefix(users)  # noqa: RUF071 - characters are meant, not folders
    start = start[: start.rfind("\n") + 1]
    end = commonprefix([user[len(start) :][::-1] for user in users])[::-1]  # noqa: RUF071
    end = end[end.find("\n") :] if "\n" in end else ""
    inputs = [user[len(start) : len(user) - len(end)] for user in users]
    shared = set.intersection(*(set(text.split("\n")) for text in inputs)) if inputs else set()
    heads = [line for line in shared if line.strip()]
    if len(set(inputs)) < 2 or not start or not end or len(heads) != 1:
        raise ConfigError(
            f"{path}: the input format cannot be told from its {len(users)} lines (expected an "
            f"instruction, a reply, a heading, a sentence and an end); {_ADVICE}"
        )
    middles = {_around(text, heads[0]) for text in inputs}
    if len(middles) != 1:
        raise ConfigError(f"{path}: replies and sentences are set apart in {len(middles)} ways")
    middle = middles.pop()
    parts = [text.partition(middle) for text in inputs]
    inside = ["".join(sentence.split()) in "".join(reply.split()) for reply, _, sentence in parts]
    # Mended by hand in the data, a few sentences differ from their reply; most must not.
    if sum(inside) < _INSIDE * len(inside):
        raise ConfigError(
            f"{path}: only {sum(inside)} of {len(inside)} sentences are part of their reply, so "
            f"the input format is another one; {_ADVICE}"
        )
    return {"before_reply": start, "before_sentence": middle, "after_sentence": end}


def _around(text: str, heading: str) -> str:
    """The heading's line with the white space around it."""
    before, _, after = text.partition(heading)
    left = before[len(before.rstrip("\n")) :]
    right = after[: len(after) - len(after.lstrip("\n"))]
    return left + heading + right
