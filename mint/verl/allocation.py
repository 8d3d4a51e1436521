"""The order of verl's training rows where `mint.curriculum.people` is success."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch.utils.data import Sampler
from torchdata.stateful_dataloader import StatefulDataLoader

from mint.config.schema import MintConfig
from mint.dialogue.curriculum import Allocation, Outcome
from mint.dialogue.people import person_of_row


class AllocationSampler(Sampler[int]):
    """Rows of the data set in the order that `Allocation` draws them, a batch at a time.

    Its state is saved with the data loader's, in a checkpoint's data.pt.
    """

    def __init__(self, allocation: Allocation, num_rows: int, batch_size: int) -> None:
        self.allocation = allocation
        self._num_rows = num_rows
        self._batch_size = batch_size
        self._given = 0

    def __len__(self) -> int:
        return self._num_rows

    def __iter__(self) -> Iterator[int]:
        # Only whole batches: verl drops the rest, and a state is that of the last whole one.
        whole = self._num_rows - self._num_rows % self._batch_size
        self._given %= max(whole, 1)
        while self._given < whole:
            drawn = self.allocation.draw(self._batch_size)
            self._given += self._batch_size
            yield from drawn

    def state_dict(self) -> dict[str, Any]:
        """How far the epoch is, and the state of the draw."""
        return {"given": self._given, "allocation": self.allocation.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self._given = int(state["given"])
        self.allocation.load_state_dict(state["allocation"])


class AllocatesPeople:
    """Mixin of a trainer of dialogues: draws its rows by success where that is asked for."""

    _mint: MintConfig
    config: Any
    train_dataset: Any
    train_dataloader: Any
    _allocation: Allocation | None = None

    def _init_dataloader(self) -> None:
        super()._init_dataloader()  # type: ignore[misc]
        settings = self._mint.curriculum
        if settings.people == "uniform":
            return
        rows = self.train_dataset.dataframe
        people = [person_of_row(info) for info in rows["extra_info"]]
        self._allocation = Allocation(people, settings, self._mint.run.seed)
        loader = self.train_dataloader
        self.train_dataloader = StatefulDataLoader(
            dataset=self.train_dataset,
            batch_size=loader.batch_size,
            # In this process: workers would draw ahead of what their steps have shown.
            num_workers=0,
            drop_last=True,
            collate_fn=loader.collate_fn,
            sampler=AllocationSampler(self._allocation, len(rows), loader.batch_size),
        )

    def _note_outcomes(self, outcomes: Iterable[Outcome]) -> dict[str, float]:
        """Learn from a step's dialogues; metrics of the draw, {} where people are uniform."""
        if self._allocation is None:
            return {}
        self._allocation.note(outcomes)
        return self._allocation.metrics()
