"""MintTrainer: verl's synchronous V1 trainer with mint's rewards, metrics, samples and checkpoints.

verl scores each rollout on its own; mint's rewards need siblings side by side. Before verl computes
advantages a subclass reads the signals of the sampled batch back and writes rewards: of single
replies in `reply_trainer`, of dialogues in `dialogue_trainer`.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import open_dict
from verl.trainer.ppo.v1 import AgentLoopManagerTQ
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from mint.config.schema import MintConfig, mint_config
from mint.config.validation import PROBE_SOURCE
from mint.rundir.directory import RunDir
from mint.shell.files import append_json_lines
from mint.shell.processes import TrainingError
from mint.verl import batch as queue
from mint.verl.checkpoint import prune_checkpoints
from mint.verl.critic import WithCritic
from mint.verl.grader_health import GraderHealth
from mint.verl.group_reward import Asked
from mint.verl.groups import keep_siblings
from mint.verl.masks import without_gradient
from mint.verl.phases import NotedStart
from mint.verl.policy_loss import settle_agreement
from mint.verl.requests import SavesOnRequest
from mint.verl.samples import quarantine_rows
from mint.verl.step_metrics import LOGGED_TWICE, translate
from mint.verl.step_record import KeepsStepMetrics
from mint.verl.updates import UpdateWatch
from mint.verl.validation import TrainingValidation
from mint.verl.wire import GradedReply
from rewards.errors import GraderError


class MintTrainer(NotedStart, SavesOnRequest, KeepsStepMetrics, WithCritic, PPOTrainerSync):
    """PPOTrainerSync whose rewards, metrics and samples are mint's."""

    unit = "replies"
    """What a step asks for, in words."""

    def __init__(self, config: Any) -> None:
        self._mint: MintConfig = mint_config(config)
        self._run = RunDir(Path(self._mint.run.dir))
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

    def _balance_batch(self, batch: Any, metrics: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if not batch.keys:
            prompts, replies = self._asked
            raise GraderError(
                f"step {self.global_steps}: none of {prompts} x {replies} {self.unit} came back: "
                "every rollout or its reward worker raised or died, the log has the traceback"
            )
        batch = super()._balance_batch(batch, metrics, *args, **kwargs)
        return keep_siblings(batch, self.actor_rollout_wg, metrics)

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        started = time.perf_counter()
        self._reward(batch, metrics)
        metrics["time/group_reward_s"] = time.perf_counter() - started
        return super()._compute_advantage(batch, metrics)

    @abstractmethod
    def _reward(self, batch: Any, metrics: dict[str, Any]) -> None:
        """Write the rewards of the batch and what belongs in the run directory about it; set
        `_trains`. Raises GraderError when too much of it failed."""

    @abstractmethod
    def _validated(
        self,
        sources: Sequence[str],
        uids: Sequence[str],
        columns: Mapping[str, Sequence[Any]],
        missing: int,
    ) -> dict[str, float]:
        """Metrics of a validation pass, a row each in the first three; records it. `missing`:
        replies or dialogues that never came; a safety probe that did not is none of them."""

    def _masks(self, batch: Any, trained: Sequence[bool]) -> dict[str, Any]:
        """Both masks without the rows that must not be learnt from, padding rows aside; {} where
        none is left out, or all are (`_trains`) and no update follows."""
        if not self._trains or all(trained):
            return {}
        mask = without_gradient(queue.read(batch, "response_mask")["response_mask"], trained)
        return {"response_mask": mask, "loss_mask": mask.clone()}

    def _note_replies(
        self, rows: Sequence[GradedReply], uids: Sequence[str], metrics: dict[str, Any]
    ) -> None:
        """What all graded replies of a step are looked at for, whatever they are rewarded for."""
        metrics.update(self._health.metrics())
        append_json_lines(self._run.quarantine_path, quarantine_rows(self.global_steps, rows, uids))
        self._graded = list(rows)

    def _end_if_problem(self, problem: str, metrics: dict[str, float]) -> None:
        if problem:
            self._run.append_metrics(self.global_steps, {**metrics, **self._health.metrics()})
            raise GraderError(problem)

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
        missing = num_missing(expected_acc_counts or {}, data_sources)
        metrics = self._validated(data_sources, sample_uids, reward_extra_infos_dict, missing)
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
            for name in ("throughput/mfu", "throughput/critic_mfu"):
                mine.pop(name, None)
        mine |= self._updates.look(mine.get("policy/grad_norm"))
        self._run.append_metrics(self.global_steps, mine)
        for name in LOGGED_TWICE:
            metrics.pop(name, None)
        metrics.update(mine)
        if problem := self._updates.problem(self.global_steps):
            raise TrainingError(problem)
        return result


def num_missing(asked: Mapping[tuple[str, str], int], came: Sequence[str]) -> int:
    """Rows that were asked for and never came, safety probes aside: `mint.safety` counts those.

    `asked`: (data_source, uid) -> rows; `came`: data_source of each row that did; no row of a
    source that was not asked for.
    """
    wanted = sum(number for (source, _), number in asked.items() if source != PROBE_SOURCE)
    return max(0, wanted - sum(str(source) != PROBE_SOURCE for source in came))


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
