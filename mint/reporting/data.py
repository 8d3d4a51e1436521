"""What a report is made of, read from a run directory; every part may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mint.evaluation.grader_error import cards_of
from mint.evaluation.metrics.talks import Talks
from mint.evaluation.people import People, Reference, read_people
from mint.evaluation.protocols.talkers import GAP
from mint.evaluation.protocols.talks import read_talks
from mint.evaluation.records import EvaluatedReply, read_replies, replies_path
from mint.evaluation.second import read_canary_rows
from mint.rundir.directory import RunDir
from mint.shell.files import read_json_if_there
from mint.validation.choice import Validation
from mint.validation.record import read_validations
from rewards.errors import DataError

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """A run as the report sees it. None or empty: not there."""

    name: str
    path: str = ""
    """Where the run is, as it was given; "" where nobody can go there."""
    manifest: Mapping[str, Any] | None
    config: DictConfig | None
    metrics: tuple[Mapping[str, Any], ...]
    samples: tuple[Mapping[str, Any], ...]
    before: Mapping[str, Any] | None
    """evaluation/before.json."""
    after: Mapping[str, Any] | None
    comparison: Mapping[str, Mapping[str, Any]] | None
    before_replies: tuple[EvaluatedReply, ...]
    after_replies: tuple[EvaluatedReply, ...]
    cards: Mapping[str, Mapping[str, Any]]
    """Metric cards of the embedded graders that graded this run: "tagger", "judge"."""
    validations: tuple[Validation, ...]
    """Validations during training, by step."""
    best: Mapping[str, Any] | None
    """best.json."""
    people: Reference
    """People's figures beside this run's."""
    canaries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """evaluation/canaries.json: judge -> what it makes of the bad replies."""
    gap: Mapping[str, Any] = field(default_factory=dict)
    """What was gained with a second seeker (`talkers.gap`); {} without one."""
    before_talks: Talks = field(default_factory=dict)
    """Dialogues with held-out people before training, by person and draw."""
    after_talks: Talks = field(default_factory=dict)
    scores: Mapping[str, Any] | None = None
    """evaluation/heads.json of a run of `mint sft`."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """File -> broken last lines that were left out."""

    @property
    def graders(self) -> Mapping[str, Mapping[str, Any]]:
        """ "tagger" and "judge" -> identity; {} when it was not recorded."""
        source = self.manifest or self.after or self.before
        return {} if source is None else source["graders"]

    @property
    def steps(self) -> list[int]:
        """Logged training steps, ascending."""
        return [int(row["step"]) for row in self.metrics]

    def series(self, key: str) -> tuple[float | None, ...]:
        """One metric over the steps."""
        return tuple(_finite(row[key]) if key in row else None for row in self.metrics)

    def table(self, keys: Iterable[str]) -> dict[str, tuple[float | None, ...]]:
        """Several metrics over the steps."""
        return {key: self.series(key) for key in keys}

    def has(self, *keys: str) -> bool:
        """Whether any of the metrics was logged at least once."""
        return any(value is not None for key in keys for value in self.series(key))

    def setting(self, key: str) -> Any | None:
        """A value of config.yaml by its dotted name; None when there is none."""
        if self.config is None:
            return None
        try:
            return OmegaConf.select(self.config, key)
        except OmegaConfBaseException:
            return None

    def held_out(self, name: str) -> tuple[float | None, float | None]:
        """A held-out metric before and after: of the shared turns if compared, else of each."""
        if self.comparison is not None and name in self.comparison:
            return self.comparison[name]["before"], self.comparison[name]["after"]
        return _mean(self.before, name), _mean(self.after, name)


def load(run: RunDir, people: People | None = None) -> ReportData:
    """Read everything the run directory has. Raises DataError for a broken file.

    `people`: figures of people's replies; None takes those that ship with mint.
    """
    return replace(
        load_results(run, people),
        metrics=tuple(run.read_metrics()),
        samples=tuple(run.read_samples()),
        validations=tuple(read_validations(run)),
        left_out=run.left_out(),
    )


def load_results(run: RunDir, people: People | None = None) -> ReportData:
    """The same without what training appends to, step by step: metrics, samples, validations."""
    manifest = read_json_if_there(run.manifest_path)
    return ReportData(
        name=run.path.resolve().name,
        path=str(run.path),
        manifest=manifest,
        config=_config(run),
        metrics=(),
        samples=(),
        before=read_json_if_there(run.before_path),
        after=read_json_if_there(run.after_path),
        comparison=_comparison(run),
        gap=(read_json_if_there(run.comparison_path) or {}).get(GAP, {}),
        before_replies=read_replies(replies_path(run.evaluation_path, "before")),
        after_replies=read_replies(replies_path(run.evaluation_path, "after")),
        cards=cards_of(manifest["graders"] if manifest is not None else {}),
        validations=(),
        best=read_json_if_there(run.best_path),
        canaries=read_canary_rows(run.evaluation_path),
        before_talks=read_talks(run.evaluation_path, "before"),
        after_talks=read_talks(run.evaluation_path, "after"),
        scores=read_json_if_there(run.scores_path),
        people=(people or read_people()).beside({} if manifest is None else manifest["graders"]),
    )


def spread(items: Sequence[Item], limit: int) -> list[Item]:
    """Up to `limit` items, evenly spaced."""
    if len(items) <= limit:
        return list(items)
    return [items[int((i + 0.5) * len(items) / limit)] for i in range(limit)]


def _comparison(run: RunDir) -> dict[str, Mapping[str, Any]] | None:
    found = read_json_if_there(run.comparison_path)
    if found is None:
        return None
    return {n: row for n, row in found.items() if isinstance(row, Mapping) and n != GAP}


def _config(run: RunDir) -> DictConfig | None:
    if not run.config_path.exists():
        return None
    try:
        config = OmegaConf.load(run.config_path)
    except (OmegaConfBaseException, YAMLError, OSError) as error:
        raise DataError(f"{run.config_path}: {str(error).splitlines()[0]}") from error
    return config if isinstance(config, DictConfig) else None


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _mean(summary: Mapping[str, Any] | None, name: str) -> float | None:
    if summary is None or name not in summary["metrics"]:
        return None
    return summary["metrics"][name]["mean"]
