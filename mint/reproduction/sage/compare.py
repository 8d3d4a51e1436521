"""Every pair of models on the profiles they share; one model under several simulators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

import numpy as np

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.statistics.agreement import spearman, weighted_kappa
from mint.evaluation.statistics.arrays import Floats
from mint.evaluation.statistics.bootstrap import (
    UNKNOWN,
    Interval,
    percentile_interval,
    resample_counts,
)
from mint.evaluation.statistics.multiple_tests import bootstrap_p_value, holm, sign_test
from mint.reproduction.sage.measure import SageModel
from mint.reproduction.sage.read import FAILURE, SUCCESS, SageDialogue

_OUTCOMES = (0, 1, 2)
"""Failure, neither, success."""


@dataclass(frozen=True, kw_only=True)
class SagePair:
    """Two models under one simulator, on the profiles that both have."""

    first: str
    second: str
    profiles: int
    difference: float
    """Final emotion, second - first, mean over profiles."""
    interval: Interval
    p_value: float
    """Two-sided, paired bootstrap over profiles."""
    gained: int
    """Profiles that only the second succeeds on."""
    lost: int
    """Profiles that only the first succeeds on."""
    success_p_value: float
    """Exact McNemar test of these two counts."""
    holm: float = float("nan")
    """`p_value` adjusted over all pairs of the simulator."""


@dataclass(frozen=True, kw_only=True)
class SimulatorAgreement:
    """One model's dialogues on common profiles, under two simulators."""

    model: str
    first: str
    second: str
    profiles: int
    difference: float
    """Final emotion, second - first, mean over profiles."""
    interval: Interval
    spearman: float
    """Of final emotions; NaN where one is constant."""
    kappa: float
    """Of failure, neither, success, with quadratic weights; NaN where undefined."""


def by_profile(dialogues: Sequence[SageDialogue]) -> dict[str, float]:
    """Profile -> final emotion, the mean where it was met more than once."""
    found: dict[str, list[float]] = {}
    for one in dialogues:
        # What has no id is no profile that another file could have.
        if not one.profile.startswith("line "):
            found.setdefault(one.profile, []).append(one.final)
    return {profile: sum(values) / len(values) for profile, values in found.items()}


def compare_models(
    models: Mapping[str, SageModel], settings: EvaluationConfig
) -> tuple[SagePair, ...]:
    """All pairs under one simulator that share two profiles or more, corrected by Holm."""
    finals = {key: by_profile(model.dialogues) for key, model in models.items()}
    result: list[SagePair] = []
    simulators = sorted({model.simulator for model in models.values()})
    for simulator in simulators:
        keys = [key for key, model in models.items() if model.simulator == simulator]
        pairs = [
            _pair(a, b, finals, settings)
            for a, b in combinations(keys, 2)
            if len(finals[a].keys() & finals[b].keys()) > 1
        ]
        adjusted = holm([pair.p_value for pair in pairs])
        result += [replace(p, holm=value) for p, value in zip(pairs, adjusted, strict=True)]
    return tuple(result)


def _pair(
    first: str, second: str, finals: Mapping[str, Mapping[str, float]], settings: EvaluationConfig
) -> SagePair:
    a_P, b_P = _common(finals[first], finals[second])
    gained = int(((a_P < SUCCESS) & (b_P >= SUCCESS)).sum())
    lost = int(((a_P >= SUCCESS) & (b_P < SUCCESS)).sum())
    drawn_R = _resampled(b_P - a_P, settings)
    return SagePair(
        first=first,
        second=second,
        profiles=len(a_P),
        difference=float((b_P - a_P).mean()),
        interval=percentile_interval(drawn_R, settings.confidence),
        p_value=bootstrap_p_value(drawn_R),
        gained=gained,
        lost=lost,
        success_p_value=sign_test(gained, lost),
    )


def compare_simulators(
    models: Mapping[str, SageModel], settings: EvaluationConfig
) -> tuple[SimulatorAgreement, ...]:
    """Every model that several simulators have judged, by two simulators at a time."""
    result = []
    for name in sorted({model.model for model in models.values()}):
        own = [model for model in models.values() if model.model == name]
        for a, b in combinations(own, 2):
            a_P, b_P = _common(by_profile(a.dialogues), by_profile(b.dialogues))
            if len(a_P):
                result.append(_agreement(name, (a.simulator, b.simulator), a_P, b_P, settings))
    return tuple(result)


def _agreement(
    name: str, simulators: tuple[str, str], a_P: Floats, b_P: Floats, settings: EvaluationConfig
) -> SimulatorAgreement:
    enough = len(a_P) > 1
    interval = UNKNOWN
    if enough:
        interval = percentile_interval(_resampled(b_P - a_P, settings), settings.confidence)
    return SimulatorAgreement(
        model=name,
        first=simulators[0],
        second=simulators[1],
        profiles=len(a_P),
        difference=float((b_P - a_P).mean()),
        interval=interval,
        spearman=float(spearman(a_P, b_P)[0]) if enough else float("nan"),
        kappa=float(weighted_kappa(_outcomes(a_P), _outcomes(b_P), _OUTCOMES)[0]),
    )


def _common(a: Mapping[str, float], b: Mapping[str, float]) -> tuple[Floats, Floats]:
    shared = sorted(a.keys() & b.keys())
    return np.array([a[name] for name in shared]), np.array([b[name] for name in shared])


def _resampled(values_P: Floats, settings: EvaluationConfig) -> Floats:
    drawn_RP = _counts(len(values_P), settings.resamples, settings.seed)
    return drawn_RP @ values_P / len(values_P)


# Most pairs share all profiles.
_counts = lru_cache(maxsize=4)(resample_counts)


def _outcomes(finals_P: Floats) -> Floats:
    return np.where(finals_P >= SUCCESS, 2.0, np.where(finals_P < FAILURE, 0.0, 1.0))
