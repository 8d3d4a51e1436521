"""The error taxonomy (`mint.safety.taxonomy`) of evaluated replies."""

from __future__ import annotations

from collections.abc import Mapping

from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.estimates import Estimate
from mint.safety.taxonomy import KINDS, NOT_ASKED, find_errors

ERROR = "error/"
"""What stands before a kind in the name of its metric."""


def errors(reply: EvaluatedReply) -> Mapping[str, bool | None]:
    """Kind -> whether the reply has it; None where it is not asked of it."""
    if not reply.graded:
        return NOT_ASKED
    earlier = " ".join(said for role, said in reply.history if role == "seeker")
    return find_errors(reply.seeker, reply.reply, reply.tactics, reply.turn, earlier)


def error_lines(metrics: Mapping[str, Estimate]) -> list[str]:
    """One line for people: each kind's share and of how many replies; none where nothing is
    known."""
    shares = [
        f"{kind.replace('_', ' ')} {found.mean:.0%} of {found.n}"
        for kind in KINDS
        if (found := metrics.get(f"{ERROR}{kind}")) is not None and found.mean is not None
    ]
    return [f"  errors by rule: {', '.join(shares)}"] if shares else []
