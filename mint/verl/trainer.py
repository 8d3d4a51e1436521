"""MintTrainer: verl's synchronous V1 trainer with rewards computed over whole groups.

The only file that touches TransferQueue. verl scores each rollout on its own; the MINT formula
needs siblings side by side, so this subclass reads the signals of the sampled batch back, applies
`rewards.formula` per uid and overwrites `rm_scores` before verl computes advantages.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
import transfer_queue as tq
from tensordict import TensorDict
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from mint.config import MintConfig, mint_config
from mint.runlog import RunDir, append_json_lines
from mint.verl.failure_watch import FailureWatch
from mint.verl.grader_health import GraderHealth
from mint.verl.group_reward import StepReward, step_rewards
from mint.verl.samples import quarantine_rows, sample_rows
from mint.verl.step_metrics import translate
from mint.verl.wire import KEY, GradedReply, unpack
from rewards.errors import GraderError


class MintTrainer(PPOTrainerSync):
    """PPOTrainerSync whose rewards, metrics and samples are mint's."""

    def __init__(self, config: Any) -> None:
        self._mint: MintConfig = mint_config(config)
        self._run = RunDir(Path(self._mint.run.dir))
        self._watch = FailureWatch(self._mint.grading, str(self._run.quarantine_path))
        self._health = GraderHealth(self._mint)
        super().__init__(config)

    def _build_replay_buffer(self) -> Any:
        buffer = super()._build_replay_buffer()
        buffer.poll_interval = self._mint.run.poll_interval_s
        return buffer

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        started = time.perf_counter()
        rows, uids, positions = self._read_signals(batch)
        result = step_rewards(rows, uids, self._mint.reward)
        metrics.update(result.metrics)
        self._write_scores(batch, result, positions)
        metrics["time/group_reward_s"] = time.perf_counter() - started
        metrics.update(self._health.metrics())
        self._run.append_samples(
            sample_rows(self.global_steps, rows, uids, result, self._mint.run.samples_per_step)
        )
        append_json_lines(self._run.quarantine_path, quarantine_rows(self.global_steps, rows, uids))
        self._check_graders(rows, result)
        return super()._compute_advantage(batch, metrics)

    def _compute_metrics(
        self, batch: Any, metrics: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        result = super()._compute_metrics(batch, metrics, *args, **kwargs)
        mine = translate(metrics)
        self._run.append_metrics(self.global_steps, mine)
        metrics.update(mine)
        return result

    def _read_signals(self, batch: Any) -> tuple[list[GradedReply], list[str], list[int]]:
        """Graded replies, their group ids and their row numbers, without verl's padding rows."""
        fields = ["uid", "extra_fields"]
        data = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=fields
        )
        uids, extras = list(data["uid"]), list(data["extra_fields"])
        positions = [i for i, tag in enumerate(batch.tags) if not (tag.get("is_padding"))]
        rows = [unpack(extras[i][KEY]) for i in positions]
        return rows, [str(uids[i]) for i in positions], positions

    def _write_scores(self, batch: Any, result: StepReward, positions: list[int]) -> None:
        data = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["response_mask"]
        )
        lengths = data["response_mask"].offsets().diff().tolist()
        score_of = dict(zip(positions, result.scores, strict=True))
        rewards = []
        for position, length in enumerate(lengths):
            row = torch.zeros(int(length), dtype=torch.float32)
            row[-1] = score_of[position] if position in score_of else 0.0
            rewards.append(row)
        fields = TensorDict(
            {"rm_scores": torch.nested.as_nested_tensor(rewards, layout=torch.jagged)},
            batch_size=len(batch),
        )
        tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)

    def _check_graders(self, rows: list[GradedReply], result: StepReward) -> None:
        problem = self._watch.problem(self.global_steps, rows, result.metrics)
        if problem:
            self._run.append_metrics(
                self.global_steps, {**result.metrics, **self._health.metrics()}
            )
            raise GraderError(problem)
