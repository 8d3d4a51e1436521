"""Fits the second judge on half of the conversations and measures it on the other half."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from rewards.canaries import rate_canaries, read_canaries
from rewards.errors import DataError
from rewards.fitting.corpus import CorpusReply, read_replies, seeker_turns
from rewards.fitting.metrics import grouped_spearman, rounded, spearman
from rewards.graders.embedded.arrays import write_arrays, write_card
from rewards.graders.lexical.judge import WEIGHTS, LexicalJudge, LexicalWeights
from rewards.graders.lexical.vectors import (
    PHRASE_BUCKETS,
    WORD_BUCKETS,
    counts,
    inverse_frequency,
    pair_features,
    phrases,
    stems,
    unit,
)
from rewards.types import Message, Rating, Reply

LATENT, RIDGE, LOGISTIC, SWAPS = 64, 1.0, 0.3, 3
"""Latent dimensions; ridge penalty; inverse penalty of the logistic; foreign histories a reply."""
SEED_OFFSET = 1000
"""Keeps the halves apart from the folds of the first judge with the same seed."""
_TRAINING = Path("data") / "training" / "conversations_322.json"


class Pair(NamedTuple):
    """A reply and the last two seeker messages before it."""

    conversation: str
    system: str
    context: str
    text: str
    ratings: tuple[float, ...] | None


def fit_second(upstream: Path, output: Path, canaries: Path, seed: int) -> dict[str, Any]:
    """Write second_judge.npz and its card to `output`; returns the card. Raises DataError."""
    pairs = released_pairs(upstream)
    first = first_half((pair.conversation for pair in pairs), seed)
    own = [pair for pair in pairs if pair.conversation in first]
    other = [pair for pair in pairs if pair.conversation not in first]
    arrays = fitted(own, training_pairs(upstream), seed).as_arrays()
    weights = LexicalWeights.of(arrays, "fitted weights")
    card = {
        "seed": seed,
        "fitted_on": {"conversations": len(first), "replies": len(own)},
        "unseen_conversation": measured(weights, other, seed),
    }
    write_arrays(output / WEIGHTS, arrays)
    judge = LexicalJudge(str(output / WEIGHTS))
    median = human_median(judge, other)
    card["human_median"] = median
    card["canaries"] = asyncio.run(rate_canaries(judge, read_canaries(canaries), median))
    return write_card(output / WEIGHTS, card, arrays)


def first_half(conversations: Iterable[str], seed: int) -> set[str]:
    """Names of those that second judges learn from."""
    names = sorted(set(conversations))
    random.Random(seed + SEED_OFFSET).shuffle(names)
    return set(names[: len(names) // 2])


def fitted(rated: Sequence[Pair], unrated: Sequence[Pair], seed: int) -> LexicalWeights:
    """Ridge on the rated replies, a logistic on all of them with their own and foreign contexts."""
    known = [pair for pair in rated if pair.ratings is not None]
    table = counts((phrases(pair.text) for pair in known), PHRASE_BUCKETS)
    phrase_idf = inverse_frequency(table)
    ratings = np.array([pair.ratings for pair in known])
    ridge = Ridge(alpha=RIDGE).fit(unit(table * phrase_idf), ratings)
    everything = [*rated, *unrated]
    said, own = (
        counts(map(stems, texts), WORD_BUCKETS)
        for texts in ([p.text for p in everything], [p.context for p in everything])
    )
    word_idf = inverse_frequency(np.vstack([said, own]))
    both = unit(np.vstack([said, own]) * word_idf)
    latent = TruncatedSVD(LATENT, random_state=seed).fit(both).components_.T.astype(np.float32)
    x, y = [pair_features(own, said, word_idf, latent)], [np.ones(len(everything))]
    for swap in foreign(everything, SWAPS, seed):
        x.append(pair_features(own[swap], said, word_idf, latent))
        y.append(np.zeros(len(everything)))
    belongs = LogisticRegression(C=LOGISTIC, class_weight="balanced", max_iter=1000)
    belongs.fit(np.vstack(x), np.concatenate(y))
    return LexicalWeights(
        phrase_idf=phrase_idf,
        coef=ridge.coef_.astype(np.float32),
        intercept=ridge.intercept_.astype(np.float32),
        word_idf=word_idf,
        latent=latent,
        pair_coef=belongs.coef_[0].astype(np.float32),
        pair_intercept=belongs.intercept_.astype(np.float32),
    )


def human_median(judge: LexicalJudge, pairs: Sequence[Pair]) -> float | None:
    """Median rating of people's replies in their own conversations; None without any."""
    replies = [
        Reply(history=(Message("seeker", pair.context),), text=pair.text)
        for pair in pairs
        if pair.system == "gold"
    ]
    rated = [r.aggregate for r in judge.grade_now(replies) if isinstance(r, Rating)]
    return rounded(float(np.median(rated))) if rated else None


