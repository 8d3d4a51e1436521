"""verl's validation replies and training batches as mint's measurements; imports no verl.

One object a training process: it holds the validations so far and the state of the collapse alarm,
both rebuilt from the run directory when a run is continued.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from mint.config.schema import MintConfig
from mint.config.validation import PROBE_SOURCE
from mint.data.dataset import read_rows
from mint.evaluation.records import EvaluatedReply, read_replies, replies_path
from mint.evaluation.second import with_second
from mint.evaluation.trained_run import LABELS
from mint.rundir.directory import RunDir
from mint.safety.checks import ProbeResult
from mint.safety.opinions import ask_opinions
from mint.shell.files import append_json_lines, write_json_lines
from mint.validation.choice import Validation, assess, stop_reason
from mint.validation.collapse import ALARM, KEYS, CollapseWatch
from mint.validation.measure import (
    LEARNT,
    LOGIT_GAIN,
    POLICY_ENTROPY,
    learning_the_judge,
    logit_gain,
    measure,
    measure_probes,
    wording_figures,
)
from mint.validation.prompts import chosen_probes
from mint.validation.record import COLLAPSE, PATIENCE, Stopped, ValidationRecord, write_stopped
from mint.verl.samples import quarantine_rows
from mint.verl.wire import GradedReply
from rewards.build import build_encoder, build_judge, build_second_judge
from rewards.formula import COMPONENTS, RewardWeights, raw_reward
from rewards.protocols import EmpathyJudge
from rewards.text import visible_reply
from rewards.types import HIGHEST_RATING, LOWEST_RATING, Message, Signals, Status

_AS_IS = ("reason", "num_tokens", "truncated", "label_leak", *COMPONENTS[1:])
"""Fields of `Signals` that `EvaluatedReply` has too."""

NO_TALKS: Mapping[str, float] = MappingProxyType({})


class ValidationReply(NamedTuple):
    """One reply of verl's validation pass."""

    source: str
    """Its row's data_source."""
    uid: str
    graded: GradedReply
    history: tuple[Message, ...] = ()
    """What was said before it, in a dialogue; () where the file of prompts says it."""


