"""Fitting of the embedded graders: one adapted encoder, heads for tactics and for ratings.

`Fitter.fit` learns from some replies; `rewards.fitting.crossfit` measures such fits on others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from rewards.fitting.annotated import AnnotatedSentence
from rewards.fitting.corpus import CorpusReply
from rewards.fitting.degenerate import Labelled, labelled
from rewards.fitting.finetune import Example, TrainingSettings, fine_tune
from rewards.fitting.metrics import Bools, Floats
from rewards.fitting.tactic_heads import HeadSettings, fit_heads, gather
from rewards.graders.embedded.adapter import Adapter, save_adapter
from rewards.graders.embedded.encoder import ContextEncoder, load_model, weights_hash
from rewards.graders.embedded.judge import manner_features
from rewards.graders.embedded.sentence_cues import tagger_features
from rewards.graders.embedded.windows import Window
from rewards.protocols import Encoder, SplitReply
from rewards.tactics import TACTIC_NAMES


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How the embedded graders are fitted; part of every card."""

    training: TrainingSettings = field(default_factory=TrainingSettings)
    authored_weight: float = 1.0
    """Weight of a sentence of the project's own replies beside a released one."""
    degenerate: int = 40
    """Degenerate replies of each kind that are mixed in."""
    ridge: float = 1000.0
    """Strength of the rating heads' L2 penalty, on standardised features."""
    members: int = 8
    """Rating heads fitted on resampled conversations; their disagreement is the uncertainty."""
    heads: HeadSettings = field(default_factory=HeadSettings)
    """Of tactics, fitted after the encoder."""
    seed: int = 0


class Linear(NamedTuple):
    """Linear heads: score = coef . x + intercept."""

    coef: Floats
    """[members, outputs, features]"""
    intercept: Floats
    """[members, outputs]"""

    def scores(self, x: NDArray[np.float32]) -> Floats:
        """[n, outputs], mean over members."""
        result: Floats = x @ self.coef.mean(axis=0).T + self.intercept.mean(axis=0)
        return result


class Fit(NamedTuple):
    """One fitted encoder with its heads."""

    adapter: Adapter
    encoder: ContextEncoder
    tactics: Linear
    ratings: Linear