def foreign(pairs: Sequence[Pair], times: int, seed: int) -> Iterator[list[int]]:
    """`times` lists with, for each pair, the place of one of another conversation."""
    rng = random.Random(seed)
    for _ in range(times):
        chosen = []
        for pair in pairs:
            while pairs[place := rng.randrange(len(pairs))].conversation == pair.conversation:
                pass
            chosen.append(place)
        yield chosen


def measured(weights: LexicalWeights, pairs: Sequence[Pair], seed: int) -> dict[str, Any]:
    """Agreement with the released ratings, and own against foreign history, by kind of writer."""
    rated = [pair for pair in pairs if pair.ratings is not None]
    found = weights.manner([pair.text for pair in rated])[:, -1].astype(float)
    truth = np.array([pair.ratings[-1] for pair in rated if pair.ratings is not None])
    prompts = [(pair.conversation, pair.context) for pair in rated]
    texts = [pair.text for pair in pairs]
    own = weights.relevance([pair.context for pair in pairs], texts)
    (swap,) = foreign(pairs, 1, seed)
    other = weights.relevance([pairs[place].context for place in swap], texts)
    people = np.array([pair.system == "gold" for pair in pairs])
    return {
        "replies": len(rated),
        "spearman": rounded(spearman(truth, found)),
        "within_prompt": rounded(grouped_spearman(truth, found, prompts)),
        "own_against_foreign": {
            name: {
                "replies": int(rows.sum()),
                "auc": rounded(
                    float(
                        roc_auc_score(
                            np.repeat([1, 0], rows.sum()), np.concatenate([own[rows], other[rows]])
                        )
                    )
                ),
                "pairs_won": rounded(float((own[rows] > other[rows]).mean())),
            }
            for name, rows in (("people", people), ("systems", ~people))
            if rows.any()
        },
    }


def released_pairs(upstream: Path) -> list[Pair]:
    """All released replies with their contexts. Raises DataError as `read_replies`."""
    return [as_pair(reply) for reply in read_replies(upstream)]


def as_pair(reply: CorpusReply) -> Pair:
    """A released reply with its context."""
    context = _context(reply.seeker_turns)
    return Pair(reply.conversation_id, reply.system, context, reply.text, reply.ratings)


def training_pairs(upstream: Path) -> list[Pair]:
    """The replies of the released training conversations. Raises DataError."""
    file = upstream / _TRAINING
    try:
        found = []
        for row in json.loads(file.read_text(encoding="utf-8")):
            name, messages = f"train/{row['conversation_id']}", row["conversation"]
            found += [
                Pair(name, "train", _context(seeker_turns(messages[:i])), text, None)
                for i, message in enumerate(messages)
                if i
                and message["role"] in ("supporter", "assistant")
                and stems(text := message["content"])
            ]
        return found
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{file}: not in the released form: {error!r}") from error


def _context(turns: Sequence[str]) -> str:
    return " ".join(turns[-2:])
