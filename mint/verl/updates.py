"""When updates that verl skips end a run. Pure.

verl leaves the weights as they are when the norm of the gradient is not a finite number, prints one
line to its log and goes on: a run could skip every update and still end well.
"""

from __future__ import annotations

import math

SKIPPED = "policy/skipped_updates"
"""Steps in a row, up to this one, with an update that verl has skipped."""


class UpdateWatch:
    """Counts steps in a row whose gradient is not finite."""

    def __init__(self, most: int) -> None:
        """`most`: so many in a row end the run (`mint.run.max_skipped_updates`)."""
        self._most = most
        self._skipped = 0

    def look(self, norm: float | None) -> dict[str, float]:
        """The metric of a step; `norm` of its gradient, None when there was no update."""
        if norm is not None:
            self._skipped = 0 if math.isfinite(norm) else self._skipped + 1
        return {SKIPPED: float(self._skipped)}

    def problem(self, step: int) -> str:
        """Why the run must end after this step; "" when it may go on."""
        if self._skipped < self._most:
            return ""
        steps = f"step {step}" if self._skipped == 1 else f"steps {step - self._skipped + 1}-{step}"
        return (
            f"{steps}: the gradient is not a finite number, so these updates were skipped and the "
            "policy has learnt nothing since. Look at policy/loss, policy/kl_loss and "
            "policy/log_prob_pearson before them in metrics.jsonl; a smaller "
            "actor_rollout_ref.actor.optim.lr often helps (see mint.run.max_skipped_updates)"
        )
