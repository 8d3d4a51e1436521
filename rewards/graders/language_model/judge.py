"""A second judge that reads: the lexical judge's manner, and what a language model expects.

Relevance is how much likelier the reply is after the last messages than after a bare greeting,
coherence how likely it is at all, both as mean log-probability a token. `embedded.join` says how
they and manner make one rating.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError
from rewards.graders.embedded.arrays import content_hash, read_arrays, require_finite
from rewards.graders.embedded.join import joined
from rewards.graders.embedded.parts import chance
from rewards.graders.language_model.model import ReplyModel
from rewards.graders.lexical.judge import LexicalJudge
from rewards.types import Failure, GraderIdentity, Message, Rating, Reply

WEIGHTS = "language_model.npz"
FEATURES = "likelihood-1"
"""What the weights belong to; raise the number with every change of `features`."""
LAST = 3
"""Messages of the conversation that the model reads."""
GREETING = (Message("seeker", "Hello."),)
"""The conversation that says nothing."""
PARTS = ("relevance", "coherence")
MEDIAN = "human_median"


class Likelihood(NamedTuple):
    """Mean log-probability of a reply's tokens, nats."""

    own: float
    """After the last messages of its conversation."""
    bare: float
    """After a greeting."""
    tokens: int
    """At least one."""


class LanguageModelJudge:
    """Rates replies on the CPU with a small causal language model; see the module."""

    def __init__(self, model: ReplyModel, weights: str | None = None) -> None:
        """`weights` is an .npz of `rewards.fit part=language_model`; None takes the shipped one.

        Raises ConfigError when it is unusable or was fitted for another model.
        """
        arrays, where = read_arrays(weights, WEIGHTS, "language model's weights")
        self._weights = _checked(arrays, where, model)
        median = float(arrays[MEDIAN]) if MEDIAN in arrays else np.nan
        self.human_median = None if np.isnan(median) else median
        """Of its ratings of people's replies; None where the weights do not know it."""
        self._model = model
        self._manner = LexicalJudge()
        self.identity = GraderIdentity(
            kind="judge",
            name="language_model",
            revision=content_hash(arrays),
            details={
                "features": FEATURES,
                "model": model.revision,
                "manner": self._manner.identity.revision,
            },
        )

    async def rate(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """As `grade_now`, in another thread."""
        return await asyncio.to_thread(self.grade_now, replies)

    def grade_now(self, replies: Sequence[Reply]) -> list[Rating | Failure]:
        """A rating for each reply, in order; Failure "empty" for one without a word."""
        found = self._manner.grade_now(replies)
        rated = [i for i, rating in enumerate(found) if isinstance(rating, Rating)]
        read = likelihoods(self._model, [replies[i] for i in rated])
        for i, likelihood in zip(rated, read, strict=True):
            lexical = found[i]
            assert isinstance(lexical, Rating)
            manner = Rating(dimensions=lexical.dimensions, aggregate=lexical.parts["manner"])
            found[i] = joined(manner, self._chances(likelihood, bool(replies[i].history)))
        return found

    def _chances(self, likelihood: Likelihood, has_context: bool) -> dict[str, float]:
        """Part -> chance in [0, 1]; no relevance without a conversation."""
        x = features(likelihood)
        names = PARTS if has_context else PARTS[1:]
        return {name: chance(self._weights[name], x[name]) for name in names}


def likelihoods(model: ReplyModel, replies: Sequence[Reply]) -> list[Likelihood]:
    """Of each reply, which has a word at least. A conversation is read once for all its replies."""
    groups: dict[tuple[Message, ...], list[int]] = {}
    for place, reply in enumerate(replies):
        groups.setdefault(reply.history[-LAST:] or GREETING, []).append(place)
    own: dict[int, NDArray[np.float32]] = {}
    for context, places in groups.items():
        scores = model.log_probabilities(context, [replies[place].text for place in places])
        own.update(zip(places, scores, strict=True))
    texts = list(dict.fromkeys(reply.text for reply in replies))
    alone = dict(zip(texts, model.log_probabilities(GREETING, texts), strict=True))
    return [
        Likelihood(float(own[place].mean()), float(alone[text].mean()), len(own[place]))
        for place, text in enumerate(reply.text for reply in replies)
    ]


def features(likelihood: Likelihood) -> dict[str, NDArray[np.float32]]:
    """Part -> what its logistic model looks at."""
    size = np.log(likelihood.tokens)
    gain = likelihood.own - likelihood.bare
    return {
        "relevance": np.array([gain, size], np.float32),
        "coherence": np.array([likelihood.own, size], np.float32),
    }


def load(path: str | None, weights: str | None) -> LanguageModelJudge:
    """The judge with the model of a folder. Raises ConfigError, naming the setting."""
    if not path:
        raise ConfigError(
            "mint.second_judge.kind=language_model needs mint.second_judge.path=FOLDER, a Hugging "
            "Face folder of a language model; python -m mint.convert output=FOLDER makes one"
        )
    return LanguageModelJudge(ReplyModel(Path(path).expanduser()), weights)


def _checked(
    arrays: dict[str, NDArray[Any]], where: str, model: ReplyModel
) -> dict[str, NDArray[np.float64]]:
    """The weights by part. Raises ConfigError when they are not for this code and this model."""
    missing = [name for name in (*PARTS, "features", "model") if name not in arrays]
    if missing:
        raise ConfigError(f"{where} lack {', '.join(missing)}")
    if str(arrays["features"]) != FEATURES:
        raise ConfigError(
            f"{where} were fitted for features {arrays['features']}, but {FEATURES} is in use; fit "
            "them with python -m rewards.fit part=language_model"
        )
    if str(arrays["model"]) != model.revision:
        raise ConfigError(
            f"{where} were fitted for the language model {str(arrays['model'])[:12]}, not for "
            f"{model.revision[:12]} of mint.second_judge.path; convert the model that "
            "docs/second-judge.md names, or fit with python -m rewards.fit part=language_model "
            "model=FOLDER output=FOLDER and set mint.second_judge.weights"
        )
    found = {name: arrays[name].astype(np.float64) for name in PARTS}
    expected = {name: x.shape[0] + 1 for name, x in features(Likelihood(0.0, 0.0, 1)).items()}
    for name, array in found.items():
        if array.shape != (expected[name],):
            raise ConfigError(f"{where}: {name} has shape {array.shape}, not ({expected[name]},)")
    require_finite(where, *found.values())
    return found
