"""Fits the embedded graders on released MINT outputs: heads (.npz) and metric cards (.json).

    python -m rewards.fit upstream=PATH [output=DIR] [seed=0] [part=both|tagger|judge]

upstream  folder of the public MINT repository
output    where tagger.npz, judge.npz and their cards go (default: the package's own weights)
seed      assigns conversations to folds and draws the degenerate replies (default 0)
part      which grader to fit (default both)

Figures come from five-fold cross-validation over conversations: the same 50 conversations occur
in every system, so a conversation is held out of all systems at once. The heads that are written
are fitted on all conversations afterwards, at the settings the cross-validation measured. Takes
about six minutes on two cores, most of it for sentence vectors.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards.build import EncoderConfig, build_encoder
from rewards.errors import ConfigError, MintError
from rewards.graders.corpus import agreement, read_human_sentences, read_replies
from rewards.graders.fitting import Fitted, fit_judge, fit_tagger
from rewards.graders.heads import save_heads

PARTS = ("both", "tagger", "judge")

_log = logging.getLogger(__name__)
_PACKAGE_WEIGHTS = Path(__file__).parent / "graders" / "weights"


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Arguments of the command."""

    upstream: Path
    output: Path = _PACKAGE_WEIGHTS
    seed: int = 0
    part: str = "both"


def main(argv: Sequence[str]) -> int:
    """Exit status of the command."""
    if {"-h", "--help"} & set(argv):
        print(__doc__)
        return 0
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        settings = parse(argv)
        replies = read_replies(settings.upstream)
        _log.info("%d replies; %.2f%% split as released", len(replies), 100 * agreement(replies))
        encoder = build_encoder(EncoderConfig(cache_size=100_000))
        if settings.part in ("both", "tagger"):
            people = read_human_sentences(settings.upstream)
            _save("tagger", fit_tagger(replies, people, encoder, settings.seed), settings)
        if settings.part in ("both", "judge"):
            _save("judge", fit_judge(replies, encoder, settings.seed), settings)
    except MintError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parse(argv: Sequence[str]) -> FitSettings:
    """Settings from key=value arguments. Raises ConfigError for a key or value not allowed."""
    given: dict[str, Any] = {}
    for argument in argv:
        key, sep, value = argument.partition("=")
        if not sep or key not in FitSettings.__dataclass_fields__:
            allowed = ", ".join(FitSettings.__dataclass_fields__)
            raise ConfigError(f"expected key=value with a key of {allowed}; got {argument!r}")
        given[key] = Path(value) if key in ("upstream", "output") else value
    if "upstream" not in given:
        raise ConfigError("missing upstream=PATH, the folder of the public MINT repository")
    if "seed" in given:
        if not given["seed"].isdecimal():
            raise ConfigError(f"seed must be a number >= 0, got {given['seed']!r}")
        given["seed"] = int(given["seed"])
    settings = FitSettings(**given)
    if settings.part not in PARTS:
        raise ConfigError(f"part must be one of {', '.join(PARTS)}, got {settings.part!r}")
    return settings


def _save(part: str, fitted: Fitted, settings: FitSettings) -> None:
    path = settings.output / f"{part}.npz"
    save_heads(fitted.heads, fitted.card, path)
    _log.info("%s: wrote %s and its card", part, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
