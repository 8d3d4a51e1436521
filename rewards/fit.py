"""Fit the embedded graders to the public MINT outputs: `python -m rewards.fit upstream=PATH`.

    upstream  folder of the public MINT repository (required)
    output    where adapter, heads and cards go (default: the weights that ship with this package)
    comments  folder of GoEmotions, train.tsv and labels.txt (default: goemotions beside upstream)
    pairs     folder of good and bad replies (default: data/bad_replies)
    authored  folder of the project's own replies with tactics (default: data/annotated_replies)
    canaries  bad replies that the judges' cards measure (default: data/bad_replies/canaries.jsonl)
    annotated folder of sentences in people's way of writing (default: data/annotated_sentences)
    encoder   folder of a sentence-transformers model (default: the installed all-MiniLM-L6-v2)
    name      name of that model (default: sentence-transformers/all-MiniLM-L6-v2)
    epochs    passes over the replies (default 2)
    seed      of folds, batches, resamples and degenerate replies (default 0)
    part      all (default); parts: relevance, coherence and harm alone, five minutes; second: the
              second judge alone, ten seconds; language_model: the few numbers of the second judge
              that asks a language model, three minutes, and not among all
    model     folder of that language model, of python -m mint.convert

Writes second_judge.npz (`rewards.fitting.second`; half of the conversations, measured on the other
half), adapter.npz (a low-rank change of the encoder), tagger.npz and judge.npz (heads), parts.npz
(relevance, coherence and harm, on the encoder without its change), and a .json card beside all but
the adapter with everything that was measured. Four fits measure, each on conversations and systems
that it has not seen; a fifth on everything is what is written. Half an hour on two free cores.
Equal arguments give equal weights on one machine.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards.build import DEFAULT_ENCODER, EncoderConfig, find_encoder
from rewards.errors import ConfigError, MintError
from rewards.fitting.corpus import agreement, read_corpus
from rewards.fitting.crossfit import cross_fit, judge_of
from rewards.fitting.finetune import TrainingSettings
from rewards.fitting.fitter import FitSettings, Fitter
from rewards.fitting.joined_card import joined_figures
from rewards.fitting.likelihoods import fit_likelihoods
from rewards.fitting.parts_fit import fit_parts, gather
from rewards.fitting.publish import publish, publish_parts
from rewards.fitting.rated_pairs import rated_pairs
from rewards.fitting.second import fit_second
from rewards.fitting.talks import read_talks
from rewards.graders.embedded.encoder import ContextEncoder
from rewards.graders.embedded.parts import SHIPPED as PARTS_FILE
from rewards.graders.language_model.model import ReplyModel

_log = logging.getLogger(__name__)
_PACKAGE_WEIGHTS = Path(__file__).parent / "graders" / "weights"
_AUTHORED = Path(__file__).parents[1] / "data" / "annotated_replies"
_PAIRS = Path(__file__).parents[1] / "data" / "bad_replies"
_CANARIES = _PAIRS / "canaries.jsonl"
_PARTS = ("all", "parts", "second", "language_model")
_ANNOTATED = Path(__file__).parents[1] / "data" / "annotated_sentences"
_NUMBERS = {"epochs": 1, "seed": 0}
"""Whole-number keys and their lowest value."""


@dataclass(frozen=True, kw_only=True)
class FitCommand:
    """Arguments of the command."""

    upstream: Path
    output: Path = _PACKAGE_WEIGHTS
    authored: Path = _AUTHORED
    comments: Path | None = None
    pairs: Path = _PAIRS
    canaries: Path = _CANARIES
    annotated: Path = _ANNOTATED
    encoder: Path | None = None
    name: str = DEFAULT_ENCODER
    epochs: int = TrainingSettings.epochs
    seed: int = FitSettings.seed
    part: str = "all"
    model: Path | None = None


def main(argv: Sequence[str]) -> int:
    """Exit status of the command."""
    return start(argv, __doc__, run)


def start(argv: Sequence[str], about: str | None, work: Callable[[FitCommand], None]) -> int:
    """Exit status of a command with these keys; `about` is its help."""
    if {"-h", "--help"} & set(argv):
        print(about)
        return 0
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        work(parse(argv))
    except MintError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def run(command: FitCommand) -> None:
    """Fit, measure and write. Raises ConfigError or DataError for unusable arguments or files."""
    if command.part in ("all", "second"):
        fit_second(command.upstream, command.output, command.canaries, command.seed)
        _log.info("wrote the second judge to %s", command.output)
    if command.part == "language_model":
        _fit_likelihoods(command)
        return
    path = None if command.encoder is None else str(command.encoder)
    folder = find_encoder(EncoderConfig(path=path, name=command.name))
    if command.part in ("all", "parts"):
        _fit_parts(command, folder)
    if command.part == "all":
        _fit_heads(command, folder)


def _fit_likelihoods(command: FitCommand) -> None:
    """Relevance and coherence of a language model."""
    if command.model is None:
        raise ConfigError(
            "part=language_model needs model=DIR; python -m mint.convert output=DIR makes one"
        )
    model = ReplyModel(command.model)
    fit_likelihoods(command.upstream, model, command.output, command.canaries, command.seed)
    _log.info("wrote the language model's weights to %s", command.output)


def _fit_parts(command: FitCommand, folder: Path) -> None:
    """Relevance, coherence and harm."""
    talks = read_talks(command.upstream, command.pairs)
    sources = gather(talks, command.comments or command.upstream.parent / "goemotions")
    plain = ContextEncoder(folder, name=command.name, adapter=None, cache_size=30_000)
    arrays, figures = fit_parts(plain, sources, command.seed)
    publish_parts(arrays, figures, plain.identity, command.seed, command.output)
    _log.info("wrote %s to %s", PARTS_FILE, command.output)


def _fit_heads(command: FitCommand, folder: Path) -> None:
    """Adapter, tactic heads and rating heads."""
    corpus = read_corpus(command.upstream, command.authored, command.annotated)
    share = 100 * agreement(corpus.replies)
    _log.info("%d replies; %.2f%% split as released", len(corpus.replies), share)
    settings = FitSettings(
        training=TrainingSettings(epochs=command.epochs, seed=command.seed), seed=command.seed
    )
    fitter = Fitter(folder, command.name, settings, corpus.annotated)
    pairs = rated_pairs(read_talks(command.upstream, command.pairs))
    held_out = cross_fit(fitter, corpus.replies, corpus.authored, progress, pairs)
    fit = fitter.fit(corpus.replies, corpus.authored, progress("all replies"), pairs)
    whole = judge_of(fit, str(command.output / PARTS_FILE))
    with_parts = joined_figures(whole, corpus.replies, command.canaries)
    publish(fit, held_out, corpus, settings, command.output, with_parts)
    _log.info("wrote adapter, heads and cards to %s", command.output)


def parse(argv: Sequence[str]) -> FitCommand:
    """Settings from key=value arguments. Raises ConfigError for a key or value not allowed."""
    given: dict[str, Any] = {}
    for argument in argv:
        key, sep, value = argument.partition("=")
        if not sep or key not in FitCommand.__dataclass_fields__:
            allowed = ", ".join(FitCommand.__dataclass_fields__)
            raise ConfigError(f"expected key=value with a key of {allowed}; got {argument!r}")
        takes_path = "Path" in str(FitCommand.__dataclass_fields__[key].type)
        given[key] = Path(value) if takes_path else value
    if "upstream" not in given:
        raise ConfigError("missing upstream=PATH, the folder of the public MINT repository")
    if given.get("part", "all") not in _PARTS:
        raise ConfigError(f"part must be one of {', '.join(_PARTS)}, got {given['part']!r}")
    for key, lowest in _NUMBERS.items():
        if key in given:
            if not given[key].isdecimal() or int(given[key]) < lowest:
                raise ConfigError(f"{key} must be a number >= {lowest}, got {given[key]!r}")
            given[key] = int(given[key])
    return FitCommand(**given)


def progress(name: str) -> Callable[[int, int], None]:
    """A function that logs how far a fit is, about ten times, with the time it will still take."""
    started = time.monotonic()
    shown = 0

    def advance(done: int, total: int) -> None:
        nonlocal shown
        if done * 10 // total > shown or done == total:
            shown = done * 10 // total
            left = (time.monotonic() - started) / done * (total - done)
            _log.info("%s: %d of %d steps, %.0f s left", name, done, total, left)

    return advance


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
