"""How far the embedded graders err, from the cards of their weights: said beside every figure,
because no interval holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rewards.graders.embedded.heads import shipped_card

JUDGE_BLOCK = "unseen_both"
"""Block of the judge's card: replies of systems and conversations it has not seen, as those of a
trained policy are."""
PEOPLE = "human"
SYSTEMS = "unseen_conversation"
"""Blocks of the tagger's card: sentences labelled by people, and of systems under unseen
conversations."""


def cards_of(graders: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Shipped metric cards of exactly those weights that have graded; `graders` holds "tagger" and
    "judge" -> identity."""
    cards: dict[str, Mapping[str, Any]] = {}
    for name in ("tagger", "judge"):
        if name in graders:
            card = shipped_card(f"{name}.json")
            if card["sha256"] == graders[name]["revision"]:
                cards[name] = card
    return cards


def held_out_errors(graders: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float] | None]:
    """Grader -> its held-out figures, for JSON; None where no card of its weights is here.

    judge: mean absolute error of the rating, in points of 1 to 5, and the slope of its ratings on
    those it imitates (below 1 it shows differences too small). tagger: mean macro-F1 on sentences
    labelled by people, and of systems; in [0, 1].
    """
    cards = cards_of(graders)
    read = {"judge": _judge, "tagger": _tagger}
    return {name: read[name](cards[name]) if name in cards else None for name in graders}


def in_words(graders: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A plain sentence a grader."""
    said = {"judge": _judge_in_words, "tagger": _tagger_in_words}
    return [
        said[name](figures) if figures else f"Error of the {name}: not known, no card is here."
        for name, figures in held_out_errors(graders).items()
    ]


def _judge(card: Mapping[str, Any]) -> dict[str, float]:
    names = {"mean_absolute_error": "aggregate_mean_absolute_error", "slope": "aggregate_slope"}
    block = card.get(JUDGE_BLOCK, {})
    # Cards from before the slope was measured lack it.
    return {name: block[key] for name, key in names.items() if key in block}


def _tagger(card: Mapping[str, Any]) -> dict[str, float]:
    blocks = {"macro_f1_people": PEOPLE, "macro_f1_systems": SYSTEMS}
    return {name: card[key]["mean_macro_f1"] for name, key in blocks.items() if key in card}


def _judge_in_words(figures: Mapping[str, float]) -> str:
    said = (
        f"Error of the judge: {figures['mean_absolute_error']:.2f} points a reply, mean absolute, "
        "against the judge it imitates, for systems and conversations it had not seen"
    )
    if "slope" in figures:
        said += f"; a difference of 1 there shows as {figures['slope']:.2f} here"
    return f"{said}."


def _tagger_in_words(figures: Mapping[str, float]) -> str:
    names = {"macro_f1_people": "people", "macro_f1_systems": "systems"}
    shown = ", ".join(
        f"{figures[key]:.2f} on sentences of {who}" for key, who in names.items() if key in figures
    )
    return f"Error of the tagger: macro-F1 {shown}, held out (1 is none)."
