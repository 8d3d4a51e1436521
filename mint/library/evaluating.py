"""`mint evaluate` as a function."""

from __future__ import annotations

from typing import Any

from mint.evaluation.asked import evaluations
from mint.evaluation.options import EvaluateSettings
from mint.library.grading import apart
from mint.shell.files import read_json


def evaluate(**settings: Any) -> dict[str, Any]:
    """Evaluate a model, a server, a run or ready replies; returns result file -> its content.

    `settings` are the keys of `mint evaluate` (`mint.evaluation.options.EvaluateSettings`), such as
    model="Qwen/Qwen3-1.7B", data="conversations.json", output="out", protocol="lend_an_ear"; the
    result is then {"lend_an_ear": {"conditions": {...: {"metrics": {name: {"mean", "ci_low",
    "ci_high", "n"}}}}}, "canaries": ...}. With several folders names are FOLDER/FILE. What an
    earlier, interrupted call has done is not done again.

    Raises ConfigError for settings that cannot be used, a MintError for a model or grader that
    cannot.
    """
    asked = EvaluateSettings(**settings)
    parts = apart(lambda: list(evaluations(asked)))
    folders = list(dict.fromkeys(part.folder for part in parts))
    return {
        path.stem if len(folders) == 1 else f"{folder.name}/{path.stem}": read_json(path)
        for folder in folders
        for path in sorted(folder.glob("*.json"))
    }
