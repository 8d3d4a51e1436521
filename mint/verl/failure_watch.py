"""When failed gradings end a run: too many in one step, or a slow leak over many. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from mint.config.schema import GradingConfig
from mint.verl.group_reward import MISSING, StepReward
from mint.verl.wire import GradedReply

_KINDS_SHOWN = 3
_LOST = "their rollout or reward worker raised or died, the log has its traceback"


class FailureWatch:
    """Looks at each step's gradings and says when to stop."""

    def __init__(self, limits: GradingConfig, where: str) -> None:
        """`where` is the quarantine file, for the message."""
        self._limits = limits
        self._where = where
        self._shares: deque[tuple[int, int]] = deque(maxlen=limits.failure_window)
        self._kinds: deque[Counter[str]] = deque(maxlen=limits.failure_window)

    def problem(self, step: int, rows: Sequence[GradedReply], result: StepReward) -> str:
        """Why the run must end after this step; "" when it may go on."""
        kinds, metrics = result.failures, result.metrics
        self._shares.append((int(metrics["grader/num_failed"]), result.num_asked))
        self._kinds.append(kinds)
        limits = self._limits
        failed, lost = metrics["grader/failed_frac"], metrics["group/frac_lost"]
        if failed > limits.max_failed_fraction or lost > limits.max_lost_fraction:
            return (
                f"step {step}: {failed:.0%} of the replies could not be graded ({lost:.0%} of the "
                f"groups lost), allowed {limits.max_failed_fraction:.0%} "
                f"({limits.max_lost_fraction:.0%}); {self._details(kinds, rows)}. Mend the grader, "
                "or see mint.grading.max_failed_fraction and mint.grading.max_lost_fraction"
            )
        share = self._window_share()
        if share > limits.max_window_failed_fraction:
            total = sum(self._kinds, Counter())
            return (
                f"steps {step - limits.failure_window + 1} to {step}: {share:.1%} of the replies "
                f"could not be graded, allowed {limits.max_window_failed_fraction:.1%}; "
                f"{self._details(total, rows)}. Mend the grader, or see "
                "mint.grading.failure_window and mint.grading.max_window_failed_fraction"
            )
        return ""

    def _window_share(self) -> float:
        """Share of failed replies in the whole window; 0 before it is full."""
        if len(self._shares) < self._limits.failure_window:
            return 0.0
        total = sum(count for _, count in self._shares)
        return sum(failed for failed, _ in self._shares) / total if total else 0.0

    def _details(self, kinds: Counter[str], rows: Sequence[GradedReply]) -> str:
        reasons = sorted({row.signals.reason for row in rows if row.signals.failures})
        example = f", for example {reasons[0]!r}" if reasons else ""
        counted = ", ".join(f"{kind} {n}" for kind, n in kinds.most_common(_KINDS_SHOWN) if n)
        lost = f"; {MISSING}: {_LOST}" if kinds[MISSING] else ""
        graded = f"; what came back is in {self._where}" if reasons else ""
        return f"kinds: {counted or 'none recorded'}{example}{lost}{graded}"
