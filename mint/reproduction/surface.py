"""Repetition of wording beside repetition of tactics, also in the training conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mint.evaluation.metrics.bert_score import Score
from mint.evaluation.metrics.overlap import bigram_overlap, bleu_2, tokens
from mint.reproduction.panel import Panel
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
    """Why columns other than BERTScore are absent; "" when none is."""


def check_surface(
    published: Published,
    upstream: Path,
    panel: Panel,
    stickiness: Mapping[str, float],
    bert: Score | None,
) -> list[SurfaceCheck]:
    """Every published row, with `stickiness` by folder; BERTScore only with `bert`."""
    training = _read_training(upstream / TRAINING)
    checks = []
    for row in published.surface:
        pairs, missing = _system_pairs(panel, row) if row.system else _model_pairs(training, row)
        observed = _likeness(pairs, bert) if pairs else {}
        if row.system in stickiness:
            observed["stickiness"] = stickiness[row.system]
        checks.append(SurfaceCheck(row=row, observed=observed, missing=missing))
    return checks


def _likeness(pairs: Sequence[tuple[str, str]], bert: Score | None) -> dict[str, float]:
    """Means over pairs of a turn and the turn before."""
    words = [(tokens(now), tokens(before)) for now, before in pairs]
    found = {
        "bigram_overlap": sum(bigram_overlap(*pair) for pair in words) / len(words),
        "bleu_2": sum(bleu_2(*pair) for pair in words) / len(words),
        "pairs": float(len(words)),
    }
    if bert is not None:
        found["bertscore"] = float(bert(pairs).mean())
    return found


def _system_pairs(panel: Panel, row: SurfaceRow) -> tuple[list[tuple[str, str]], str]:
    """A system's reply and the person's turn before."""
    for system in panel.systems:
        if system.name.folder == row.system:
            places = zip(panel.turns.later_P, panel.turns.earlier_P, strict=True)
            return [(system.texts[n], panel.reference.texts[m]) for n, m in places], ""
    return [], f"{row.system} is missing"


def _model_pairs(
    training: Mapping[str, list[tuple[str, str]]] | None, row: SurfaceRow
) -> tuple[list[tuple[str, str]], str]:
    """Adjacent supporter turns of the training conversations."""
    if training is None:
        return [], f"no {TRAINING.name}"
    pairs = [
        (now, before)
        for model in row.models
        if model in training
        for before, now in training[model]
    ]
    return pairs, "turns without tags" if pairs else f"no turn by {row.models[0]}"


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
            messages = conversation["conversation"]
            turns = [str(m["content"]) for m in messages if m["role"] == "supporter"]
            found.setdefault(conversation["model"], []).extend(pairwise(turns))
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{file}: entry {number} needs model and conversation with role and content: "
                f"{error!r}"
            ) from error
    return found
