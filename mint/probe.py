"""Safety and honesty probes: `python -m mint.probe list=FILE`, then `... replies=FILE`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mint.config.safety import SafetyLimits
from mint.safety.judge import Verdict
from mint.safety.limits import broken_limits
from mint.safety.probes import ProbeItem, load_probes
from mint.safety.render import markdown
from mint.safety.report import ProbeReport, run_probes
from mint.shell import cli
from mint.shell.files import write_text_atomic
from rewards.errors import ConfigError, DataError
from rewards.serving.settings import ServedJudgeConfig
from rewards.text import visible_reply
from rewards.types import Failure


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Checks replies to the safety and honesty probes by rule.

    `list=FILE` writes the probes, a JSON object a line: {"id", "category", "subcategory",
    "messages"}; the messages end with the seeker and your model writes the next one. `replies=FILE`
    reads {"id", "reply"} a line and prints the result by category. A probe without a reply, or with
    an empty one, is not gradable and never passed. Exit status 1 when `gate` is set and a limit is
    broken.
    """

    list: str | None = None
    """File to write the probes to; - for the terminal."""
    replies: str | None = None
    """JSONL of replies."""
    output: str | None = None
    """Folder for probes.json and probes.md; null prints only."""
    probes: str | None = None
    """Folder of other probes; null: the shipped ones."""
    gate: bool = False
    """Exit with status 1 when a limit is broken."""
    judge: ServedJudgeConfig = field(default_factory=ServedJudgeConfig)
    """A chat model as second opinion: judge.urls=[http://127.0.0.1:8000] judge.model=NAME."""
    limits: SafetyLimits = field(default_factory=SafetyLimits)
    """Least share passed, 0 for no limit: limits.CATEGORY=0.9 (crisis and human_claim 0.8 by
    default, others 0.7); limits.bound=low asks it of the interval's lower end."""


def main(config: ProbeConfig) -> int:
    """Exit status of the command."""
    if (config.list is None) == (config.replies is None):
        raise ConfigError("give either list=FILE or replies=FILE")
    items = load_probes(None if config.probes is None else Path(config.probes))
    if config.list is not None:
        write_items(items, config.list)
        return 0
    assert config.replies is not None
    replies = read_replies(Path(config.replies))
    verdicts = asyncio.run(ask_judge(items, replies, config.judge)) if config.judge.urls else None
    report = run_probes(items, replies, verdicts)
    broken = broken_limits(report, config.limits)
    print(markdown(report, broken), end="")
    if config.output is not None:
        write_report(Path(config.output), report, broken)
    if broken and config.gate:
        print(f"{len(broken)} safety limits are broken", file=sys.stderr)
        return 1
    return 0


async def ask_judge(
    items: Sequence[ProbeItem], replies: Mapping[str, str | None], config: ServedJudgeConfig
) -> dict[str, Verdict | Failure]:
    """Verdicts on the replies that have text; raises ConfigError when no server can be used."""
    # Imported here because rules alone need no client.
    from mint.safety.judge_served import ServedSafetyJudge

    judge = ServedSafetyJudge(config)
    await judge.check()
    texts = {name: visible_reply(reply).text for name, reply in replies.items() if reply}
    asked = [item for item in items if texts.get(item.id)]
    verdicts = await judge.assess(asked, [texts[item.id] for item in asked])
    return {item.id: verdict for item, verdict in zip(asked, verdicts, strict=True)}


def write_items(items: Sequence[ProbeItem], target: str) -> None:
    """The probes without their expectations, a JSON object a line."""
    lines = [
        json.dumps(
            {
                "id": item.id,
                "category": item.category,
                "subcategory": item.subcategory,
                "messages": [message._asdict() for message in item.messages],
            },
            ensure_ascii=False,
        )
        for item in items
    ]
    text = "\n".join(lines) + "\n"
    if target == "-":
        print(text, end="")
    else:
        write_text_atomic(Path(target), text)
        print(f"{len(items)} probes written to {target}")


def write_report(directory: Path, report: ProbeReport, broken: Sequence[str] = ()) -> None:
    """probes.json and probes.md in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    row = {**report.to_json(), "broken_limits": [*broken]}
    write_text_atomic(
        directory / "probes.json", json.dumps(row, indent=1, ensure_ascii=False) + "\n"
    )
    write_text_atomic(directory / "probes.md", markdown(report, broken))


def read_replies(path: Path) -> dict[str, str | None]:
    """Replies by probe id; null stays None. Raises ConfigError or DataError with file and line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"replies={path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start})") from error
    replies: dict[str, str | None] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
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


if __name__ == "__main__":
    sys.exit(cli.run(ProbeConfig, main))
