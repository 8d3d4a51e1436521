"""Fine-tuning of the encoder for the embedded graders: LoRA (arXiv 2106.09685), one task for each.

The tactics of every sentence (binary cross-entropy) and the ratings of every reply (smooth L1 on
standardised ratings) are learnt together, so that one encoder pass serves both graders. torch and
peft are needed here only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rewards.graders.embedded.adapter import LowRank
from rewards.graders.embedded.encoder import POOLED_VECTORS, padded
from rewards.graders.embedded.windows import Window, plan_batches
from rewards.tactics import NUM_TACTICS

TARGETS = ("query", "key", "value", "dense")
"""Names of the weights that change: every linear map of a BERT layer."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How the encoder is fine-tuned."""

    epochs: int = 2
    rank: int = 16
    """Rank of the change of each weight."""
    learning_rate: float = 6e-4
    head_learning_rate: float = 2e-3
    batch_tokens: int = 2048
    """Tokens a step, padding included."""
    rating_weight: float = 1.0
    """Weight of the ratings' loss beside that of the tactics."""
    seed: int = 0


class Example(NamedTuple):
    """A reply with what is known of it."""

    window: Window
    sentences: tuple[int, ...]
    """Which sentences of the reply the window holds."""
    tactics: NDArray[np.float32] | None
    """0 or 1, [sentences of the window, tactics]."""
    ratings: NDArray[np.float32] | None
    """[outputs], standardised; only on the first window of a reply."""
    weight: float = 1.0
    """Weight of its sentences in the tactics' loss."""


class Trained(NamedTuple):
    """What fine-tuning has found."""

    modules: Mapping[str, LowRank]
    scale: float


def fine_tune(
    model: torch.nn.Module,
    examples: Sequence[Example],
    settings: TrainingSettings,
    advance: Callable[[int, int], None],
) -> Trained:
    """Learn a low-rank change of `model`; the heads it is learnt with are given up.

    `model` is changed in place and not usable afterwards. `advance(done, all)` is called after
    every step. Deterministic for equal arguments on one machine.
    """
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)
    scale = 2.0
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=int(scale * settings.rank),
        target_modules=list(TARGETS),
        bias="none",
    )
    adapted = get_peft_model(model.to(torch.bfloat16), config)  # type: ignore[arg-type]
    adapted.train()
    heads = _Heads(examples, dim=int(model.config.hidden_size))  # type: ignore[union-attr, arg-type]
    plan = list(_plan(examples, settings, rng))
    changed = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": changed, "lr": settings.learning_rate},
            {"params": list(heads.parameters()), "lr": settings.head_learning_rate},
        ],
        weight_decay=0.01,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        [settings.learning_rate, settings.head_learning_rate],
        total_steps=len(plan),
        pct_start=0.1,
        anneal_strategy="linear",
    )
    for step, batch in enumerate(plan, 1):
        loss = heads.loss(adapted, [examples[i] for i in batch], settings.rating_weight)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(changed, 1.0)
        optimizer.step()
        schedule.step()
        advance(step, len(plan))
    return Trained(
        modules=_changes(adapted),
        scale=scale,
    )


