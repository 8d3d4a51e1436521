"""Look through data before training on it: `python -m mint.audit input=FILE`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rewards.graders
from mint.data.auditing.findings import KINDS, Audit, AuditSettings, audit
from mint.data.auditing.render import jsonl, left_out, markdown, to_json
from mint.data.auditing.rows import AuditRow, load_rows
from mint.shell import cli
from mint.shell.files import sha256_file, write_text_atomic
from rewards.errors import ConfigError, DataError

_EXAMPLES = Path(rewards.graders.__file__).parent / "prompts" / "judge_examples.json"


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """Finds duplicates, leaks into the evaluation, content that is no support, personal data.

    Reads conversations (JSON), prepared rows (Parquet) and the official files. Exit status 0; 1
    when a kind of `fail_on` was found. Kinds: unusable, duplicate_prompt, loose_duplicate,
    near_duplicate, evaluation_overlap, shared_passage, few_shot, code, jailbreak, role_play, task,
    language, personal_data, degenerate.
    """

    input: str
    """File of conversations or rows."""
    evaluation: Any = None
    """File that must stay unseen in training, or a list of them: "[a.json, b.csv]"."""
    few_shots: str | None = None
    """Text or JSON file with the judge's few-shot examples; null: those of mint's served judge."""
    output: str | None = None
    """Folder for audit.json and audit.md; null prints only."""
    exclude: str | None = None
    """File to write for `python -m mint.prepare exclude=FILE`: what `leave_out` found, as JSONL."""
    leave_out: list[str] = field(
        default_factory=lambda: [
            "duplicate_prompt",
            "loose_duplicate",
            "evaluation_overlap",
            "few_shot",
            "code",
            "jailbreak",
        ]
    )
    """Kinds that go into `exclude`; of duplicates the first copy stays."""
    fail_on: list[str] = field(default_factory=list)
    """Kinds that end the command with status 1 when found."""
    near: float = 0.8
    """Jaccard similarity of word trigrams from which prompts are near duplicates, in (0, 1]."""


def main(config: AuditConfig) -> int:
    """Exit status of the command."""
    _check(config)
    result, facts = run(config)
    print(markdown(result, Path(config.input).name), end="")
    if config.output is not None:
        directory = Path(config.output)
        directory.mkdir(parents=True, exist_ok=True)
        row = json.dumps(to_json(result, facts), indent=1, ensure_ascii=False)
        write_text_atomic(directory / "audit.json", row + "\n")
        write_text_atomic(directory / "audit.md", markdown(result, Path(config.input).name))
    if config.exclude is not None:
        entries = left_out(result, config.leave_out)
        write_text_atomic(Path(config.exclude), jsonl(entries))
        print(f"\n{len(entries)} entries written to {config.exclude}")
    failed = [f"{kind} ({len(result.of(kind))})" for kind in config.fail_on if result.of(kind)]
    if failed:
        print(f"found: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0


def run(config: AuditConfig) -> tuple[Audit, dict[str, Any]]:
    """The audit and the facts about its files. Raises ConfigError or DataError."""
    paths = evaluation_files(config.evaluation)
    few_shots = Path(config.few_shots) if config.few_shots is not None else _EXAMPLES
    examples = read_texts(few_shots)
    others: dict[str, Sequence[AuditRow]] = {}
    for path in paths:
        others[path.name if path.name not in others else str(path)] = load_rows(path).rows
    loaded = load_rows(Path(config.input))
    result = audit(loaded, others, examples, AuditSettings(near=config.near))
    facts = {
        "input": Path(config.input).name,
        "input_sha256": sha256_file(Path(config.input)),
        "evaluation": {path.name: sha256_file(path) for path in paths},
        "few_shots": few_shots.name,
        "near": config.near,
    }
    return result, facts


def evaluation_files(value: Any) -> list[Path]:
    """The paths of `evaluation`: null, one, or a list."""
    listed = [] if value is None else [value] if isinstance(value, str) else list(value)
    for name in listed:
        if not isinstance(name, str) or not Path(name).is_file():
            raise ConfigError(f"evaluation={name}: no such file")
    return [Path(name) for name in listed]


def read_texts(path: Path) -> list[str]:
    """The texts of a file: every string value of a JSON file, else the whole file."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"few_shots={path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start})") from error
    if path.suffix != ".json":
        return [content]
    try:
        return list(_strings(json.loads(content)))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}:{error.colno}: {error.msg}") from error


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return []
    return [text for child in children for text in _strings(child)]


def _check(config: AuditConfig) -> None:
    for key, kinds in (("fail_on", config.fail_on), ("leave_out", config.leave_out)):
        for kind in kinds:
            if kind not in KINDS:
                raise ConfigError(f"{key}: no kind {kind!r}{cli.nearest(kind, KINDS)}")
    if not 0 < config.near <= 1:
        raise ConfigError(f"near must be in (0, 1], got {config.near}")


if __name__ == "__main__":
    sys.exit(cli.run(AuditConfig, main))
