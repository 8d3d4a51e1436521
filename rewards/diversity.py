"""Novelty terms of the MINT reward (arXiv 2604.11742): pure functions of tactic counts.

K = 10 tactics, a = alpha. Everything is in nats. With c the sentence counts of the current reply
and h those of the previous supporter turn:

    P_k = (h_k + a) / (sum h + K a)        previous turn; uniform when h is empty
    Q_k = (c_k + a) / (sum c + K a)        current reply
    D_KL = min(sum_k Q_k ln(Q_k / P_k), KL_CAP)
    H    = -sum_{c_k > 0} p_k ln p_k       with p_k = c_k / sum c

An empty reply is never novel: every term is 0 for it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import product

from rewards.tactics import NUM_TACTICS, Counts, count_vector

ALPHA = 0.1
KL_CAP = 5.0

Ngram = tuple[str, ...]


def kl_divergence(previous: Counts | None, current: Counts | None, alpha: float = ALPHA) -> float:
    """D_KL(current || previous) over smoothed tactic counts, in [0, 5] nats; higher is more novel.

    `previous` and `current` are mappings {tactic: count} or ten counts in taxonomy order; an empty
    or None `previous` means a first turn (uniform P). 0 when `current` is empty. `alpha` > 0 is
    the pseudo-count of every tactic.

    >>> round(kl_divergence({"validation": 1}, {"advice": 1}), 6)
    1.198948
    """
    _check_alpha(alpha)
    h, c = count_vector(previous), count_vector(current)
    if sum(c) == 0:
        return 0.0
    p, q = _smooth(h, alpha), _smooth(c, alpha)
    divergence = sum(qk * math.log(qk / pk) for qk, pk in zip(q, p, strict=True))
    return min(max(divergence, 0.0), KL_CAP)


def entropy(counts: Counts | None) -> float:
    """Entropy of the reply's tactic distribution, in [0, ln 10] nats; higher is more varied.

    >>> round(entropy({"validation": 1, "questioning": 1}), 6)
    0.693147
    """
    c = count_vector(counts)
    total = sum(c)
    if total == 0:
        return 0.0
    return -sum(ck / total * math.log(ck / total) for ck in c if ck > 0) + 0.0


def ngram_surprisal(
    history: Mapping[Ngram, float],
    sentence_tactics: Sequence[Collection[str]],
    order: int,
    alpha: float = ALPHA,
) -> float:
    """Mean surprisal of tactic transitions between neighbouring sentences, in nats, >= 0.

    `history` counts the transitions of the conversation so far, n-grams of length `order`: (a, b)
    for 2, where the mean runs over every pair (a in sentence j, b in sentence j + 1), and (a, b, c)
    for 3, of which the first two are the context. 0 when the reply has too few sentences.
    """
    _check_alpha(alpha)
    context_totals: defaultdict[Ngram, float] = defaultdict(float)
    for ngram, count in history.items():
        context_totals[ngram[:-1]] += count
    surprisals = []
    for start in range(len(sentence_tactics) - order + 1):
        for ngram in product(*sentence_tactics[start : start + order]):
            seen = history.get(ngram, 0.0)
            total = context_totals[ngram[:-1]]
            surprisals.append(-math.log((seen + alpha) / (total + NUM_TACTICS * alpha)))
    return sum(surprisals) / len(surprisals) if surprisals else 0.0


def history_ngrams(turns: Sequence[Sequence[Sequence[str]]], order: int) -> Counter[Ngram]:
    """Counts of tactic n-grams over earlier supporter turns.

    `turns` is turn -> sentence -> tactics. As in the paper's code, the tactics of one turn are
    flattened to a single sequence (within and across sentences) before counting.
    """
    counts: Counter[Ngram] = Counter()
    for sentences in turns:
        flat = [tactic for tactics in sentences for tactic in tactics]
        counts.update(zip(*(flat[i:] for i in range(order)), strict=False))
    return counts


def _smooth(counts: Sequence[float], alpha: float) -> list[float]:
    total = sum(counts) + NUM_TACTICS * alpha
    return [(count + alpha) / total for count in counts]


def _check_alpha(alpha: float) -> None:
    if not alpha > 0:
        raise ValueError(f"alpha must be > 0 (pseudo-count of a tactic), got {alpha}")
