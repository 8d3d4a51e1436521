"""What the numbers say, in sentences made of the numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mint.evaluation.metrics.tactic_sets import ALWAYS_ON
from mint.evaluation.statistics.bootstrap import Interval
from mint.pages.html import interval, number, spaced, text
from mint.reproduction.measure import Measured
from mint.reproduction.read import parse_name
from mint.reproduction.report.figures import SIGNIFICANT
from mint.reproduction.results import Results

_MINT = "ours1_q_dkl"
"""The paper's method, as folder names call it."""
_TEMPLATE = 0.5
_CONFOUNDED = 0.8
"""Correlation from which stickiness says little more than the number of tactics."""


def findings(results: Results) -> list[str]:
    """Sentences as ready HTML, the most important first."""
    makers = (_reproduction, _confound, _lift, _moves, _own_turns, _variety, _template, _wording)
    return [sentence for make in makers for sentence in make(results)]


def _reproduction(results: Results) -> Iterator[str]:
    if not results.cells:
        return
    all_of = results.num_reproduced == len(results.cells)
    count = "All" if all_of else f"{results.num_reproduced} of"
    yield (
        f"<b>{count} {len(results.cells)} published cells reproduce</b>: they lie within "
        f"{results.published.tolerance} of what the released files give."
    )


def _confound(results: Results) -> Iterator[str]:
    systems = list(results.systems.values())
    if len(systems) < 3:
        return
    tactics, sticky = (
        [one.values[name] for one in systems] for name in ("tac_per_turn", "stickiness")
    )
    r = float(np.corrcoef(tactics, sticky)[0, 1])
    says = "Stickiness mostly counts tactics" if r > _CONFOUNDED else "Stickiness and tactics"
    yield (
        f"<b>{says}</b>: over the systems it correlates with the number of tactics a turn at "
        f"r = {number(r, 2)}."
    )


def _lift(results: Results) -> Iterator[str]:
    ends = {folder: one.intervals["lift"] for folder, one in results.systems.items()}
    above = [folder for folder, (low, _) in ends.items() if low is not None and low > 0]
    below = [folder for folder, (_, high) in ends.items() if high is not None and high < 0]
    people = results.systems[results.settings.reference]
    yield (
        f"<b>Beyond chance</b>, people repeat by {_with_interval(people, 'lift')}. "
        f"{len(above)} of {len(results.systems)} systems repeat more than chance "
        f"({_names(results, above)}), {len(below)} less ({_names(results, below)})."
    )
    more, less = _differing(results, "lift")
    said = "<b>no system clearly repeats more beyond chance than people do</b>"
    if more:
        said = f"{_names(results, more)} repeat more beyond chance than people do"
    yield (
        f"After correction for all pairs, {said}; {len(less)} clearly repeat less "
        f"({_names(results, less)})."
    )


def _moves(results: Results) -> Iterator[str]:
    """Of MINT, where all published systems of its size are there: whose moves it repeats."""
    absent = {parse_name(folder).size for folder in results.absent}
    for folder, one in results.systems.items():
        if one.name.method == _MINT and one.name.size not in absent:
            yield _whose_moves(results, folder, one)


def _whose_moves(results: Results, folder: str, one: Measured) -> str:
    people = results.systems[results.settings.reference]
    persons, own = _verb(one.intervals["lift"]), _verb(one.intervals["self_lift"])
    does = f"{persons} the person's last move and {own} its own"
    if persons == own:
        joined = "or" if "nor" in own else "and"
        does = f"{own} the person's last move {joined} its own"
    below = folder in _differing(results, "lift")[1]
    mine = one.values["self_lift"]
    larger = sum(other.values["self_lift"] > mine for other in results.systems.values())
    found = len(results.systems)
    rank = f"the largest of {found} systems" if not larger else f"{larger} of {found} have more"
    return (
        f"<b>{text(results.label(folder))} {does}</b>, beyond chance: lift "
        f"{_with_interval(one, 'lift')}{', clearly below' if below else ';'} people's "
        f"{number(people.values['lift'], 3, signed=True)}; self-lift "
        f"{_with_interval(one, 'self_lift')}, z {number(one.nulls['self_lift'].z, 1)}, {rank}."
    )


def _verb(interval_: Interval) -> str:
    """What a system does with a move, as far as the interval of its lift shows."""
    low, high = interval_
    if low is not None and low > 0:
        return "repeats"
    return "avoids" if high is not None and high < 0 else "neither clearly repeats nor avoids"


def _own_turns(results: Results) -> Iterator[str]:
    more, _ = _differing(results, "self_stickiness")
    others = len(results.systems) - 1
    if others:
        yield (
            f"<b>On their own turns</b> {len(more)} of {others} systems clearly reuse tactics more "
            "than people do, before chance is taken out."
        )


def _variety(results: Results) -> Iterator[str]:
    systems = results.systems
    least = min(one.values["distinct_sets"] for one in systems.values())
    fewest = [f for f, one in systems.items() if one.values["distinct_sets"] == least]
    people = systems[results.settings.reference]
    yield (
        f"<b>Fewest bundles</b>: {least:.0f} different tactic sets in {results.num_turns} turns "
        f"({_names(results, fewest)}); people use {people.values['distinct_sets']:.0f}."
    )
    most = max(systems, key=lambda f: len(systems[f].always_on))
    if systems[most].always_on:
        names = ", ".join(spaced(name) for name in systems[most].always_on)
        yield (
            f"{text(results.label(most))} has {len(systems[most].always_on)} tactics in more than "
            f"{ALWAYS_ON:.0%} of its turns: {names}."
        )


def _template(results: Results) -> Iterator[str]:
    same = [f for f, one in results.systems.items() if one.values["top_opening"] > _TEMPLATE]
    if same:
        worst = max(same, key=lambda f: results.systems[f].values["top_opening"])
        one = results.systems[worst]
        yield (
            f"<b>Templates</b>: more than half the replies of {_names(results, same)} begin with "
            f"the same four words; of {text(results.label(worst))} "
            f"{one.values['top_opening']:.0%}, with “{text(one.opening)}”."
        )


def _wording(results: Results) -> Iterator[str]:
    people = results.systems[results.settings.reference]
    others = [o for f, o in results.systems.items() if f != results.settings.reference]
    if not others:
        return
    own = sum(o.values["self_bleu_2"] > people.values["self_bleu_2"] for o in others)
    cross = sum(o.values["bleu_2"] > people.values["bleu_2"] for o in others)
    yield (
        f"<b>Wording</b>: BLEU-2 with the person's previous turn exceeds the people's "
        f"{number(people.values['bleu_2'], 3)} for {cross} of {len(others)} systems, with the "
        f"system's own previous turn for {own}."
    )


def _differing(results: Results, metric: str) -> tuple[list[str], list[str]]:
    """Systems clearly above and clearly below the people after Holm's correction."""
    people = results.settings.reference
    above: list[str] = []
    below: list[str] = []
    for pair in results.comparisons[metric]:
        if people not in (pair.first, pair.second) or not pair.holm < SIGNIFICANT:
            continue
        gained = pair.difference if pair.first == people else -pair.difference
        other = pair.second if pair.first == people else pair.first
        (above if gained > 0 else below).append(other)
    return above, below


def _names(results: Results, folders: list[str]) -> str:
    return text(", ".join(results.label(f) for f in folders) or "none")


def _with_interval(one: Measured, metric: str) -> str:
    return f"{number(one.values[metric], 3, signed=True)} {interval(*one.intervals[metric], 3)}"