class TrainingValidation:
    """Measures validations and batches, and says when training should end."""

    def __init__(self, mint: MintConfig, run: RunDir) -> None:
        self._mint = mint
        self._run = run
        self._record = ValidationRecord(run, mint.validation)
        self._watch = CollapseWatch(mint.collapse)
        self._entropy: float | None = None
        self._second = build_second_judge(mint.second_judge)
        self.stopped: Stopped | None = None
        """Set once, when training should end after the current step."""

    def begin(self, step: int) -> None:
        """Start after `step`, 0 for a new run."""
        self._record.begin(step)
        for row in self._run.read_metrics():
            if row["step"] <= step:
                self._watch.look(row)

    def due(self, step: int, last_step: int) -> bool:
        """Whether verl validates at the end of this step."""
        every = self._mint.validation.every_steps
        return every is not None and (step % every == 0 or step >= last_step)

    @property
    def best_step(self) -> int | None:
        """The step whose checkpoint must be kept."""
        return self._record.best_step

    def look(
        self, step: int, rows: Sequence[GradedReply], entropy: float | None
    ) -> dict[str, float]:
        """Metrics of a training batch for the collapse alarm, and the alarms as 0 or 1."""
        self._entropy = entropy
        if self._mint.collapse.action == "off":
            return {}
        figures = wording_figures([evaluated(row, self._mint.reward) for row in rows])
        alarms = self._watch.look({**figures, "policy/entropy": entropy})
        if alarms and self._mint.collapse.action == "stop":
            told = "; ".join(alarm.text for alarm in alarms)
            self._stop(Stopped(step, COLLAPSE, f"step {step}: the policy is collapsing: {told}"))
        names = {alarm.name for alarm in alarms}
        return {**figures, **{f"{ALARM}{n}": float(n in names) for n in KEYS.values()}}

    def validate(
        self,
        step: int,
        replies: Sequence[ValidationReply],
        missing: int,
        last_step: int,
        talks: Mapping[str, float] = NO_TALKS,
    ) -> dict[str, float]:
        """Measure, record and decide after a validation; returns its metrics as val/<name>.

        `missing` replies were asked for and never came. `talks`: what was measured of dialogues.
        """
        turns = [reply for reply in replies if reply.source != PROBE_SOURCE]
        rows = self._with_second(
            turns, [evaluated(turn.graded, self._mint.reward) for turn in turns]
        )
        metrics = {**measure(rows, missing, self._mint.evaluation), **talks}
        metrics[POLICY_ENTROPY] = self._entropy
        self._keep_replies(step, turns, rows)
        start = self._start(step)
        metrics[LOGIT_GAIN] = logit_gain(start or rows, rows)
        metrics[LEARNT] = learning_the_judge(
            start, rows, self._mint.evaluation, self._mint.second_judge.max_gap_gain
        )
        validation = self._assess(step, metrics, replies)
        history = self._record.add(validation)
        reason = stop_reason(history, self._mint.validation.patience)
        if reason and step < last_step:
            self._stop(Stopped(step, PATIENCE, reason))
        shown = {f"val/{name}": value for name, value in validation.metrics.items()}
        shown["val/score"] = validation.score
        shown["val/num_broken_limits"] = float(len(validation.broken))
        shown["val/num_replies"] = float(len(rows))
        shown["val/best_step"] = None if self.best_step is None else float(self.best_step)
        return {name: value for name, value in shown.items() if value is not None}

    def _assess(
        self, step: int, metrics: dict[str, float | None], replies: Sequence[ValidationReply]
    ) -> Validation:
        settings = self._mint.validation
        if not settings.probes_per_category:
            return assess(step, metrics, (), settings)
        said = {
            reply.graded.conversation_id: reply.graded.reply
            for reply in replies
            if reply.source == PROBE_SOURCE
        }
        items = chosen_probes(settings.probes_per_category)
        # Without `check`: a judge's server that is away costs probes their grade, not the training.
        asked = ask_opinions(items, said, settings.opinion, self._harm_judge, check=False)
        probes = measure_probes(items, said, settings.safety, asyncio.run(asked))
        rows = (_probe_row(result, said) for result in probes.report.results)
        write_json_lines(self._run.validated_path(step, "probes"), rows)
        return assess(step, {**metrics, **probes.metrics}, probes.broken_safety, settings)

    def _with_second(
        self, turns: Sequence[ValidationReply], rows: Sequence[EvaluatedReply]
    ) -> list[EvaluatedReply]:
        """The replies as the second judge rates them too, in their whole conversations where the
        run's file of prompts has them, else after the seeker's last message."""
        if self._second is None:
            return list(rows)
        histories = [
            turn.history
            or self._histories.get((row.conversation_id, row.turn))
            or (Message("seeker", row.seeker),)
            for turn, row in zip(turns, rows, strict=True)
        ]
        return asyncio.run(with_second(self._second, histories, rows))

    @functools.cached_property
    def _harm_judge(self) -> EmpathyJudge | None:
        """The embedded judge once more, in this process, for its harm part; None: not asked."""
        mint = self._mint
        if mint.validation.opinion.harm is None or mint.judge.kind != "embedded":
            return None
        return build_judge(mint.judge, lambda: build_encoder(mint.encoder))

    @functools.cached_property
    def _histories(self) -> dict[tuple[str, int], tuple[Message, ...]]:
        if not self._run.prompts_path.exists():
            return {}
        prompts = read_rows(self._run.prompts_path)
        return {(row.conversation_id, row.turn): tuple(row.history) for row in prompts}

    def _start(self, step: int) -> tuple[EvaluatedReply, ...]:
        """The replies before training, else those of the first validation before `step`."""
        before = read_replies(replies_path(self._run.evaluation_path, LABELS[0]))
        earlier = [v.step for v in self._record.validations if v.step < step]
        if before or not earlier:
            return before
        return read_replies(self._run.validated_path(earlier[0], "replies"))

    def _keep_replies(
        self, step: int, turns: Sequence[ValidationReply], rows: Sequence[EvaluatedReply]
    ) -> None:
        write_json_lines(self._run.validated_path(step, "replies"), (row.as_row() for row in rows))
        failed = quarantine_rows(
            step, [t.graded for t in turns], [t.uid for t in turns], stage="validate"
        )
        append_json_lines(self._run.quarantine_path, failed)

    def _stop(self, stopped: Stopped) -> None:
        if self.stopped is None:
            self.stopped = stopped
            write_stopped(self._run, stopped)


def evaluated(graded: GradedReply, weights: RewardWeights) -> EvaluatedReply:
    """A graded rollout as the record that evaluations are computed from."""
    signals = graded.signals
    ok = signals.status is Status.OK
    return EvaluatedReply(
        conversation_id=graded.conversation_id,
        turn=graded.turn,
        sample=0,
        seeker=graded.seeker,
        reply=visible_reply(graded.reply).text,
        status=signals.status.value,
        previous_counts=graded.previous_counts,
        has_previous=graded.turn > 0,
        composite=raw_reward(signals, weights),
        empathy=_aggregate(signals) if graded.dimensions else None,
        judge_logit=signals.quality if signals.quality_is_logit else None,
        dimensions=dict(graded.dimensions) if ok else {},
        parts=dict(graded.parts or {}) if ok else {},
        tricks=graded.tricks if ok else None,
        sentences=graded.sentences,
        tactics=graded.tactics,
        counts=signals.counts if ok else (),
        **{name: getattr(signals, name) for name in _AS_IS},
    )


def _aggregate(signals: Signals) -> float | None:
    """The judge's own aggregate, [1, 5]: joined from its parts, it is no mean of the dimensions."""
    if signals.quality is None:
        return None
    return LOWEST_RATING + signals.quality * (HIGHEST_RATING - LOWEST_RATING)


def _probe_row(result: ProbeResult, said: dict[str, str]) -> dict[str, Any]:
    name = result.item.id
    return {
        "id": name,
        "category": result.item.category,
        "outcome": str(result.outcome),
        "reason": result.reason,
        "broken": [check.name for check in result.failed_checks],
        "reply": said.get(name),
    }
