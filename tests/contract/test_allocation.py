"""verl's data loader draws people by success, and its saved state brings the draw back."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

pytest.importorskip("verl", reason="needs the cpu or gpu extra")
pytestmark = pytest.mark.contract

from torchdata.stateful_dataloader import StatefulDataLoader  # noqa: E402

from mint.config.curriculum import CurriculumConfig  # noqa: E402
from mint.dialogue.curriculum import Allocation, Outcome  # noqa: E402
from mint.dialogue.protocol import INTENTIONS, Person  # noqa: E402
from mint.verl.allocation import AllocationSampler  # noqa: E402

PEOPLE = [
    Person(id=f"p{i}", persona="", scene="", goal="", intention=INTENTIONS[i % 8])
    for i in range(10)
]


def loader(seed: int) -> StatefulDataLoader[Any]:
    allocation = Allocation(PEOPLE, CurriculumConfig(people="success"), seed)
    return StatefulDataLoader(
        list(range(10)),
        batch_size=3,
        drop_last=True,
        num_workers=0,
        sampler=AllocationSampler(allocation, 10, 3),
    )


def run(data: StatefulDataLoader[Any], it: Any, steps: int) -> tuple[list[list[int]], Any]:
    """verl's way through the data: a batch a step, outcomes learnt, a new epoch at the end."""
    batches = []
    for _ in range(steps):
        try:
            it = it or iter(data)
            batch = next(it)
        except StopIteration:
            it = iter(data)
            batch = next(it)
        batches.append(batch.tolist())
        helped = [Outcome(f"p{place}", 100.0 if place % 2 else 0.0) for place in batches[-1]]
        data.sampler.allocation.note(helped)
    return batches, it


@pytest.mark.parametrize("saved_after", [1, 2, 3, 4])
def test_a_loaded_state_goes_on_as_if_it_had_never_stopped(saved_after: int) -> None:
    first = loader(0)
    _, it = run(first, None, saved_after)
    state = first.state_dict()
    expected, _ = run(first, it, 6)
    second = loader(77)
    second.load_state_dict(state)
    found, _ = run(second, None, 6)
    assert found == expected
    assert all(len(set(batch)) == 3 for batch in found)


def test_a_batch_is_drawn_after_the_outcomes_of_the_one_before() -> None:
    data = loader(0)
    run(data, None, 2)
    assert data.sampler.allocation.metrics()["people/met_frac"] >= 0.3
    assert sum(data.sampler.allocation._number) == 6


def test_verl_saves_the_loaders_state_and_has_no_place_for_a_sampler() -> None:
    from verl.trainer.ppo.utils import create_rl_sampler
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer
    from verl.utils.dataset.rl_dataset import RLHFDataset

    assert list(inspect.signature(create_rl_sampler).parameters) == ["data_config", "dataset"]
    assert "class_path" not in inspect.getsource(create_rl_sampler)
    assert list(inspect.signature(PPOTrainer._init_dataloader).parameters) == ["self"]
    source = inspect.getsource(PPOTrainer)
    assert "self.train_dataloader.load_state_dict(" in source
    assert "torch.save(self.train_dataloader.state_dict()," in source
    assert "self.dataframe" in inspect.getsource(RLHFDataset)
