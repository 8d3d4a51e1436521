"""The results as metrics.json, and in a few lines for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mint
from mint.evaluation.statistics.coverage import RELEASED
from mint.reproduction.experts import Agreement
from mint.reproduction.measure import Measured
from mint.reproduction.results import Results
from mint.shell.files import jsonable

_LISTED = 10
"""Differing cells named at the end."""


def as_json(results: Results) -> dict[str, Any]:
    """The content of metrics.json; a number that does not exist is null."""
    systems = results.systems
    content = {
        "mint": mint.__version__,
        "settings": _settings(results),
        "judge": results.judge,
        "num_conversations": results.num_conversations,
        "num_turns": results.num_turns,
        "num_pairs": results.num_pairs,
        "previous_turns_with_tactic": results.previous_turns,
        "systems": {name: one.values for name, one in systems.items()},
        "intervals_are_over": RELEASED,
        "intervals": {name: one.intervals for name, one in systems.items()},
        "nulls": {
            name: {metric: null._asdict() for metric, null in one.nulls.items()}
            for name, one in systems.items()
        },
        "details": {name: _details(results, one) for name, one in systems.items()},
        "missing": results.absent,
        "without_replies": results.without_replies,
        "published": {
            "source": results.published.source,
            "tolerance": results.published.tolerance,
            "num_cells": len(results.cells),
            "num_reproduced": results.num_reproduced,
            "cells": [asdict(cell) for cell in results.cells],
        },
        "claims": _claims(results),
        "surface": {
            one.row.title: {
                "published": one.row.values,
                "observed": one.observed,
                "missing": one.missing,
            }
            for one in results.surface
        },
        "agreement": {one.dimension: _agreed(results, one) for one in results.agreement},
        "comparisons": {
            metric: [asdict(pair) for pair in pairs]
            for metric, pairs in results.comparisons.items()
        },
    }
    return jsonable(content)


def in_words(results: Results) -> list[str]:
    """What a person wants to know at the end, a line each."""
    tolerance = results.published.tolerance
    lines = [
        f"main table: {results.num_reproduced} of {len(results.cells)} cells within {tolerance} "
        f"of the published value, {len(results.systems)} systems found"
    ]
    different = [cell for cell in results.cells if not cell.reproduces]
    lines += [
        f"  differs: {cell.system} {cell.metric} {cell.observed:.3f}, published "
        f"{cell.published:.2f}"
        for cell in different[:_LISTED]
    ]
    if len(different) > _LISTED:
        lines.append(f"  and {len(different) - _LISTED} more, all in metrics.json")
    computed = [check for check in results.claims if check.reproduces is not None]
    lines.append(
        f"claims: {sum(bool(check.reproduces) for check in computed)} of {len(computed)} computed "
        f"ones reproduce; {len(results.claims) - len(computed)} need a missing system"
    )
    if results.absent:
        lines.append(f"missing ({len(results.absent)}): {', '.join(results.absent)}")
    if results.without_replies:
        names = ", ".join(results.without_replies)
        lines.append(f"left out, no tagged replies ({len(results.without_replies)}): {names}")
    return lines


def _settings(results: Results) -> dict[str, Any]:
    settings = asdict(results.settings)
    # Where the files lay on one machine says nothing on another one.
    del settings["upstream"], settings["output"]
    return {**settings, "bertscore_model": Path(settings["bertscore_model"]).name}


def _details(results: Results, one: Measured) -> dict[str, Any]:
    return {
        "label": results.published.label(one.name),
        "kind": results.published.method(one.name).kind,
        "method": one.name.method,
        "size": one.name.size,
        "always_on": one.always_on,
        "top_opening_words": one.opening,
        "top_phrase_words": one.phrase,
        "num_unrated": one.num_unrated,
    }


def _claims(results: Results) -> dict[str, Mapping[str, Any]]:
    return {
        check.claim.key: {
            "title": check.claim.title,
            "published": check.claim.percent,
            "observed": check.observed,
            "observed_from_rounded_cells": check.from_cells,
            "by_size": check.parts,
            "reproduces": check.reproduces,
            "status": "missing system" if check.missing else "computed",
            "missing": check.missing,
        }
        for check in results.claims
    }


def _agreed(results: Results, one: Agreement) -> dict[str, Any]:
    facts = asdict(one)
    stated = results.published.agreement
    if facts.pop("dimension") in stated:
        facts["published_spearman"], facts["published_kappa"] = stated[one.dimension]
    return facts
