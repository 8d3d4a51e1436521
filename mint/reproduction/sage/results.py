"""From a folder of released dialogues to everything that is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mint
from mint.config.evaluation import EvaluationConfig
from mint.evaluation.statistics.coverage import RELEASED_DIALOGUES
from mint.reproduction.results import Step
from mint.reproduction.sage.compare import (
    SagePair,
    SimulatorAgreement,
    compare_models,
    compare_simulators,
)
from mint.reproduction.sage.measure import VALUES, SageModel, measure
from mint.reproduction.sage.published import Leaderboard, load
from mint.reproduction.sage.read import SageFile, find_files, read_file
from mint.reproduction.settings import ReproduceSettings


@dataclass(frozen=True, kw_only=True)
class SageResults:
    """All that is known; models by simulator, the highest score first."""

    settings: EvaluationConfig
    leaderboard: Leaderboard
    models: Mapping[str, SageModel]
    """Stem of the file -> what it gives; with its folder before it where stems repeat."""
    pairs: tuple[SagePair, ...]
    agreement: tuple[SimulatorAgreement, ...]
    """Empty unless several simulators have judged one model."""
    notes: tuple[str, ...]
    """Lines left out or read with reserve."""

    @property
    def simulators(self) -> tuple[str, ...]:
        """The folders, sorted."""
        return tuple(sorted({model.simulator for model in self.models.values()}))


def reproduce_sage(settings: ReproduceSettings, step: Step) -> SageResults:
    """Read, measure and compare all result files.

    Raises ConfigError for a folder without any, DataError for a file without a single dialogue.
    """
    statistics = EvaluationConfig(
        seed=settings.seed, resamples=settings.resamples, confidence=settings.confidence
    )
    paths = find_files(Path(str(settings.sage)))
    files = []
    for number, path in enumerate(paths):
        step("read", number, len(paths))
        files.append(read_file(path))
    measured = []
    for number, (key, file) in enumerate(zip(keys_of(files), files, strict=True)):
        step("measure", number, len(files))
        measured.append(measure(key, file, statistics))
    measured.sort(key=lambda one: (one.simulator, -(one.estimates["score"].mean or 0.0), one.key))
    models = {one.key: one for one in measured}
    step("compare", 0, 1)
    return SageResults(
        settings=statistics,
        leaderboard=load(),
        models=models,
        pairs=compare_models(models, statistics),
        agreement=compare_simulators(models, statistics),
        notes=tuple(note for file in files for note in file.notes),
    )


def keys_of(files: list[SageFile]) -> list[str]:
    """Names of the files: the stem, or the path below the last common folder where stems repeat."""
    repeated = Counter(file.path.stem for file in files)
    paths = [file.path.resolve() for file in files]
    shared = min(len(path.parts) for path in paths) - 1
    while any(path.parts[:shared] != paths[0].parts[:shared] for path in paths):
        shared -= 1
    return [
        path.stem if repeated[path.stem] == 1 else "/".join((*path.parts[shared:-1], path.stem))
        for path in paths
    ]


def as_json(results: SageResults) -> dict[str, Any]:
    """The content of sage.json. `models` holds the published numbers alone."""
    models = results.models
    return {
        "models": {
            key: {name: one.estimates[name].mean for name in VALUES} for key, one in models.items()
        },
        "mint": mint.__version__,
        "published": {key: dict(results.leaderboard.row(one)) for key, one in models.items()},
        "intervals_are_over": RELEASED_DIALOGUES,
        "statistics": {
            "resamples": results.settings.resamples,
            "confidence": results.settings.confidence,
            "seed": results.settings.seed,
        },
        "details": {key: _details(one) for key, one in models.items()},
        "pairs": [asdict(pair) for pair in results.pairs],
        "simulators": [asdict(one) for one in results.agreement],
        "notes": results.notes,
    }


def _details(one: SageModel) -> dict[str, Any]:
    estimates = {name: asdict(value) for name, value in one.estimates.items()}
    return {
        "model": one.model,
        "simulator": one.simulator,
        "dialogues": len(one.dialogues),
        "profiles": len({dialogue.profile for dialogue in one.dialogues}),
        **estimates,
        "emotion_by_turn": one.curve.means,
        "talking_by_turn": one.curve.talking,
        "turns_to_success": one.turns_to_success,
        "by_intention": _rows(one.intentions),
        "by_character": _rows(one.characters),
    }


def _rows(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        group: {name: asdict(value) for name, value in row.items()} for group, row in groups.items()
    }
