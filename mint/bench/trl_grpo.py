"""GRPO steps of TRL, timed: `python -m mint.bench.trl_grpo SPEC.json`, run by TRL's interpreter.

Prints one JSON object a step. The policy, prompts, sampling, graders, group formula and optimiser
settings are those of a mint run (`mint.bench.trl.make_spec`). What TRL is given to be fast on a
CPU: all replies of a step in one batch for generation, reference and update, no gradient
checkpointing, no logging or saving, a thread a core. Precision bfloat16 is autocast over float32
weights, which is what mint trains with.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mint.filters.lines import clean_stdout
from mint.rundir.quarantine import turn_request
from rewards.build import EncoderConfig, JudgeConfig, TaggerConfig, build_graders
from rewards.errors import DataError
from rewards.formula import RewardWeights, group_rewards, raw_reward
from rewards.scorer import ReplyScorer
from rewards.types import Signals

CountTokens = Callable[[str], int]
CONTEXT = ("history", "previous_counts", "history_tactics")
"""What grading needs of a training row's `extra_info`."""


class Clock:
    """Seconds spent in named pieces of work since the last `take`."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, with its seconds added to `name`."""

        def run(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            result = work(*args, **kwargs)
            spent = time.perf_counter() - started
            self._seconds[name] = self._seconds.setdefault(name, 0.0) + spent
            return result

        return run

    def take(self) -> dict[str, float]:
        """Name -> seconds, and start again at nothing."""
        seconds, self._seconds = self._seconds, {}
        return seconds


class GroupReward:
    """TRL's reward function: mint's graders and group formula on sibling replies."""

    __name__ = "mint"

    def __init__(self, spec: Mapping[str, Any], count_tokens: CountTokens, eos_id: int) -> None:
        graders = build_graders(
            EncoderConfig(**spec["encoder"]),
            TaggerConfig(**spec["tagger"]),
            JudgeConfig(**spec["judge"]),
        )
        self._weights = RewardWeights(**spec["reward"])
        self._scorer = ReplyScorer(*graders, surprisals=self._weights.used_surprisals())
        self._group = int(spec["replies_per_prompt"])
        self._count_tokens = count_tokens
        self._eos_id = eos_id
        self.raw: list[float] = []
        """Composite rewards of the newest call; replies that could not be graded left out."""

    def __call__(
        self, *, completions: Sequence[Any], completion_ids: Sequence[Any], **columns: Any
    ) -> list[float]:
        """One reward a reply; siblings are neighbours, `columns` has a row's fields a reply."""
        requests = []
        for i, (completion, ids) in enumerate(zip(completions, completion_ids, strict=True)):
            info = {name: columns[name][i] for name in CONTEXT}
            reply = completion[0]["content"]
            truncated = list(ids)[-1:] != [self._eos_id]
            requests.append(turn_request(info, reply, self._count_tokens, truncated=truncated))
        signals = asyncio.run(self._scorer.score(requests))
        graded = [raw_reward(s, self._weights) for s in signals]
        self.raw = [value for value in graded if value is not None]
        return grouped_scores(signals, self._group, self._weights)


def grouped_scores(
    signals: Sequence[Signals], group_size: int, weights: RewardWeights
) -> list[float]:
    """Rewards of neighbouring groups of `group_size` siblings. DataError for a broken group."""
    if len(signals) % group_size:
        raise DataError(f"{len(signals)} replies are no whole groups of {group_size}")
    scores: list[float] = []
    for start in range(0, len(signals), group_size):
        scores += group_rewards(signals[start : start + group_size], weights).scores
    return scores


def read_prompts(
    path: Path, number: int, seed: int, fits: Callable[[list[dict[str, str]]], bool]
) -> list[dict[str, Any]]:
    """`number` training rows in random order, only those whose prompt `fits`, as TRL wants them."""
    rows = pq.read_table(path, columns=["prompt", "extra_info"]).to_pylist()
    random.Random(seed).shuffle(rows)
    chosen = [row for row in rows if fits(row["prompt"])]
    if not chosen:
        raise DataError(f"{path}: no prompt is short enough")
    while len(chosen) < number:
        chosen += chosen
    return [
        {"prompt": row["prompt"], **{name: row["extra_info"][name] for name in CONTEXT}}
        for row in chosen[:number]
    ]


def train(spec: Mapping[str, Any], emit: Callable[[dict[str, Any]], None]) -> None:
    """Train `spec["steps"]` steps and `emit` one row of figures a step."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(spec["policy"], padding_side="left")
    template = spec["chat_template_kwargs"]

    def fits(prompt: list[dict[str, str]]) -> bool:
        text = tokenizer.apply_chat_template(
            prompt, tokenize=False, add_generation_prompt=True, **template
        )
        return len(tokenizer.encode(text)) <= int(spec["max_prompt_tokens"])

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    number = int(spec["steps"]) * int(spec["prompts"])
    rows = read_prompts(Path(spec["train_file"]), number, int(spec["seed"]), fits)
    reward = GroupReward(spec, count, tokenizer.eos_token_id)
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(spec["policy"], dtype="float32"),
        args=grpo_config(spec),
        reward_funcs=reward,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    trainer.add_callback(_reporter(trainer, reward, emit))
    trainer.train()


def grpo_config(spec: Mapping[str, Any]) -> Any:
    """TRL's settings for `spec`."""
    from trl import GRPOConfig

    return GRPOConfig(
        output_dir=spec["output_dir"],
        use_cpu=True,
        bf16=spec["precision"] == "bfloat16",
        seed=int(spec["seed"]),
        max_steps=int(spec["steps"]),
        per_device_train_batch_size=int(spec["prompts"]) * int(spec["replies_per_prompt"]),
        gradient_accumulation_steps=1,
        gradient_checkpointing=False,
        num_generations=int(spec["replies_per_prompt"]),
        num_iterations=1,
        max_completion_length=int(spec["max_reply_tokens"]),
        chat_template_kwargs=spec["chat_template_kwargs"],
        temperature=float(spec["temperature"]),
        top_p=1.0,
        top_k=0,
        beta=float(spec["kl"]),
        epsilon=float(spec["clip"]),
        loss_type="dapo",  # every token weighs the same, as in verl's token-mean
        learning_rate=float(spec["learning_rate"]),
        lr_scheduler_type="constant",
        weight_decay=float(spec["weight_decay"]),
        max_grad_norm=float(spec["max_grad_norm"]),
        shuffle_dataset=False,
        dataloader_pin_memory=False,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )


def _watch(trainer: Any, clock: Clock) -> list[int]:
    """Time the trainer's methods; returns a list that holds the newest replies' token counts."""
    lengths: list[int] = []
    generate = clock.timed("generation", trainer._generate)

    def generate_and_count(prompts: Any) -> Any:
        result = generate(prompts)
        lengths[:] = [len(ids) for ids in result[1]]
        return result

    trainer._generate = generate_and_count
    trainer._calculate_rewards = clock.timed("rewards", trainer._calculate_rewards)
    trainer._generate_and_score_completions = clock.timed(
        "rollout", trainer._generate_and_score_completions
    )
    return lengths


def _reporter(trainer: Any, reward: GroupReward, emit: Callable[[dict[str, Any]], None]) -> Any:
    """A callback that emits a row of figures after each step of `trainer`."""
    import trl
    from transformers import TrainerCallback

    clock = Clock()
    lengths = _watch(trainer, clock)

    class Reporter(TrainerCallback):
        """Wall-clock seconds from the end of one step to the end of the next."""

        started = 0.0

        def on_train_begin(self, *_args: Any, **_kwargs: Any) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, _args: Any, state: Any, *_rest: Any, **_kwargs: Any) -> None:
            now = time.perf_counter()
            seconds, self.started = now - self.started, now
            emit(
                {
                    "step": int(state.global_step),
                    "trl": trl.__version__,
                    **_parts(seconds, clock.take()),
                    "replies": len(lengths),
                    "reply_tokens": sum(lengths) / len(lengths),
                    "reward": sum(reward.raw) / max(1, len(reward.raw)),
                }
            )

    return Reporter()


def _parts(seconds: float, spent: Mapping[str, float]) -> dict[str, float]:
    """A step's seconds and its parts, which add up to them."""
    return {
        "seconds": seconds,
        "generation": spent["generation"],
        "rewards": spent["rewards"],
        # What is left of TRL's rollout: reference log-probabilities and advantages.
        "reference": spent["rollout"] - spent["generation"] - spent["rewards"],
        "update": seconds - spent["rollout"],
    }


def main(spec_path: str) -> int:
    """Exit status 0; errors end in a traceback, whose last line the caller shows."""
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    with clean_stdout() as write:
        train(spec, lambda row: write(json.dumps(row) + "\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
