"""When failures end a run: too many in one step, or a slow leak over many. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple

from mint.config.schema import GradingConfig
from mint.verl.group_reward import MISSING, StepReward
from mint.verl.wire import GradedReply

_KINDS_SHOWN = 3
_LOST = "their rollout or reward worker raised or died, the log has its traceback"


class Words(NamedTuple):
    """What is counted, what befell it, and what to do."""

    unit: str = "replies"
    befell: str = "could not be graded"
    remedy: str = "Mend the grader"


class Failed(NamedTuple):
    """The failures of one step."""

    number: int
    asked: int
    groups_lost: float
    """Share of groups that nobody learns from, in [0, 1]."""
    kinds: Counter[str]
    reasons: Sequence[str]
    """What came back and says why."""

    @property
    def share(self) -> float:
        """Of those asked for, in [0, 1]."""
        return self.number / max(1, self.asked)


class FailureWatch:
    """Looks at each step's failures and says when to stop."""

    def __init__(self, limits: GradingConfig, where: str, words: Words | None = None) -> None:
        """`where` is the file of what failed, for the message."""
        self._limits = limits
        self._where = where
        self._words = words or Words()
        self._shares: deque[tuple[int, int]] = deque(maxlen=limits.failure_window)
        self._kinds: deque[Counter[str]] = deque(maxlen=limits.failure_window)

    def problem(self, step: int, rows: Sequence[GradedReply], result: StepReward) -> str:
        """`look` at graded replies."""
        metrics = result.metrics
        failed = Failed(
            int(metrics["grader/num_failed"]),
            result.num_asked,
            metrics["group/frac_lost"],
            result.failures,
            [row.signals.reason for row in rows if row.signals.failures],
        )
        return self.look(step, failed)

    def look(self, step: int, failed: Failed) -> str:
        """Why the run must end after this step; "" when it may go on."""
        self._shares.append((failed.number, failed.asked))
        self._kinds.append(failed.kinds)
        limits, words = self._limits, self._words
        lost = failed.groups_lost
        if failed.share > limits.max_failed_fraction or lost > limits.max_lost_fraction:
            return (
                f"step {step}: {failed.share:.0%} of the {words.unit} {words.befell} ({lost:.0%} "
                f"of the groups lost), allowed {limits.max_failed_fraction:.0%} "
                f"({limits.max_lost_fraction:.0%}); {self._details(failed.kinds, failed.reasons)}. "
                f"{words.remedy}, or see mint.grading.max_failed_fraction and "
                "mint.grading.max_lost_fraction"
            )
        share = self._window_share()
        if share > limits.max_window_failed_fraction:
            total = sum(self._kinds, Counter())
            return (
                f"steps {step - limits.failure_window + 1} to {step}: {share:.1%} of the "
                f"{words.unit} {words.befell}, allowed {limits.max_window_failed_fraction:.1%}; "
                f"{self._details(total, failed.reasons)}. {words.remedy}, or see "
                "mint.grading.failure_window and mint.grading.max_window_failed_fraction"
            )
        return ""

    def _window_share(self) -> float:
        """Share of failed replies in the whole window; 0 before it is full."""
        if len(self._shares) < self._limits.failure_window:
            return 0.0
        total = sum(count for _, count in self._shares)
        return sum(failed for failed, _ in self._shares) / total if total else 0.0

    def _details(self, kinds: Counter[str], said: Sequence[str]) -> str:
        reasons = sorted(set(said))
        example = f", for example {reasons[0]!r}" if reasons else ""
        counted = ", ".join(f"{kind} {n}" for kind, n in kinds.most_common(_KINDS_SHOWN) if n)
        lost = f"; {MISSING}: {_LOST}" if kinds[MISSING] else ""
        graded = f"; what came back is in {self._where}" if reasons else ""
        return f"kinds: {counted or 'none recorded'}{example}{lost}{graded}"
