"""Work of the graders in a step, and how long the last replies wait for it."""

from __future__ import annotations

from typing import NamedTuple

from mint.planning.items import Item
from mint.planning.lengths import Lengths
from mint.planning.settings import RunSettings
from rewards.tactics import NUM_TACTICS

TOKENS_A_SENTENCE = 14.0
"""Measured in the demo: 42 tokens in 3 sentences."""
_MOST_SENTENCES = 9
"""Of a reply in the paper's experiments."""
SENTENCES_A_SECOND = 310.0
"""Of the embedded tagger on one thread (docs/performance.md)."""
_BATCH = 64
"""Replies that are graded in one call at most (mint.grading.max_batch)."""


class GraderLoad(NamedTuple):
    """Grading of a step."""

    items: tuple[Item, ...]
    seconds: float
    """In all; most of it passes during generation. 0 for graders on servers: not known here."""
    tail: float
    """Seconds after the last reply."""


def grader_load(run: RunSettings, lengths: Lengths, threads: int) -> GraderLoad:
    """`threads`: those the embedded graders compute with."""
    visible = lengths.reply * (0.35 if run.thinking else 1)
    sentences = max(1, min(_MOST_SENTENCES, round(visible / TOKENS_A_SENTENCE)))
    total = run.all_replies * sentences
    items = [Item("sentences", total, f"{run.all_replies} replies x {sentences}")]
    requests = 0
    if run.tagger == "served_lora":
        requests += total * NUM_TACTICS
    elif run.tagger.startswith("served"):
        requests += run.all_replies
    if run.judge not in ("embedded", "lexical"):
        requests += run.all_replies
    if requests:
        words = f"{run.tagger} tagger and {run.judge} judge on servers"
        items.append(Item("requests", requests, words))
    if run.tagger.startswith("served"):
        return GraderLoad(tuple(items), 0.0, 0.0)
    rate = SENTENCES_A_SECOND * threads
    seconds = total / rate
    tail = min(1.0, _BATCH / run.all_replies) * seconds
    words = f"{total:,} sentences / ({SENTENCES_A_SECOND:.0f} a second x {threads} threads)"
    items.append(Item("seconds, beside generation", seconds, words))
    return GraderLoad(tuple(items), seconds, tail)
