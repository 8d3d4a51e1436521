"""Which tactic follows which from one of a model's own replies to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mint.evaluation.metrics.own_sequence import Sequences, sequences
from mint.evaluation.metrics.repetition import transition_matrix
from mint.pages.grids import heat_map
from mint.pages.html import figure, grid, missing, section, spaced
from mint.reporting.comparison.contestants import System
from rewards.tactics import TACTIC_NAMES

_FEWEST = 5
_MAX_MAPS = 8


def tactics_section(protocols: Mapping[str, Sequence[System]], titles: Mapping[str, str]) -> str:
    """A matrix for each of the first systems of a protocol; "" without any."""
    figures = []
    for protocol, systems in protocols.items():
        for system in systems[:_MAX_MAPS]:
            title, own = f"{system.name}, {titles[protocol]}", sequences(system.replies)
            if len(own.now_PK):
                figures.append(_figure(title, own))
            else:
                note = missing("No two neighbouring turns were graded.")
                figures.append(figure(title, note, ""))
    if not figures:
        return ""
    lead = (
        "Rows: a tactic of the model's own last reply. Columns: share of next replies, in percent, "
        "that use the tactic. A column that is dark throughout is a tactic that is always on; a "
        "dark diagonal is repetition."
    )
    return section("transitions", "Which tactic follows which", grid(figures), lead)


def _figure(title: str, own: Sequences) -> str:
    n_K = own.before_PK.sum(axis=0)
    enough_K1 = n_K[:, None] >= _FEWEST
    shares_KK = transition_matrix(own.now_PK, own.before_PK)
    shares_KK = np.where(enough_K1 & np.isfinite(shares_KK), shares_KK, 0.0)
    shown = [
        [f"{100 * share:.0f}" if enough else "·" for share in row]
        for row, (enough,) in zip(shares_KK, enough_K1, strict=True)
    ]
    names = [spaced(name) for name in TACTIC_NAMES]
    rows = [f"{name} ({n})" for name, n in zip(names, n_K, strict=True)]
    # What each column would be if a tactic did not depend on the turn before.
    chance_K = own.now_PK.mean(axis=0)
    rows.append("by chance")
    shares = [*shares_KK.tolist(), chance_K.tolist()]
    shown.append([f"{100 * share:.0f}" for share in chance_K])
    note = (
        f"{len(own.now_PK)} neighbouring replies; brackets: replies with the row's tactic. Rows "
        f"with fewer than {_FEWEST} are left empty. By chance: the share of all these replies."
    )
    description = "Share of next replies with each tactic."
    return figure(title, heat_map(rows, names, shares, shown, description), note)
