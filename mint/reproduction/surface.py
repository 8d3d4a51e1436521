"""Repetition of wording beside repetition of tactics, also in the training conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mint.evaluation.surface import bigram_overlap, bleu_2, tokens
from mint.reproduction.published import Published, SurfaceRow
from mint.reproduction.read import read_json
from rewards.errors import DataError

TRAINING = Path("data/training/conversations_322.json")


@dataclass(frozen=True, kw_only=True)
class SurfaceCheck:
    """A published row with what is observed; a column that cannot be computed is absent."""

    row: SurfaceRow
    observed: Mapping[str, float]
    missing: str
    """Why columns are absent; "" when only BERTScore is."""


def check_surface(
    published: Published, upstream: Path, observed: Mapping[str, Mapping[str, float]], pairs: int
) -> list[SurfaceCheck]:
    """Every published row. `observed` is folder -> metric -> value over `pairs` pairs of turns."""
    training = _read_training(upstream / TRAINING)
    return [_check(row, training, observed, pairs) for row in published.surface]


def _check(
    row: SurfaceRow,
    training: Mapping[str, list[tuple[str, str]]] | None,
    observed: Mapping[str, Mapping[str, float]],
    pairs: int,
) -> SurfaceCheck:
    if row.system:
        if row.system not in observed:
            return SurfaceCheck(row=row, observed={}, missing=f"{row.system} is missing")
        names = ("bigram_overlap", "bleu_2", "stickiness")
        values = {name: observed[row.system][name] for name in names}
        return SurfaceCheck(row=row, observed={**values, "pairs": float(pairs)}, missing="")
    if training is None:
        return SurfaceCheck(row=row, observed={}, missing=f"{TRAINING} is missing")
    texts = [pair for model in row.models if model in training for pair in training[model]]
    if not texts:
        return SurfaceCheck(row=row, observed={}, missing=f"no turn by {row.models[0]}")
    words = [(tokens(now), tokens(before)) for before, now in texts]
    return SurfaceCheck(
        row=row,
        observed={
            "bigram_overlap": sum(bigram_overlap(*pair) for pair in words) / len(words),
            "bleu_2": sum(bleu_2(*pair) for pair in words) / len(words),
            "pairs": float(len(words)),
        },
        missing="the tagged training conversations are not among the released files here",
    )


def _read_training(file: Path) -> dict[str, list[tuple[str, str]]] | None:
    """Model -> adjacent supporter turns (before, now); None when there is no such file."""
    if not file.is_file():
        return None
    found: dict[str, list[tuple[str, str]]] = {}
    conversations = read_json(file)
    if not isinstance(conversations, list):
        raise DataError(f"{file}: expected a list of conversations")
    for number, conversation in enumerate(conversations, 1):
        try:
            turns = _supporter_turns(conversation["conversation"])
            found.setdefault(conversation["model"], []).extend(pairwise(turns))
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{file}: entry {number} needs model and conversation with role and content: "
                f"{error!r}"
            ) from error
    return found


def _supporter_turns(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(m["content"]) for m in messages if m["role"] == "supporter"]
