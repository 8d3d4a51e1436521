"""Grade a run's failed replies again: `python -m mint.regrade run=DIR`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from mint.config.schema import MintConfig, mint_config
from mint.rundir.directory import RunDir
from mint.rundir.manifest import require_same_graders
from mint.rundir.quarantine import Quarantined, read_quarantine, summary
from mint.shell import cli
from mint.shell.console import progress_bar
from mint.shell.files import write_json_lines
from rewards.build import Graders, build_graders, check_servers
from rewards.errors import ConfigError
from rewards.formula import RewardWeights, raw_reward
from rewards.scorer import ReplyScorer
from rewards.types import Signals, Status

_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class RegradeSettings:
    """Grade again the replies that a run's graders failed on, and show which of them work now.

    Uses the graders of the run's config.yaml and refuses others. Writes one row a reply, with its
    status, reward components and remaining failures, to `output`. The run itself stays as it is.
    """

    run: str
    """Run directory."""
    quarantine: str | None = None
    """File of failed replies; null: RUN/quarantine.jsonl."""
    output: str | None = None
    """Where the results go; null: RUN/regraded.jsonl."""
    tagger_urls: list[str] | None = None
    """Addresses of the tagger's servers now; null: those of the run."""
    judge_urls: list[str] | None = None
    """Addresses of the judge's servers now; null: those of the run."""


class Regraded(NamedTuple):
    """A failed reply and what grading it again has given."""

    failed: Quarantined
    signals: Signals

    def as_row(self, weights: RewardWeights) -> dict[str, Any]:
        """Ready for JSON."""
        row, signals = self.failed, self.signals
        return {
            "stage": row.stage,
            "step": row.step,
            "uid": row.uid,
            "conversation_id": row.conversation_id,
            "turn": row.turn,
            "reply": row.request.raw_reply,
            "status": str(signals.status),
            "was": {name: f._asdict() for name, f in row.failures.items()},
            "failures": {name: f._asdict() for name, f in signals.failures.items()},
            "quality": signals.quality,
            "kl": signals.kl,
            "entropy": signals.entropy,
            "composite": raw_reward(signals, weights),
        }


def regrade(rows: Sequence[Quarantined], graders: Graders) -> list[Regraded]:
    """Each reply with its signals now, in order."""
    return asyncio.run(_regrade(rows, ReplyScorer(graders.tagger, graders.judge)))


async def _regrade(rows: Sequence[Quarantined], scorer: ReplyScorer) -> list[Regraded]:
    done: list[Regraded] = []
    with progress_bar(transient=True) as bar:
        task = bar.add_task("grading again", total=len(rows))
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            signals = await scorer.score([row.request for row in batch])
            done += [Regraded(row, s) for row, s in zip(batch, signals, strict=True)]
            bar.update(task, advance=len(batch))
    return done


def format_result(done: Sequence[Regraded], output: Path) -> str:
    """A few lines for people."""
    works = sum(result.signals.status is not Status.FAILED for result in done)
    lines = [f"{len(done)} failed replies, {works} can be graded now, {len(done) - works} cannot"]
    for title, failures in (
        ("failed then", [result.failed.failures for result in done]),
        ("failing now", [result.signals.failures for result in done]),
    ):
        lines += [f"  {title:<12} {what:<28} {n:>5}" for what, n in summary(failures).items()]
    still = [r.signals.reason for r in done if r.signals.status is Status.FAILED]
    if still:
        lines.append(f"  for example  {still[0]}")
    lines.append(f"written to {output}")
    return "\n".join(lines)


def main(settings: RegradeSettings) -> int:
    """Exit status of the command: 0 when every reply can be graded now, else 1."""
    run = RunDir.open(settings.run)
    path = Path(settings.quarantine) if settings.quarantine else run.quarantine_path
    rows = read_quarantine(path)
    mint = _moved(_run_config(run), settings)
    graders = build_graders(mint.encoder, mint.tagger, mint.judge)
    check_servers(graders)
    require_same_graders(run, {"tagger": graders.tagger.identity, "judge": graders.judge.identity})
    done = regrade(rows, graders)
    output = Path(settings.output) if settings.output else run.path / "regraded.jsonl"
    write_json_lines(output, [result.as_row(mint.reward) for result in done])
    print(format_result(done, output))
    return int(any(result.signals.status is Status.FAILED for result in done))


def _run_config(run: RunDir) -> MintConfig:
    if not run.config_path.exists():
        raise ConfigError(f"{run.config_path} is missing; it is written when training starts")
    config = OmegaConf.load(run.config_path)
    if not isinstance(config, DictConfig) or "mint" not in config:
        raise ConfigError(f"{run.config_path} has no node 'mint'")
    return mint_config(config)


def _moved(mint: MintConfig, settings: RegradeSettings) -> MintConfig:
    """The configuration with the servers where they are now."""
    tagger, judge = mint.tagger, mint.judge
    if settings.tagger_urls is not None:
        tagger = replace(tagger, served=replace(tagger.served, urls=settings.tagger_urls))
    if settings.judge_urls is not None:
        judge = replace(judge, served=replace(judge.served, urls=settings.judge_urls))
    return replace(mint, tagger=tagger, judge=judge)


if __name__ == "__main__":
    sys.exit(cli.run(RegradeSettings, main))