class _Heads(torch.nn.Module):
    """Linear heads for tactics and ratings, and the loss."""

    def __init__(self, examples: Sequence[Example], dim: int) -> None:
        super().__init__()
        labels = np.concatenate([e.tactics for e in examples if e.tactics is not None])
        share = torch.tensor(labels.mean(axis=0).clip(1e-3, 1 - 1e-3), dtype=torch.float32)
        sizes = {len(e.ratings) for e in examples if e.ratings is not None}
        self.tactics = torch.nn.Linear(dim, NUM_TACTICS)
        self.ratings = torch.nn.Linear(POOLED_VECTORS * dim, max(sizes, default=1))
        for head in (self.tactics, self.ratings):
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.zeros_(head.bias)
        with torch.no_grad():
            self.tactics.bias += torch.log(share / (1 - share))
        # Rare tactics count for more, by the square root of how rare they are.
        self.positive_weight = torch.sqrt((1 - share) / share).clamp(1.0, 6.0)

    def loss(
        self,
        model: torch.nn.Module,
        examples: Sequence[Example],
        rating_weight: float,
    ) -> torch.Tensor:
        windows = [example.window for example in examples]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = model(**padded(windows)).last_hidden_state
        sentences, pooled, owner = _pool(hidden, windows)
        total = torch.zeros(())
        tagged = [i for i, example in enumerate(examples) if example.tactics is not None]
        if tagged:
            rows = torch.cat([torch.nonzero(owner == i)[:, 0] for i in tagged])
            truth = torch.cat([torch.from_numpy(examples[i].tactics) for i in tagged])
            weight = torch.cat(
                [torch.full((len(examples[i].sentences),), examples[i].weight) for i in tagged]
            )
            each = functional.binary_cross_entropy_with_logits(
                self.tactics(functional.dropout(sentences[rows], 0.1)),
                truth,
                pos_weight=self.positive_weight,
                reduction="none",
            ).mean(1)
            total = total + (each * weight).sum() / weight.sum()
        rated = [i for i, example in enumerate(examples) if example.ratings is not None]
        if rated:
            found = self.ratings(functional.dropout(pooled[rated], 0.1))
            wanted = torch.stack([torch.from_numpy(examples[i].ratings) for i in rated])
            total = total + rating_weight * functional.smooth_l1_loss(found, wanted)
        return total


def _pool(
    hidden: torch.Tensor, windows: Sequence[Window]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sentence means [S, D], pooled windows [B, 3 D], and the window of each sentence [S]."""
    index, owner, base = [], [], 0
    width = hidden.shape[1]
    for row, window in enumerate(windows):
        first = min(s for s in window.sentence_of if s >= 0)
        last = max(window.sentence_of)
        inside = [base + s - first if s >= 0 else -1 for s in window.sentence_of]
        index += inside + [-1] * (width - len(inside))
        owner += [row] * (last - first + 1)
        base += last - first + 1
    place, owners = torch.tensor(index), torch.tensor(owner)
    keep = place >= 0
    dim = hidden.shape[2]
    tokens = hidden.reshape(-1, dim)[keep].float()
    sums = torch.zeros(base, dim).index_add(0, place[keep], tokens)
    counts = torch.zeros(base).index_add(0, place[keep], torch.ones(len(tokens)))
    reply_sums = torch.zeros(len(windows), dim).index_add(0, owners, sums)
    reply_counts = torch.zeros(len(windows)).index_add(0, owners, counts)
    sentences = sums / counts[:, None]
    highest = torch.full((len(windows), dim), -1e9).scatter_reduce(
        0, owners[:, None].expand(-1, dim), sentences, "amax"
    )
    mean = reply_sums / reply_counts[:, None]
    return sentences, torch.cat([mean, highest, hidden[:, 0].float()], 1), owners


def _plan(
    examples: Sequence[Example], settings: TrainingSettings, rng: random.Random
) -> Iterator[list[int]]:
    for _ in range(settings.epochs):
        # A little noise, so that a reply does not always meet the same neighbours.
        lengths = [len(example.window.tokens) + rng.randrange(20) for example in examples]
        batches = plan_batches(lengths, settings.batch_tokens)
        rng.shuffle(batches)
        yield from batches


def _changes(adapted: Any) -> dict[str, LowRank]:
    halves = {name: p.detach().float().numpy() for name, p in adapted.named_parameters()}
    changes = {}
    for name, a in halves.items():
        if ".lora_A." in name:
            module = name.removeprefix("base_model.model.").split(".lora_A.")[0]
            b = halves[name.replace(".lora_A.", ".lora_B.")]
            changes[module] = LowRank(a.astype(np.float16), b.astype(np.float16))
    return changes
