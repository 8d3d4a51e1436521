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
from omegaconf import open_dict
from tensordict import TensorDict
from verl.trainer.ppo.v1 import AgentLoopManagerTQ
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from mint.config.schema import MintConfig, mint_config
from mint.rundir.directory import RunDir
from mint.shell.files import append_json_lines
from mint.shell.processes import TrainingError
from mint.verl.checkpoint import prune_checkpoints
from mint.verl.failure_watch import FailureWatch
from mint.verl.grader_health import GraderHealth
from mint.verl.group_reward import Asked, StepReward, step_rewards
from mint.verl.masks import advantage_groups, without_gradient
from mint.verl.phases import NotedStart
from mint.verl.policy_loss import settle_agreement
from mint.verl.requests import SavesOnRequest
from mint.verl.samples import quarantine_rows, sample_rows
from mint.verl.step_metrics import LOGGED_TWICE, translate
from mint.verl.step_record import KeepsStepMetrics
from mint.verl.updates import UpdateWatch
from mint.verl.validation import TrainingValidation, ValidationReply
from mint.verl.wire import KEY, GradedReply, unpack, unpack_columns
from rewards.errors import GraderError


class MintTrainer(NotedStart, SavesOnRequest, KeepsStepMetrics, PPOTrainerSync):
    """PPOTrainerSync whose rewards, metrics and samples are mint's."""

    def __init__(self, config: Any) -> None:
        self._mint: MintConfig = mint_config(config)
        self._run = RunDir(Path(self._mint.run.dir))
        self._watch = FailureWatch(self._mint.grading, str(self._run.quarantine_path))
        self._updates = UpdateWatch(self._mint.run.max_skipped_updates)
        self._health = GraderHealth(self._mint)
        self._validation = TrainingValidation(self._mint, self._run)
        self._keep = config.trainer.max_actor_ckpt_to_keep
        self._saved_step = 0
        with open_dict(config):
            # Checkpoints are deleted here: verl forgets those of before a resume, and the best one
            # may be old.
            config.trainer.max_actor_ckpt_to_keep = None
        self._asked = Asked(
            int(config.data.train_batch_size), int(config.actor_rollout_ref.rollout.n)
        )
        self._trains = True
        self._graded: list[GradedReply] = []
        if self._validates:
            use_validation_keys(config, self._mint, self._run)
        super().__init__(config)

    @property
    def _validates(self) -> bool:
        return self._mint.validation.every_steps is not None

    def _build_replay_buffer(self) -> Any:
        buffer = super()._build_replay_buffer()
        buffer.poll_interval = self._mint.run.poll_interval_s
        return buffer

    def on_init_end(self) -> None:
        # Its workers import for seconds; the first weights are pushed meanwhile.
        self.agent_loop_manager = AgentLoopManagerTQ.create(
            config=self.config,
            llm_client=self.get_llm_client(),
            teacher_client=self.get_teacher_client(),
            reward_loop_worker_handles=self.get_reward_handles(),
        )
        super().on_init_end()

    def _balance_batch(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        if not batch.keys:
            prompts, replies = self._asked
            raise GraderError(
                f"step {self.global_steps}: none of {prompts} x {replies} replies came back: every "
                "rollout or its reward worker raised or died, the log has the traceback"
            )
        return super()._balance_batch(batch, *args, **kwargs)

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        started = time.perf_counter()
        rows, uids, positions = self._read_signals(batch)
        result = step_rewards(rows, uids, self._mint.reward, self._asked)
        metrics.update(result.metrics)
        self._write_scores(batch, result, uids, positions)
        metrics["time/group_reward_s"] = time.perf_counter() - started
        metrics.update(self._health.metrics())
        self._run.append_samples(
            sample_rows(self.global_steps, rows, uids, result, self._mint.run.samples_per_step)
        )
        append_json_lines(self._run.quarantine_path, quarantine_rows(self.global_steps, rows, uids))
        self._check_graders(rows, result)
        self._graded = rows
        return super()._compute_advantage(batch, metrics)

    def _update_actor(self, batch: Any, metrics: dict[str, Any]) -> Any:
        # Without a single token to learn from verl would divide by their number, 0.
        return super()._update_actor(batch, metrics=metrics) if self._trains else batch

    def _step_once(self, metrics: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        batch = super()._step_once(metrics, *args, **kwargs)
        settle_agreement(metrics)  # measured within the update
        entropy = metrics.get("actor/entropy")
        metrics.update(self._validation.look(self.global_steps, self._graded, entropy))
        return batch

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        self._validation.begin(self.global_steps)

    def _save_checkpoint(self) -> None:
        super()._save_checkpoint()
        self._saved_step = self.global_steps
        self._prune()

    def on_step_end(self) -> None:
        """Before the new weights are pushed: save what will be validated, or is the last step."""
        step = self.global_steps
        ends = self._validation.stopped is not None
        due = ends or self._validation.due(step, self.total_training_steps)
        if due:
            self.save_now()
        super().on_step_end()
        self._end_if_stopped()

    def _val_metrics_update(
        self,
        data_sources: list[str],
        sample_uids: list[str],
        reward_extra_infos_dict: dict[str, list[Any]],
        sample_turns: list[int],
        expected_acc_counts: dict[tuple[str, str], int] | None = None,
    ) -> dict[str, float]:
        graded = unpack_columns(reward_extra_infos_dict)
        replies = [
            ValidationReply(str(source), str(uid), row)
            for source, uid, row in zip(data_sources, sample_uids, graded, strict=True)
        ]
        asked = sum(expected_acc_counts.values()) if expected_acc_counts else len(replies)
        metrics = self._validation.validate(
            self.global_steps, replies, asked - len(replies), self.total_training_steps
        )
        self._prune()
        self._end_if_stopped()
        return metrics

    def _end_if_stopped(self) -> None:
        # verl's loop goes on while global_steps <= total_training_steps.
        if self._validation.stopped is not None:
            self.total_training_steps = self.global_steps

    def _prune(self) -> None:
        prune_checkpoints(self._run, self._keep, self._validation.best_step)

    def _compute_metrics(
        self, batch: Any, metrics: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        result = super()._compute_metrics(batch, metrics, *args, **kwargs)
        mine = translate(metrics)
        if self.config.trainer.device == "cpu":  # verl guesses the peak of a processor
            mine.pop("throughput/mfu", None)
        mine |= self._updates.look(mine.get("policy/grad_norm"))
        self._run.append_metrics(self.global_steps, mine)
        for name in LOGGED_TWICE:
            metrics.pop(name, None)
        metrics.update(mine)
        if problem := self._updates.problem(self.global_steps):
            raise TrainingError(problem)
        return result

    def _read_signals(self, batch: Any) -> tuple[list[GradedReply], list[str], list[int]]:
        """Graded replies, their group ids and their row numbers, without verl's padding rows."""
        fields = ["uid", "extra_fields"]
        data = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=fields
        )
        uids, extras = list(data["uid"]), list(data["extra_fields"])
        positions = [i for i, tag in enumerate(batch.tags) if not tag.get("is_padding")]
        rows = [unpack(extras[i][KEY]) for i in positions]
        return rows, [str(uids[i]) for i in positions], positions

    def _write_scores(
        self, batch: Any, result: StepReward, uids: list[str], positions: list[int]
    ) -> None:
        """The rewards, and where some rows must not be learnt from, masks that leave them out."""
        trained = [True] * len(batch)  # padding rows are masked by verl
        groups = [""] * len(batch)
        score_of: dict[int, float] = {}
        own = advantage_groups(uids, result.trained)
        for position, score, keep, group in zip(
            positions, result.scores, result.trained, own, strict=True
        ):
            trained[position], groups[position] = keep, group
            score_of[position] = score if keep else 0.0
        rewards = []
        for position, tag in enumerate(batch.tags):
            row = torch.zeros(int(tag["response_len"]), dtype=torch.float32)
            row[-1] = score_of.get(position, 0.0)
            rewards.append(row)
        fields = {"rm_scores": torch.nested.as_nested_tensor(rewards, layout=torch.jagged)}
        self._trains = any(result.trained)
        if self._trains and not all(trained):
            fields |= self._left_out(batch, trained, groups)
        tq.kv_batch_put(
            keys=batch.keys,
            partition_id=batch.partition_id,
            fields=TensorDict(fields, batch_size=len(batch)),
        )

    def _left_out(self, batch: Any, trained: list[bool], groups: list[str]) -> dict[str, Any]:
        data = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["response_mask"]
        )
        mask = without_gradient(data["response_mask"], trained)
        uids = list_of_dict_to_tensordict([{"uid": group} for group in groups]).get("uid")
        return {"response_mask": mask, "loss_mask": mask.clone(), "uid": uids}

    def _check_graders(self, rows: list[GradedReply], result: StepReward) -> None:
        problem = self._watch.problem(self.global_steps, rows, result)
        if problem:
            self._run.append_metrics(
                self.global_steps, {**result.metrics, **self._health.metrics()}
            )
            raise GraderError(problem)


def use_validation_keys(config: Any, mint: MintConfig, run: RunDir) -> None:
    """Point verl's validation pass at mint's prompts and settings, for this process only.

    RUN/config.yaml keeps data.val_files, which `mint.evaluate` reads.
    """
    with open_dict(config):
        config.data.val_files = str(run.prompts_path)
        config.data.validation_shuffle = False
        config.trainer.test_freq = mint.validation.every_steps
        sampling = config.actor_rollout_ref.rollout.val_kwargs
        sampling.n = 1
        sampling.do_sample = mint.evaluation.temperature > 0
        sampling.temperature = mint.evaluation.temperature
        sampling.top_p = mint.evaluation.top_p