class Fitter:
    """Fits graders on top of the encoder in one folder."""

    def __init__(
        self,
        folder: Path,
        name: str,
        settings: FitSettings,
        annotated: Sequence[AnnotatedSentence] = (),
    ) -> None:
        """`annotated` takes part in every fit of tactic heads, never in one of the encoder.

        Raises ConfigError when `folder` holds no encoder.
        """
        self._annotated = annotated
        self._folder, self._name, self.settings = folder, name, settings
        self._plain = self._encoder(None)

    def fit(
        self,
        replies: Sequence[CorpusReply],
        authored: Sequence[CorpusReply],
        advance: Callable[[int, int], None],
        pairs: Sequence[Labelled] = (),
    ) -> Fit:
        """Encoder and heads learnt from `replies`, the authored ones, degenerate ones, `pairs`."""
        made = labelled(
            [reply for reply in replies if reply.ratings is not None],
            self.settings.degenerate,
            self.settings.seed,
        )
        bad = [*made, *pairs]
        examples = self.examples(replies, authored, bad)
        model = load_model(self._folder, num_threads=None)[1]
        trained = fine_tune(model, examples, self.settings.training, advance)
        with tempfile.TemporaryDirectory() as folder:
            adapter = save_adapter(
                trained.modules,
                trained.scale,
                self._name,
                weights_hash(self._folder),
                Path(folder) / "adapter.npz",
            )
        encoder = self._encoder(adapter)
        ratings = self._fit_ratings(encoder, replies, bad)
        known = gather(encoder, replies, authored, self._annotated)
        coef, intercept = fit_heads(known, self.settings.heads)
        tactics = Linear(coef[None], intercept[None])
        return Fit(adapter, encoder, tactics, ratings)

    def windows(self, replies: Sequence[SplitReply]) -> list[Window]:
        """Token windows of the encoder."""
        return self._plain.windows(replies)

    def _encoder(self, adapter: Adapter | None) -> ContextEncoder:
        # Cached, because the same replies are read for heads, thresholds and figures.
        return ContextEncoder(self._folder, name=self._name, adapter=adapter, cache_size=10_000)

    def examples(
        self,
        replies: Sequence[CorpusReply],
        authored: Sequence[CorpusReply],
        bad: Sequence[Labelled],
    ) -> list[Example]:
        """What the encoder is fine-tuned on: replies by themselves, as every grader reads them."""
        rated = np.array([r.ratings for r in replies if r.ratings is not None])
        mean, scale = rated.mean(axis=0), rated.std(axis=0) + 1e-6
        known = [
            *((split(r), r.tactics, r.ratings, 1.0) for r in replies),
            *((split(r), r.tactics, None, self.settings.authored_weight) for r in authored),
            *((_split_bad(item), None, item.ratings, 1.0) for item in bad),
        ]
        examples: list[Example] = []
        for reply, tactics, ratings, weight in known:
            wanted = None
            if ratings is not None:
                wanted = ((np.array(ratings) - mean) / scale).astype(np.float32)
            examples += self._of(reply, tactics, wanted, weight)
        return examples

    def _of(
        self,
        reply: SplitReply,
        tactics: tuple[frozenset[str], ...] | None,
        ratings: NDArray[np.float32] | None,
        weight: float,
    ) -> list[Example]:
        truth = None if tactics is None else indicator(tactics).astype(np.float32)
        examples = []
        for number, window in enumerate(self.windows([reply._replace(seeker_turn="")])):
            held = tuple(dict.fromkeys(s for s in window.sentence_of if s >= 0))
            examples.append(
                Example(
                    window=window,
                    sentences=held,
                    tactics=None if truth is None else truth[list(held)],
                    # A rating is about the whole reply; its first window has most of it.
                    ratings=ratings if number == 0 else None,
                    weight=weight,
                )
            )
        return examples

    def _fit_ratings(
        self, encoder: ContextEncoder, replies: Sequence[CorpusReply], bad: Sequence[Labelled]
    ) -> Linear:
        rated = [reply for reply in replies if reply.ratings is not None]
        x = rating_features(encoder, [split(reply) for reply in rated])
        x_bad = rating_features(encoder, [_split_bad(item) for item in bad])
        y = np.array([reply.ratings for reply in rated])
        y_bad = np.array([item.ratings for item in bad]).reshape(-1, y.shape[1])
        mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-3
        names, member = np.unique([r.conversation_id for r in rated], return_inverse=True)
        rng = np.random.default_rng(self.settings.seed)
        coefs, intercepts = [], []
        for _ in range(self.settings.members):
            drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)))
            weight = np.concatenate([drawn[member].astype(float), np.ones(len(x_bad))])
            model = Ridge(alpha=self.settings.ridge).fit(
                (np.vstack([x, x_bad]) - mean) / scale, np.vstack([y, y_bad]), weight
            )
            coefs.append(model.coef_ / scale)
            intercepts.append(model.intercept_ - (model.coef_ / scale) @ mean)
        return Linear(np.array(coefs), np.array(intercepts))


def split(reply: CorpusReply) -> SplitReply:
    """The reply as the encoder reads it."""
    return SplitReply(reply.seeker_turn.strip(), reply.sentences)


def _split_bad(item: Labelled) -> SplitReply:
    return SplitReply(item.reply.seeker_turn, item.reply.sentences)


def rating_features(encoder: ContextEncoder, replies: Sequence[SplitReply]) -> Floats:
    """[replies, features] of the judge."""
    return manner_features(encoder, replies).astype(np.float64)


def indicator(tactics: Sequence[frozenset[str]]) -> Bools:
    """[sentences, tactics]: which sentence carries which tactic."""
    return np.array([[name in found for name in TACTIC_NAMES] for found in tactics], bool)


def tactic_labels(replies: Sequence[CorpusReply], rows: NDArray[np.int64]) -> Bools:
    """[sentences, tactics] of the replies in `rows`, which all have tactics."""
    return np.concatenate([indicator(replies[i].tactics or ()) for i in rows])


def sentence_features(encoder: Encoder, replies: Sequence[tuple[str, ...]]) -> NDArray[np.float32]:
    """[all sentences, features] of the tagger, for replies as tuples of sentences."""
    encoded = encoder.encode([SplitReply("", sentences) for sentences in replies])
    vectors = np.concatenate([reply.sentences_SD for reply in encoded])
    return tagger_features(vectors, [text for sentences in replies for text in sentences])


def calibrate(truth: Bools, scores: Floats) -> Floats:
    """Slope and shift [tactics, 2] that turn held-out scores into probabilities (Platt scaling).

    A tactic without both classes keeps slope 1 and shift 0.
    """
    result = np.tile([1.0, 0.0], (truth.shape[1], 1))
    for k in range(truth.shape[1]):
        if truth[:, k].any() and not truth[:, k].all():
            model = LogisticRegression(C=1e4).fit(scores[:, k : k + 1], truth[:, k])
            result[k] = max(float(model.coef_[0, 0]), 1e-3), float(model.intercept_[0])
    return result
