"""Look through data before training on it: `python -m mint.audit input=FILE`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mint.data.auditing.files import audit_files
from mint.data.auditing.findings import KINDS
from mint.data.auditing.render import as_json, left_out, markdown
from mint.shell import cli
from mint.shell.files import (
    check_output,
    check_output_file,
    write_json,
    write_json_lines,
    write_text_atomic,
)
from mint.shell.statuses import LIMIT_BROKEN
from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """Finds duplicates, leaks into the evaluation, content that is no support, personal data.

    Reads conversations (JSON), prepared rows (Parquet) and the official files. Exit status 0; 3
    when a kind of `fail_on` was found. Kinds: unusable, duplicate_prompt, loose_duplicate,
    near_duplicate, evaluation_overlap, shared_passage, few_shot, control_tokens, code,
    jailbreak, role_play, task,
    language, personal_data, degenerate.
    """

    input: str
    """File of conversations or rows."""
    evaluation: Any = None
    """File that must stay unseen in training, or a list of them: "[a.json, b.csv]"."""
    few_shots: str | None = None
    """Text or JSON file with the judge's few-shot examples; null: those of mint's served judge."""
    output: str | None = None
    """Folder for audit.json and audit.md, new or empty unless --overwrite; null prints only."""
    exclude: str | None = None
    """File to write for `python -m mint.prepare exclude=FILE`: what `leave_out` found, as JSONL."""
    overwrite: bool = False
    """Replace the files of `output` and the one that `exclude` names."""
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
    """Kinds that end the command with status 3 when found."""
    near: float = 0.8
    """Jaccard similarity of word trigrams from which prompts are near duplicates, in (0, 1]."""

    def __post_init__(self) -> None:
        for key in ("fail_on", "leave_out"):
            for kind in getattr(self, key):
                if kind not in KINDS:
                    raise ConfigError(f"{key}: no kind {kind!r}{cli.nearest(kind, KINDS)}")
        if not 0 < self.near <= 1:
            raise ConfigError(f"near must be in (0, 1], got {self.near}")


def main(config: AuditConfig) -> int:
    """Exit status of the command."""
    source = Path(config.input)
    if config.output is not None:
        check_output(Path(config.output), config.overwrite)
    if config.exclude is not None:
        check_output_file(config.exclude, "exclude", overwrite=config.overwrite)
    result, facts = audit_files(source, config.evaluation, config.few_shots, config.near)
    said = page = markdown(result, source.name)
    if config.output is not None:
        write_json(Path(config.output) / "audit.json", as_json(result, facts))
        write_text_atomic(Path(config.output) / "audit.md", page)
    if config.exclude is not None:
        entries = left_out(result, config.leave_out)
        write_json_lines(Path(config.exclude), entries)
        said += f"\n{len(entries)} entries written to {config.exclude}\n"
    print(said, end="")
    failed = [f"{kind} ({len(result.of(kind))})" for kind in config.fail_on if result.of(kind)]
    if failed:
        print(f"found: {', '.join(failed)}", file=sys.stderr)
    return LIMIT_BROKEN if failed else 0


if __name__ == "__main__":
    sys.exit(cli.run(AuditConfig, main))
