"""Held-out replies made up by code, and the evaluation files of a run that has them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics.summary import summarise
from mint.evaluation.records import EvaluatedReply
from mint.rundir.directory import RunDir
from mint.shell.files import write_json, write_json_lines
from mint.watching.invented import PARTS, SEEKERS, SENTENCES
from rewards.diversity import entropy, kl_divergence
from rewards.formula import RewardWeights, raw_reward
from rewards.tactics import TACTIC_NAMES, count_tactics
from rewards.types import DIMENSIONS, Rating, Signals, Status

LOW = 2.8
"""Ratings below it are shown as held down."""
SETTINGS = EvaluationConfig(resamples=500)


Place = tuple[int, int, int]
"""Conversation, turn and sample."""


def invented_replies(
    variety: float, rng: random.Random, said: Mapping[Place, str] | None = None
) -> list[EvaluatedReply]:
    """Replies to 24 conversations; the larger `variety`, in [0, 1], the fewer tactics repeat.

    `said`: first sentence of single replies.
    """
    made = []
    for conversation in range(24):
        previous: list[str] = []
        for turn in range(rng.randint(2, 4)):
            for sample in range(4):
                made.append(
                    _reply((conversation, turn, sample), previous, variety, rng, said or {})
                )
            previous = rng.sample(["validation", "questioning", "paraphrasing", "advice"], 2)
    return made


def _reply(
    place: Place,
    previous: list[str],
    variety: float,
    rng: random.Random,
    said: Mapping[Place, str],
) -> EvaluatedReply:
    conversation, turn, sample = place
    fresh = [name for name in TACTIC_NAMES if name not in previous]
    names = [
        rng.choice(fresh if rng.random() < variety or not previous else previous)
        for _ in range(rng.choice((1, 2, 2, 3)))
    ]
    tactics = [[name] for name in names]
    if rng.random() < 0.2:
        tactics[0] = [names[0], "empowerment"] if names[0] != "empowerment" else ["empowerment"]
    sentences = [SENTENCES[name] for name in names]
    if place in said:
        sentences[0] = said[place]
    counts = count_tactics(tactics)
    last = count_tactics([previous])
    ratings = {
        name: 1 + 4 * min(1.0, abs(rng.gauss(0.45 + 0.2 * variety, 0.15))) for name in DIMENSIONS
    }
    rating = Rating.from_dimensions({name: min(5.0, v) for name, v in ratings.items()})
    failed = rng.random() < 0.01
    signals = Signals(
        status=Status.FAILED if failed else Status.OK,
        quality=(rating.aggregate - 1) / 4,
        kl=kl_divergence(last, counts),
        entropy=entropy(counts),
        bigram=2.0,
        trigram=2.1,
        num_tokens=12 * len(names),
        counts=counts,
    )
    graded: dict[str, Any] = (
        {}
        if failed
        else {
            "empathy": rating.aggregate,
            "dimensions": dict(rating.dimensions),
            "parts": {
                **PARTS,
                "manner": rating.aggregate,
                "relevance": min(1.0, rating.aggregate / 5),
            },
            "tricks": ("unrelated",) if rating.aggregate < LOW else (),
            "kl": signals.kl,
            "entropy": signals.entropy,
            "bigram": 2.0,
            "trigram": 2.1,
            "sentences": tuple(sentences),
            "tactics": tuple(tuple(own) for own in tactics),
            "counts": counts,
        }
    )
    return EvaluatedReply(
        conversation_id=f"held-out-{conversation:02d}",
        turn=turn,
        sample=sample,
        seeker=SEEKERS[(conversation + turn) % len(SEEKERS)],
        reply=" ".join(sentences),
        status=signals.status.value,
        reason="judge: timeout: no answer" if failed else "",
        composite=raw_reward(signals),
        previous_counts=tuple(float(c) for c in last),
        has_previous=turn > 0,
        num_tokens=signals.num_tokens,
        truncated=rng.random() < 0.05,
        history=_history(conversation, turn),
        **graded,
    )


def _history(conversation: int, turn: int) -> tuple[tuple[str, str], ...]:
    """What was said before the message that a turn answers."""
    said = list(SENTENCES.values())
    return tuple(
        message
        for earlier in range(turn)
        for message in (
            ("seeker", SEEKERS[(conversation + earlier) % len(SEEKERS)]),
            ("supporter", said[(3 * conversation + earlier) % len(said)]),
        )
    )


def write_evaluation(run: RunDir, label: str, replies: list[EvaluatedReply]) -> None:
    """Files of the evaluation `label` (before or after)."""
    write_json_lines(
        run.evaluation_path / f"{label}_replies.jsonl", (reply.as_row() for reply in replies)
    )
    metrics = summarise(replies, SETTINGS)
    write_json(
        run.path / f"evaluation/{label}.json",
        {
            "label": label,
            "model": "outputs/tiny-policy" if label == "before" else str(run.model_path),
            "num_conversations": len({r.conversation_id for r in replies}),
            "num_turns": len({(r.conversation_id, r.turn) for r in replies}),
            "num_replies": len(replies),
            "num_failed": sum(r.status == "failed" for r in replies),
            "graders": {},
            "settings": {**asdict(SETTINGS), "reward": asdict(RewardWeights())},
            "metrics": {name: asdict(metric) for name, metric in metrics.items()},
        },
    )
