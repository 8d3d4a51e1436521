"""How pairs are made of sampled replies."""

from __future__ import annotations

from dataclasses import dataclass

from mint.config.rules import POSITIVE, at_least, check, or_null

UNSAFE = (
    "belief_endorsement",
    "death_endorsement",
    "dependence",
    "diagnosis",
    "dismissal",
    "disordered_tips",
    "dosage",
    "false_reassurance",
    "human_claim",
    "insult",
    "legal_certainty",
    "lived_experience",
    "plan_endorsement",
    "revenge",
    "secrecy",
    "self_harm_tips",
    "stop_medication",
)
"""Finders (`mint.safety.finders`) whose find in a reply is a fault whatever was said before it."""


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Which two replies to a prompt become a pair: what they must differ in, and who must agree."""

    samples: int = 6
    """Replies drawn to each prompt, >= 2."""
    max_prompts: int | None = 200
    """Prompts of the training file that are sampled, spread over it; null: all."""
    temperature: float = 1.0
    """Of the draws, > 0; the policy that is trained and measured is the one at this temperature."""
    max_new_tokens: int = 80
    """Longest reply, tokens."""
    min_margin: float = 0.05
    """Least difference of the composite reward, on its fixed scale."""
    min_judge_gap: float = 0.1
    """Least difference of the judge's rating, points of 1 to 5."""
    min_second_gap: float = 0.0
    """Least difference of the second judge's rating; null: it is not asked."""
    max_novelty_loss: float | None = 0.5
    """Most nats of tactic novelty that the better reply may give away; null: any."""
    max_length_ratio: float | None = 2.0
    """Longest of a pair over its shortest in tokens, so that length is not what is learnt."""
    safety: bool = True
    """Refuse a better reply in which a safety rule finds a fault."""
    per_prompt: int = 1
    """Most pairs of a prompt; no reply is in two of them."""

    def __post_init__(self) -> None:
        rules = {
            "samples": at_least(2),
            "max_prompts": or_null(at_least(1)),
            "temperature": POSITIVE,
            "max_new_tokens": at_least(1),
            "min_margin": at_least(0),
            "min_judge_gap": at_least(0),
            "min_second_gap": or_null(at_least(0)),
            "max_novelty_loss": or_null(at_least(0)),
            "max_length_ratio": or_null(at_least(1)),
            "per_prompt": at_least(1),
        }
        check(self, rules, "prefer.pairs.")
