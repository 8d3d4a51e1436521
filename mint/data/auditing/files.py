"""An audit of files: what is read, and what is known of the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import rewards.graders
from mint.data.auditing.findings import Audit, audit
from mint.data.cases import load_cases
from mint.data.rows import Case
from mint.shell.files import parse_json, read_text, sha256_file
from rewards.errors import ConfigError

_EXAMPLES = Path(rewards.graders.__file__).parent / "prompts" / "judge_examples.json"


def audit_files(
    source: Path, evaluation: str | Sequence[str] | None, few_shots: str | None, near: float
) -> tuple[Audit, dict[str, Any]]:
    """The audit of `source`, and the facts about its files.

    `evaluation`: one file, or several, that must stay unseen. `few_shots`: file of the judge's
    examples; None takes those of mint's served judge. `near`: see `audit`. Raises ConfigError or
    DataError.
    """
    listed = [evaluation] if isinstance(evaluation, str) else list(evaluation or ())
    for name in listed:
        if not isinstance(name, str) or not Path(name).is_file():
            raise ConfigError(f"evaluation={name}: no such file")
    paths = [Path(name) for name in listed]
    examples = Path(few_shots) if few_shots is not None else _EXAMPLES
    texts = read_texts(examples)
    others: dict[str, list[Case]] = {}
    for path in paths:
        others[path.name if path.name not in others else str(path)] = load_cases(path, True).cases
    result = audit(load_cases(source, skip_bad=True), others, texts, near)
    facts = {
        "input": source.name,
        "input_sha256": sha256_file(source),
        "evaluation": {path.name: sha256_file(path) for path in paths},
        "few_shots": examples.name,
        "near": near,
    }
    return result, facts


def read_texts(path: Path) -> list[str]:
    """The texts of a file: every string value of a JSON file, else the whole file."""
    content = read_text(path, "few_shots=")
    return list(_strings(parse_json(content, path))) if path.suffix == ".json" else [content]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _strings(child)
