"""Multi-task fine-tuning as a task of `mint.tuning.loop`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from mint.shell.console import progress_bar
from mint.supervised import losses, mixture, scores
from mint.supervised.heads import Head
from mint.supervised.losses import Counts
from mint.supervised.samples import Sample
from mint.supervised.settings import SftSettings
from mint.tuning.batches import Rows, make_rows, pieces
from mint.tuning.model import as_it_began, autocast, dtype_of, hidden_states, logits_of
from mint.tuning.task import Measured, Share
from rewards.errors import ConfigError

EMOTION, STRATEGY, WITH_REPLY = "emotion", "strategy", "strategy_with_reply"


class Student(torch.nn.Module):
    """The language model and its heads."""

    def __init__(self, lm: Any, heads: Mapping[str, Head]) -> None:
        super().__init__()
        self.lm = lm
        self.heads = torch.nn.ModuleDict(heads)


class SftTask:
    """Samples, losses and dev measurements."""

    def __init__(
        self,
        student: Student,
        train: Mapping[str, Sequence[Sample]],
        dev: Mapping[str, Sequence[Sample]],
        settings: SftSettings,
        teacher: Any | None = None,
    ) -> None:
        """`teacher`: a frozen model; None takes the student's own without its adapters."""
        self.module = student
        self._train, self._settings, self._teacher = train, settings, teacher
        self._dev = [sample for own in dev.values() for sample in own]
        self._device = next(student.parameters()).device
        self._dtype = dtype_of(settings.model, self._device)
        sizes = {name: len(own) for name, own in train.items()}
        total = sum(sizes.values()) if settings.data.samples is None else settings.data.samples
        self._numbers = mixture.counts(mixture.shares(sizes, settings.data.alpha), total)
        self._multi = settings.data.goemotions.labels == "multi"
        self._emotion_C, self._strategy_C = self._class_weights()

    def steps(self, epoch: int) -> list[list[Sample]]:
        seed, size = self._settings.run.seed, self._settings.batch.size
        drawn = mixture.draw(self._train, self._numbers, epoch, seed)
        # A short last step would weigh its samples more; another epoch draws them again.
        whole = [drawn[at : at + size] for at in range(0, len(drawn) - size + 1, size)]
        return whole or [drawn]

    def shares(self, step: list[Sample]) -> Iterator[Share]:
        counts = losses.counts_of(step, self._emotion_C, self._strategy_C)
        for piece in self._pieces(step):
            sums = self._sums(piece)
            yield self._share(sums, counts, sum(s.example.num_tokens for s in piece))

    def measure(self) -> Measured:
        """Losses and head metrics over the dev split."""
        counts = losses.counts_of(self._dev, None, None)
        sums: dict[str, float] = defaultdict(float)
        told: dict[str, list[torch.Tensor]] = defaultdict(list)
        truth: dict[str, list[tuple[int, ...]]] = defaultdict(list)
        for piece in self._pieces(self._dev):
            for name, value in self._sums(piece, told, truth).items():
                sums[name] += float(value)
        metrics: dict[str, float | None] = {
            "lm_loss": sums["lm"] / counts.lm if "lm" in sums and counts.lm else None,
            "safety_kl": sums["safety"] / counts.safety if counts.safety else None,
        }
        for name in told:
            result = self.scores(name, torch.cat(told[name]), truth[name])
            metrics |= {f"{name}_{key}": result[key] for key in ("accuracy", "macro_f1")}
            metrics[f"{name}_weighted_f1"] = result["weighted_f1"]
        known = {name: value for name, value in metrics.items() if value is not None}
        return Measured(known, self._score(known))

    def _score(self, known: Mapping[str, float]) -> float:
        """What the best step is chosen by. Raises ConfigError when dev says nothing of it."""
        choose = {name: weight for name, weight in self._settings.choose.items() if weight}
        used = {name: weight for name, weight in choose.items() if name in known}
        if not used:
            raise ConfigError(
                f"choose={dict(choose)}: the dev split gives none of these; it has "
                f"{', '.join(known) or 'nothing'}; see choose, data.dev_share and data.*.dev"
            )
        return sum(weight * known[name] for name, weight in used.items())

    @torch.no_grad()
    def test(self, samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
        """Head -> scores over samples that are no part of training."""
        self.module.eval()
        told: dict[str, list[torch.Tensor]] = defaultdict(list)
        truth: dict[str, list[tuple[int, ...]]] = defaultdict(list)
        with progress_bar(transient=True) as progress:
            bar = progress.add_task("testing the heads", total=len(samples))
            for piece in self._pieces(samples):
                self._sums(piece, told, truth, only_heads=True)
                progress.advance(bar, len(piece))
        return {name: self.scores(name, torch.cat(told[name]), truth[name]) for name in told}

    def scores(
        self, head: str, logits_NC: torch.Tensor, truth: Sequence[tuple[int, ...]]
    ) -> dict[str, Any]:
        """Scores of a head."""
        classes = logits_NC.shape[1]
        if head == EMOTION and self._multi:
            true_NC = np.zeros((len(truth), classes))
            for place, own in enumerate(truth):
                true_NC[place, list(own)] = 1.0
            return scores.multi_label(true_NC, logits_NC.sigmoid().numpy())
        told = logits_NC.argmax(dim=1).tolist()
        return scores.single_label([own[0] for own in truth], told, classes)

    def _class_weights(self) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        if not self._settings.heads.class_weights:
            return None, None
        samples = [sample for own in self._train.values() for sample in own]
        emotion = [s.emotions[0] for s in samples if s.emotions is not None]
        strategy = [s.strategy for s in samples if s.strategy is not None]
        sizes = {name: len(head.shape.labels) for name, head in self._heads().items()}
        return (
            losses.class_weights(emotion, sizes[EMOTION])
            if EMOTION in sizes and not self._multi
            else None,
            losses.class_weights(strategy, sizes[STRATEGY]) if STRATEGY in sizes else None,
        )

    def _heads(self) -> dict[str, Head]:
        return dict(self.module.heads.items())  # type: ignore[arg-type]

    def _pieces(self, samples: Sequence[Sample]) -> list[list[Sample]]:
        batch = self._settings.batch
        lengths = [sample.example.num_tokens for sample in samples]
        return pieces(samples, lengths, tokens=batch.tokens, packing=batch.packing)

    def _sums(
        self,
        piece: Sequence[Sample],
        told: dict[str, list[torch.Tensor]] | None = None,
        truth: dict[str, list[tuple[int, ...]]] | None = None,
        *,
        only_heads: bool = False,
    ) -> dict[str, torch.Tensor]:
        """Name of a loss -> its sum over a piece, 0-dimensional; logits and classes of the heads
        are added to `told` and `truth`."""
        batch, weights = self._settings.batch, self._settings.weights
        rows = make_rows(
            [self._shown(sample) for sample in piece],
            packing=batch.packing,
            row_tokens=batch.tokens,
        ).to(self._device)
        sums: dict[str, torch.Tensor] = {}
        with autocast(self._device, self._dtype):
            hidden_FH = hidden_states(self.module.lm, rows)
            if weights.lm > 0 and not only_heads:
                self._add_lm(sums, hidden_FH, rows, piece)
            if weights.safety > 0 and not only_heads:
                self._add_safety(sums, hidden_FH, rows, piece)
        for name, head in self._heads().items():
            labels = {
                place: label
                for place, sample in enumerate(piece)
                if (label := _truth(name, sample)) is not None
            }
            if not labels:
                continue
            at_K = torch.tensor(list(labels), device=self._device)
            logits_KC = head(hidden_FH, rows, at_K, self._places(head, [piece[p] for p in labels]))
            known = list(labels.values())
            sums[name] = self._classes(name, logits_KC, known)
            if told is not None and truth is not None:
                told[name].append(logits_KC.detach().float().cpu())
                truth[name] += known
        return sums

    def _places(self, head: Head, samples: Sequence[Sample]) -> torch.Tensor | None:
        """What a head is told of the samples, [K, told]; None for one that is told nothing."""
        if not head.shape.told:
            return None
        return torch.tensor([sample.place for sample in samples], device=self._device)

    def _shown(self, sample: Sample) -> Any:
        """The tokens that are needed: a reply that no loss reads is left away."""
        reads = sample.safety or (sample.learns_reply and self._settings.weights.lm > 0)
        reads = reads or (sample.strategy is not None and WITH_REPLY in self.module.heads)
        return sample.example if reads else sample.example._replace(reply=[])

    def _classes(
        self, name: str, logits_KC: torch.Tensor, known: Sequence[tuple[int, ...]]
    ) -> torch.Tensor:
        if name == EMOTION and self._multi:
            return losses.summed_several(logits_KC, known)
        weights = self._emotion_C if name == EMOTION else self._strategy_C
        return losses.summed_classes(logits_KC, known, weights if self.module.training else None)

    def _add_lm(
        self, sums: dict[str, torch.Tensor], hidden_FH: Any, rows: Rows, piece: Sequence[Sample]
    ) -> None:
        own = [place for place, sample in enumerate(piece) if sample.learns_reply]
        if own:
            at_T, _ = rows.predicting(torch.tensor(own, device=self._device))
            targets_T = rows.ids_RL.flatten()[at_T + 1]
            sums["lm"] = losses.summed_nll(logits_of(self.module.lm, hidden_FH[at_T]), targets_T)

    def _add_safety(
        self, sums: dict[str, torch.Tensor], hidden_FH: Any, rows: Rows, piece: Sequence[Sample]
    ) -> None:
        own = [place for place, sample in enumerate(piece) if sample.safety]
        if not own:
            return
        kept = make_rows([piece[place].example for place in own], packing=False, row_tokens=0).to(
            self._device
        )
        other = self.module.lm if self._teacher is None else self._teacher
        frozen = as_it_began(self.module.lm) if self._teacher is None else nullcontext()
        every = torch.arange(len(own), device=self._device)
        with torch.no_grad(), frozen:
            there_T, _ = kept.predicting(every)
            teacher_TV = logits_of(other, hidden_states(other, kept)[there_T])
        at_T, _ = rows.predicting(torch.tensor(own, device=self._device))
        sums["safety"] = losses.summed_kl(teacher_TV, logits_of(self.module.lm, hidden_FH[at_T]))

    def _share(self, sums: dict[str, torch.Tensor], counts: Counts, tokens: int) -> Share:
        denominators = counts._asdict() | {WITH_REPLY: counts.strategy}
        loss = torch.zeros((), device=self._device)
        metrics: dict[str, float] = {"tokens": tokens}
        for name, total in sums.items():
            mean = total / denominators[name]
            loss = loss + getattr(self._settings.weights, name) * mean
            metrics[name] = float(mean.detach())
        if not loss.requires_grad:  # a piece that no weighted loss reads
            loss = loss + 0.0 * next(p for p in self.module.parameters() if p.requires_grad).sum()
        return Share(loss, metrics)


def _truth(head: str, sample: Sample) -> tuple[int, ...] | None:
    if head == EMOTION:
        return sample.emotions
    return None if sample.strategy is None else (sample.strategy,)
