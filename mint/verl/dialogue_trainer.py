"""Training on dialogues: credit of turns over each group of siblings.

A turn's reward stands on its last token that the policy has sampled: on a token of the seeker GAE
would lose it. With GRPO the advantages are mint's own, the same for all tokens of a turn; verl's
have one number a dialogue. A dialogue without a result has both masks 0: `response_mask` takes it
out of the losses, `loss_mask` out of the number of tokens that they are divided by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mint.dialogue.curriculum import Outcome
from mint.dialogue.replies import requests_of
from mint.shell.files import append_json_lines
from mint.verl import batch as queue
from mint.verl.allocation import AllocatesPeople
from mint.verl.dialogue_samples import lost_rows, talk_samples
from mint.verl.dialogue_step import DialogueStep, dialogue_step, talk_metrics
from mint.verl.dialogue_wire import (
    SPANS,
    GradedDialogue,
    unpack_dialogue,
    unpack_dialogue_columns,
)
from mint.verl.failure_watch import Failed, FailureWatch, Words
from mint.verl.trainer import MintTrainer
from mint.verl.validation import ValidationReply
from mint.verl.wire import KEY

Spans = dict[int, list[tuple[int, int, float]]]
_WORDS = Words("dialogues", "were lost", "Mend what lost them")


class DialogueTrainer(AllocatesPeople, MintTrainer):
    """`MintTrainer` of mint.task=dialogues."""

    unit = "dialogues"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._watch = FailureWatch(self._mint.grading, str(self._run.lost_path), _WORDS)
        self._advantages: Spans = {}

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        result = super()._compute_advantage(batch, metrics)
        if not self.use_critic:
            own = queue.per_token(batch, self._advantages)
            queue.write(batch, {"advantages": own, "returns": own.clone()})
        return result

    def _reward(self, batch: Any, metrics: dict[str, Any]) -> None:
        extras, uids, positions = queue.read_extras(batch, KEY)
        rows = [unpack_dialogue(extra[KEY]) for extra in extras]
        credit, reply = self._mint.credit, self._mint.reward
        step = dialogue_step(rows, uids, credit, reply, self._asked, critic=self.use_critic)
        metrics.update(step.metrics)
        self._write(batch, step, [extra[SPANS] for extra in extras], positions)
        self._note(rows, uids, step)
        heard = [row.record for row in rows if row.record is not None and row.record.lost is None]
        outcomes = [Outcome(record.person, record.emotion) for record in heard]
        metrics.update(self._note_outcomes(outcomes))
        turns = [(turn, uid) for row, uid in zip(rows, uids, strict=True) for turn in row.turns]
        self._note_replies([turn for turn, _ in turns], [uid for _, uid in turns], metrics)
        reasons = [c.left_out.message for c in step.credits if c.left_out is not None]
        lost = step.metrics["group/frac_lost"]
        failed = Failed(step.num_lost, step.num_asked, lost, step.failures, reasons)
        self._end_if_problem(self._watch.look(self.global_steps, failed), step.metrics)

    def _write(
        self, batch: Any, step: DialogueStep, spans: list[Any], positions: list[int]
    ) -> None:
        trained = [True] * len(batch)  # padding rows are masked by verl
        rewards: Spans = {}
        self._advantages = {}
        for position, credit, turns in zip(positions, step.credits, spans, strict=True):
            trained[position] = credit.left_out is None
            if credit.left_out is not None:
                continue
            found = list(zip(turns, credit.rewards_T, credit.advantages_T, strict=True))
            rewards[position] = [(end - 1, end, reward) for (_, end), reward, _ in found]
            self._advantages[position] = [(first, end, value) for (first, end), _, value in found]
        self._trains = any(step.trained)
        scores = {"rm_scores": queue.per_token(batch, rewards)}
        queue.write(batch, scores | self._masks(batch, trained))

    def _note(
        self, rows: Sequence[GradedDialogue], uids: Sequence[str], step: DialogueStep
    ) -> None:
        number = self._mint.run.samples_per_step
        self._run.append_samples(talk_samples(self.global_steps, rows, uids, step, number))
        append_json_lines(self._run.lost_path, lost_rows(self.global_steps, rows, uids))

    def _validated(
        self,
        sources: Sequence[str],
        uids: Sequence[str],
        columns: Mapping[str, Sequence[Any]],
        missing: int,
    ) -> dict[str, float]:
        rows = unpack_dialogue_columns(columns)
        replies = []
        for source, uid, row in zip(sources, uids, rows, strict=True):
            before = [r.history for r in requests_of(row.record)] if row.record else [()]
            replies += [
                ValidationReply(str(source), str(uid), turn, history)
                for turn, history in zip(row.turns, before, strict=True)
            ]
        talks = [row.record for row in rows if row.record is not None]
        append_json_lines(
            self._run.lost_path, lost_rows(self.global_steps, rows, list(uids), "validate")
        )
        return self._validation.validate(
            self.global_steps,
            replies,
            missing,
            self.total_training_steps,
            {k: value for k, value in talk_metrics(talks, missing).items() if value == value},
        )
