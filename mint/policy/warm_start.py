"""Supervised warm start: plain PyTorch, loss on the supporter's tokens only."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy

from mint.policy.settings import WarmStartSettings
from mint.shell.console import progress_bar
from rewards.precision import torch_dtype

_PEAK_AFTER = 0.05
_FINAL_LR = 0.05
_POOL = 40


class Example(NamedTuple):
    """A prompt and the reply to learn, as token ids; the reply includes its end token."""

    prompt: list[int]
    reply: list[int]

    @property
    def num_tokens(self) -> int:
        """Length of both, in tokens."""
        return len(self.prompt) + len(self.reply)


class TrainingResult(NamedTuple):
    """What happened."""

    steps: int
    tokens: int
    """Unpadded tokens seen."""
    loss: float
    """Mean over the last tenth of the steps, nats a supporter token."""
    seconds: float
    cpu_seconds: float


Progress = Callable[[float, str], None]
"""Called with the finished share in [0, 1] and a short status after every step."""


def train_shown(
    model: Any, phases: Sequence[Sequence[Example]], settings: WarmStartSettings
) -> TrainingResult:
    """`train` with a progress bar."""
    total = sum(example.num_tokens for phase in phases for example in phase)
    with progress_bar() as progress:
        task = progress.add_task("warm start", total=total)

        def show(done: float, status: str) -> None:
            description = f"warm start, {status}"
            progress.update(task, completed=round(done * total), description=description)

        return train(model, phases, settings, show)


def train(
    model: Any,
    phases: Sequence[Sequence[Example]],
    settings: WarmStartSettings,
    progress: Progress,
) -> TrainingResult:
    """One pass over the examples, phase after phase; changes `model` in place.

    The learning rate warms up over the first 5 % of the tokens and then falls, as a cosine, to 5 %
    of its peak. Parameters stay float32 whatever the precision.
    """
    dtype = torch_dtype(settings.dtype)
    batches = chain.from_iterable(
        make_batches(phase, settings.batch_tokens, settings.seed) for phase in phases
    )
    total = sum(example.num_tokens for phase in phases for example in phase)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    other = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed}, {"params": other, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    started, cpu_started = time.perf_counter(), time.process_time()
    losses: list[float] = []
    seen = 0
    model.train()
    for batch in batches:
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(seen / total)
        loss = batch_loss(model, batch, dtype)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seen += sum(example.num_tokens for example in batch)
        progress(seen / total, f"loss {sum(losses[-10:]) / len(losses[-10:]):.3f}")
    tail = losses[-max(1, len(losses) // 10) :]
    return TrainingResult(
        steps=len(losses),
        tokens=total,
        loss=sum(tail) / len(tail),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
    )


def batch_loss(model: Any, batch: Sequence[Example], dtype: torch.dtype) -> torch.Tensor:
    """Mean cross-entropy of the reply tokens of a batch, nats a token."""
    length = max(example.num_tokens for example in batch)
    # Padding is on the right, behind everything that is predicted, so causal attention never
    # sees it and no mask is needed; the fast attention kernel then applies.
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    predicts = torch.zeros(len(batch), length, dtype=torch.bool)
    for row, (prompt, reply) in enumerate(batch):
        ids[row, : len(prompt) + len(reply)] = torch.tensor(prompt + reply)
        predicts[row, len(prompt) - 1 : len(prompt) + len(reply) - 1] = True
    targets = ids.roll(-1, dims=1)[predicts]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
        # The output layer is a quarter of the work; only reply positions need it.
        logits = model.lm_head(hidden[predicts])
    return cross_entropy(logits.float(), targets)


@torch.no_grad()
def mean_loss(model: Any, examples: Sequence[Example], settings: WarmStartSettings) -> float:
    """Cross-entropy of the reply tokens of `examples`, nats a token."""
    model.eval()
    dtype = torch_dtype(settings.dtype)
    total, count = 0.0, 0
    for batch in make_batches(examples, settings.batch_tokens, settings.seed):
        tokens = sum(len(example.reply) for example in batch)
        total += batch_loss(model, batch, dtype).item() * tokens
        count += tokens
    return total / count


def make_batches(
    examples: Sequence[Example], batch_tokens: int, seed: int
) -> Iterator[list[Example]]:
    """All examples once, in batches of examples of like length, in random order."""
    rng = random.Random(seed)
    order = list(examples)
    if not order:
        return
    rng.shuffle(order)
    pool_size = max(1, _POOL * batch_tokens * len(order) // sum(e.num_tokens for e in order))
    for start in range(0, len(order), pool_size):
        pool = sorted(order[start : start + pool_size], key=lambda e: e.num_tokens)
        batches = _cut(pool, batch_tokens)
        rng.shuffle(batches)
        yield from batches


def _cut(pool: Sequence[Example], batch_tokens: int) -> list[list[Example]]:
    batches: list[list[Example]] = [[]]
    for example in pool:
        # Ascending lengths: the new example is the longest of its batch.
        if batches[-1] and (len(batches[-1]) + 1) * example.num_tokens > batch_tokens:
            batches.append([])
        batches[-1].append(example)
    return batches


def _schedule(done: float) -> float:
    if done < _PEAK_AFTER:
        return max(0.02, done / _PEAK_AFTER)
    phase = (done - _PEAK_AFTER) / (1 - _PEAK_AFTER)
    return _FINAL_LR + (1 - _FINAL_LR) * 0.5 * (1 + math.cos(math.pi * phase))
