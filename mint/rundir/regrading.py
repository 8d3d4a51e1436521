"""Failed replies graded again: what works now, and what still does not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mint.rundir.quarantine import Quarantined, failure_rows, summary
from mint.shell.console import progress_bar
from rewards.formula import RewardWeights, raw_reward
from rewards.scorer import ReplyScorer
from rewards.types import Rating, Signals, Status

if TYPE_CHECKING:  # importing it loads torch
    from rewards.build import Graders

_BATCH = 64


class Regraded(NamedTuple):
    """A failed reply and what grading it again has given."""

    failed: Quarantined
    signals: Signals

    def as_row(self, weights: RewardWeights) -> dict[str, Any]:
        """Ready for JSON."""
        failed, signals = self.failed, self.signals
        rating = signals.rating
        return {
            **{name: getattr(failed, name) for name in Quarantined._fields[:5]},
            "reply": failed.request.raw_reply,
            "status": str(signals.status),
            "was": failure_rows(failed.failures),
            "failures": failure_rows(signals.failures),
            "quality": signals.quality,
            "kl": signals.kl,
            "entropy": signals.entropy,
            "parts": dict(rating.parts) if isinstance(rating, Rating) else None,
            "tricks": rating.tricks if isinstance(rating, Rating) else None,
            "composite": raw_reward(signals, weights),
        }

    @property
    def works(self) -> bool:
        """Whether the reply can be graded now."""
        return self.signals.status is not Status.FAILED


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
    works = sum(result.works for result in done)
    lines = [f"{len(done)} failed replies, {works} can be graded now, {len(done) - works} cannot"]
    for title, failures in (
        ("failed then", [result.failed.failures for result in done]),
        ("failing now", [result.signals.failures for result in done]),
    ):
        lines += [f"  {title:<12} {what:<28} {n:>5}" for what, n in summary(failures).items()]
    still = [result.signals.reason for result in done if not result.works]
    if still:
        lines.append(f"  for example  {still[0]}")
    lines.append(f"written to {output}")
    return "\n".join(lines)
