"""Training on single replies: the MINT formula over each group of siblings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from mint.verl import batch as queue
from mint.verl.failure_watch import FailureWatch
from mint.verl.group_reward import StepReward, step_rewards
from mint.verl.masks import advantage_groups
from mint.verl.samples import sample_rows
from mint.verl.trainer import MintTrainer
from mint.verl.validation import ValidationReply
from mint.verl.wire import KEY, unpack, unpack_columns


class ReplyTrainer(MintTrainer):
    """`MintTrainer` of mint.task=replies."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._watch = FailureWatch(self._mint.grading, str(self._run.quarantine_path))

    def _reward(self, batch: Any, metrics: dict[str, Any]) -> None:
        extras, uids, positions = queue.read_extras(batch, KEY)
        rows = [unpack(extra[KEY]) for extra in extras]
        result = step_rewards(rows, uids, self._mint.reward, self._asked)
        metrics.update(result.metrics)
        self._write_scores(batch, result, uids, positions)
        self._run.append_samples(
            sample_rows(self.global_steps, rows, uids, result, self._mint.run.samples_per_step)
        )
        problem = self._watch.problem(self.global_steps, rows, result)
        self._note_replies(rows, uids, metrics)
        self._end_if_problem(problem, result.metrics)

    def _validated(
        self,
        sources: Sequence[str],
        uids: Sequence[str],
        columns: Mapping[str, Sequence[Any]],
        missing: int,
    ) -> dict[str, float]:
        replies = [
            ValidationReply(str(source), str(uid), row)
            for source, uid, row in zip(sources, uids, unpack_columns(columns), strict=True)
        ]
        return self._validation.validate(
            self.global_steps, replies, missing, self.total_training_steps
        )

    def _write_scores(
        self, batch: Any, result: StepReward, uids: list[str], positions: list[int]
    ) -> None:
        """The rewards, and where some rows must not be learnt from, masks that leave them out."""
        trained = [True] * len(batch)  # padding rows are masked by verl
        groups = [""] * len(batch)
        scores: dict[int, list[tuple[int, int, float]]] = {}
        own = advantage_groups(uids, result.trained)
        for position, score, keep, group in zip(
            positions, result.scores, result.trained, own, strict=True
        ):
            trained[position], groups[position] = keep, group
            end = int(batch.tags[position]["response_len"])
            scores[position] = [(end - 1, end, score if keep else 0.0)]
        self._trains = any(result.trained)
        fields = self._masks(batch, trained)
        if fields:
            names = list_of_dict_to_tensordict([{"uid": group} for group in groups])
            fields["uid"] = names.get("uid")
        queue.write(batch, fields | {"rm_scores": queue.per_token(batch, scores)})
