"""Speed of the graders on invented replies of the demo's and of the paper's size."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mint.bench.stats import Spread, seconds, spread
from mint.config.schema import MintConfig
from mint.data.banks import Banks, fill, load_banks
from mint.shell.console import say
from mint.shell.paths import data_dir
from rewards.build import Graders, build_graders, find_encoder
from rewards.errors import DataError
from rewards.scorer import ReplyScorer, ScoringRequest
from rewards.tactics import NUM_TACTICS
from rewards.types import Message, Reply, Status

REPEATS = 3
PLAIN_BATCH = 64
"""Sentences a batch of sentence-transformers alone."""
_PATIENCE = 1000


@dataclass(frozen=True)
class Shape:
    """How many replies a training step has to grade, and how long they are."""

    name: str
    prompts: int
    replies_per_prompt: int
    sentences_per_reply: int

    @property
    def replies(self) -> int:
        return self.prompts * self.replies_per_prompt

    @property
    def sentences(self) -> int:
        return self.replies * self.sentences_per_reply


DEMO = Shape("demo step", 8, 8, 3)
PAPER = Shape("paper step", 24, 8, 9)


@dataclass(frozen=True)
class ShapeFigures:
    """Seconds to grade one training step of a shape."""

    shape: Shape
    cold: Spread
    """Texts never seen before."""
    warm: Spread
    """The same texts again."""
    plain_encode: Spread
    """sentence-transformers alone on as many unseen sentences, without splitting or grading."""


@dataclass(frozen=True)
class GraderFigures:
    """Speed of the graders in this process; texts are new to the cache unless "warm"."""

    sentences_tagged_per_s: Spread
    replies_judged_per_s: Spread
    plain_sentences_per_s: Spread
    """sentence-transformers' encode alone."""
    shapes: list[ShapeFigures]
    threads: int
    """Threads of torch."""


def measure(mint: MintConfig, repeats: int = REPEATS) -> GraderFigures:
    """Time the configured graders. Raises what building them raises."""
    import torch

    say("loading the graders")
    graders = build_graders(mint.encoder, mint.tagger, mint.judge)
    texts = sentence_source(load_banks(data_dir()), seed=0)
    encode = _plain_encoder(mint)
    warm_up = take(texts, 128)
    encode(warm_up)
    asyncio.run(graders.tagger.tag([Reply(history=(), text=" ".join(warm_up))]))

    shapes = []
    for shape in (DEMO, PAPER):
        say(f"grading a {shape.name}: {shape.replies} replies, {shape.sentences} sentences")
        shapes.append(_measure_shape(shape, graders, encode, texts, repeats))
    say("tagging and judging by themselves")

    def alone(grade: Callable[[list[Reply]], Coroutine[Any, Any, object]]) -> Spread:
        batches = (_replies(PAPER, texts) for _ in range(repeats))
        return spread([seconds(lambda r: asyncio.run(grade(r)), batch) for batch in batches])

    return GraderFigures(
        sentences_tagged_per_s=alone(graders.tagger.tag).rate(PAPER.sentences),
        replies_judged_per_s=alone(graders.judge.rate).rate(PAPER.replies),
        plain_sentences_per_s=shapes[-1].plain_encode.rate(PAPER.sentences),
        shapes=shapes,
        threads=torch.get_num_threads(),
    )


def _measure_shape(
    shape: Shape,
    graders: Graders,
    encode: Callable[[list[str]], object],
    texts: Iterator[str],
    repeats: int,
) -> ShapeFigures:
    scorer = ReplyScorer(*graders, surprisals=())
    cold, warm, plain = [], [], []
    for _ in range(repeats):
        requests = make_requests(shape, texts)
        cold.append(seconds(_score, scorer, requests))
        warm.append(seconds(_score, scorer, requests))
        plain.append(seconds(encode, take(texts, shape.sentences)))
    return ShapeFigures(shape, spread(cold), spread(warm), spread(plain))


def make_requests(shape: Shape, texts: Iterator[str]) -> list[ScoringRequest]:
    """One step's replies, siblings side by side, every sentence used once."""
    requests = []
    for _ in range(shape.prompts):
        history = (Message("seeker", " ".join(take(texts, 2))),)
        for _ in range(shape.replies_per_prompt):
            reply = " ".join(take(texts, shape.sentences_per_reply))
            requests.append(
                ScoringRequest(
                    raw_reply=reply,
                    history=history,
                    previous_counts=(0.0,) * NUM_TACTICS,
                    history_tactics=(),
                    num_tokens=len(reply.split()),
                    truncated=False,
                )
            )
    return requests


def sentence_source(banks: Banks, seed: int) -> Iterator[str]:
    """Sentences of the banks with their slots filled, all different, until hardly any is new."""
    rng = random.Random(seed)
    feelings = sorted({feeling for s in banks.scenarios for feeling in s.feelings})
    events = sorted({s.event for s in banks.scenarios})
    templates = [sentence for bank in banks.sentences.values() for sentence in bank]
    seen: set[str] = set()
    repeated = 0
    while repeated < _PATIENCE:
        slots = {"feeling": rng.choice(feelings), "event": rng.choice(events)}
        sentence = fill(rng.choice(templates), slots)
        repeated = repeated + 1 if sentence in seen else 0
        if not repeated:
            seen.add(sentence)
            yield sentence


def take(texts: Iterator[str], number: int) -> list[str]:
    """The next `number` sentences; DataError when there are not so many left."""
    taken = list(islice(texts, number))
    if len(taken) < number:
        raise DataError("the sentence banks are too small for a benchmark of this length")
    return taken


def _replies(shape: Shape, texts: Iterator[str]) -> list[Reply]:
    return [
        Reply(history=request.history, text=request.raw_reply)
        for request in make_requests(shape, texts)
    ]


def _score(scorer: ReplyScorer, requests: Sequence[ScoringRequest]) -> None:
    signals = asyncio.run(scorer.score(requests))
    bad = [s.reason for s in signals if s.status is not Status.OK]
    if bad:
        raise DataError(f"{len(bad)} of {len(signals)} replies were not graded: {bad[0]}")


def _plain_encoder(mint: MintConfig) -> Callable[[list[str]], object]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(find_encoder(mint.encoder)), device="cpu")
    return lambda texts: model.encode(texts, batch_size=PLAIN_BATCH, show_progress_bar=False)
