"""A run made up by code: configuration, steps and training replies as a real one writes them."""

from __future__ import annotations

import math
import random
from dataclasses import asdict
from typing import Any

from rewards.formula import COMPONENTS, RewardBreakdown, RewardWeights
from rewards.tactics import TACTIC_NAMES
from rewards.types import GraderIdentity, Status

SENTENCES = {
    "information": "Sleep can take some weeks to settle after a change of shifts.",
    "assistance": "I can stay with you while you sort this out.",
    "advice": "You could ask for ten quiet minutes before the meeting.",
    "validation": "Anyone would be worn out after a week like that.",
    "emotional_expression": "My heart sank when I read your message.",
    "paraphrasing": "So the house went quiet and nobody asked how you were.",
    "self_disclosure": "I failed my first year as well.",
    "questioning": "What was the hardest part of the day?",
    "reappraisal": "Maybe the argument shows how much you both still care.",
    "empowerment": "It took courage to say that out loud.",
}
SEEKERS = (
    "My manager moved me to nights again and I haven't slept properly in two weeks.",
    "We had another argument about money and now he isn't speaking to me.",
    "I failed the exam. Everybody else passed & I just sat there. <sigh>",
    "My mother is in hospital and I can't visit before the weekend.",
    "I don't know. Some days I just feel invisible.",
)
PARTS = {"manner": 3.1, "relevance": 0.7, "coherence": 0.8, "harm": 0.02}


def invented_config() -> dict[str, Any]:
    """The parts of a configuration that pages read."""
    return {
        "mint": {
            "reward": {**asdict(RewardWeights()), "mode": "add"},
            "policy": {"build": "tiny"},
            "data": {"style": "tactics_history"},
        },
        "actor_rollout_ref": {
            "model": {"path": "outputs/tiny-policy"},
            "rollout": {"n": 8, "temperature": 1.0},
            "actor": {"optim": {"lr": 1e-4}, "kl_loss_coef": 0.01},
        },
        "data": {"train_batch_size": 8, "max_response_length": 80},
        "trainer": {"device": "cpu"},
    }


def invented_graders() -> dict[str, GraderIdentity]:
    details = {"encoder": "sentence-transformers/all-MiniLM-L6-v2", "dtype": "float32"}
    return {
        kind: GraderIdentity(kind=kind, name="embedded", revision=revision, details=details)
        for kind, revision in (("tagger", "4f1c9a0d"), ("judge", "b07d52ee"))
    }


def invented_metrics(step: int, steps: int, rng: random.Random) -> dict[str, float]:
    done = 1 - math.exp(-3 * step / steps)
    values = {
        "reward/raw/mean": 0.62 + 0.4 * done + rng.gauss(0, 0.02),
        "reward/raw/std": 0.2,
        "reward/score/mean": 1.02 + rng.gauss(0, 0.03),
        "reward/score/std": 0.42 - 0.1 * done + rng.gauss(0, 0.02),
        "reward/length_scale/mean": 1.0,
        "reward/label_leak/frac": 0.0,
        "group/num": 8.0,
        "group/frac_flat": 0.125 if step % 9 == 0 else 0.0,
        "group/frac_partial": 0.125 if step == 11 else 0.0,
        "group/frac_lost": 0.0,
        "grader/failed_frac": 1 / 64 if step == 11 else 0.0,
        "reply/truncated_frac": max(0.0, 0.14 - 0.1 * done + rng.gauss(0, 0.01)),
        "reply/empty_frac": 0.0,
        "reply/num_tokens/mean": 31 + 8 * done + rng.gauss(0, 1),
        "tactics_per_reply/mean": 2.1 + 0.5 * done + rng.gauss(0, 0.1),
        "policy/log_prob_pearson": 0.9985 + rng.gauss(0, 2e-4),
        "policy/kl_loss": 0.02 * done**2 + abs(rng.gauss(0, 5e-4)),
        "policy/grad_norm": 0.6 + abs(rng.gauss(0, 0.2)) if step != 7 else math.nan,
        "policy/entropy": 1.9 - 0.5 * done + rng.gauss(0, 0.03),
        "time/generate_s": 4.1 + rng.gauss(0, 0.3),
        "time/old_log_prob_s": 0.9,
        "time/ref_s": 0.8,
        "time/advantage_s": 0.05,
        "time/update_s": 2.7 + rng.gauss(0, 0.1),
        "time/push_s": 0.4,
        "time/checkpoint_s": 1.8 if step % 12 == 0 else 0.0,
        "throughput/replies_per_s": 6.3 + rng.gauss(0, 0.3),
    }
    values |= {
        "grader/part/manner/mean": 2.8 + 0.6 * done,
        "grader/part/relevance/mean": 0.6 + 0.1 * done,
        "grader/part/coherence/mean": 0.7 + 0.1 * done,
        "grader/part/harm/mean": 0.02,
        "grader/held_down_frac": 0.3 - 0.2 * done,
        "grader/held_down/unrelated": 0.2 - 0.1 * done,
        "grader/held_down/incoherent": 0.1 - 0.1 * done,
        "grader/held_down/harmful": 0.0,
    }
    phases = ("generate", "old_log_prob", "ref", "advantage", "update", "push", "checkpoint")
    values["time/step_s"] = 0.3 + sum(values[f"time/{name}_s"] for name in phases)
    starts = {"quality": 0.45, "kl": 0.9, "entropy": 0.7, "bigram": 2.2, "trigram": 2.3}
    for name in COMPONENTS:
        values[f"reward/{name}/mean"] = starts[name] * (1 + 0.35 * done) + rng.gauss(0, 0.02)
        values[f"reward/{name}_norm/mean"] = 0.5 + rng.gauss(0, 0.04)
    for k, name in enumerate(TACTIC_NAMES):
        values[f"tactic/{name}/frac"] = min(1.0, max(0.0, 0.06 * k + 0.2 * done * (k % 3)))
    return values


def invented_samples(step: int, rng: random.Random) -> list[dict[str, Any]]:
    rows = []
    for rank, score in (("best", 1.74), ("worst", 0.31)):
        names = rng.sample(TACTIC_NAMES, 3 if rank == "best" else 1)
        norm = {f"{c}_norm": 0.9 if rank == "best" else 0.1 for c in COMPONENTS}
        raw = dict.fromkeys(COMPONENTS, 0.8 if rank == "best" else 0.3)
        breakdown = RewardBreakdown(score=score, status=Status.OK, length_scale=1.0, **raw, **norm)
        rows.append(
            {
                "step": step,
                "uid": f"u{step}",
                "rank": rank,
                "conversation_id": "c1",
                "turn": 1,
                "seeker": SEEKERS[step % len(SEEKERS)],
                "reply": " ".join(SENTENCES[name] for name in names),
                "previous_counts": [0, 0, 0, 1, 0, 0, 0, 1, 0, 0],
                "sentences": [SENTENCES[name] for name in names],
                "tactics": [[name] for name in names],
                "dimensions": {},
                "parts": PARTS,
                "tricks": [] if rank == "best" else ["unrelated", "copies_seeker"],
                "reason": "",
                "breakdown": breakdown.as_row(),
            }
        )
    return rows
