"""The loop that tunes a model: rates, pieces, checkpoints, going on, early stop, adapters."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_models import make_small
from transformers import AutoModelForCausalLM

from mint.policy.warm_start import Example
from mint.rundir.directory import RunDir
from mint.tuning import checkpoint
from mint.tuning.batches import make_rows, pieces
from mint.tuning.encoding import Encoder
from mint.tuning.loop import TuningError, steps_of, tune
from mint.tuning.model import (
    as_it_began,
    hidden_states,
    load_model,
    logits_of,
    write_model,
)
from mint.tuning.schedule import rate
from mint.tuning.settings import LoopSettings, LoraSettings, ModelSettings
from mint.tuning.task import Measured, Share
from rewards.errors import ConfigError, DataError

pytestmark = pytest.mark.slow


def test_the_rate_warms_up_and_falls_as_a_cosine() -> None:
    rates = [rate(step, 10, warmup=0.2, final=0.0) for step in range(1, 11)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[5] == pytest.approx(0.5)  # half of the way down
    assert rates[-1] == pytest.approx(0.0)
    assert rate(10, 10, warmup=0.2, final=0.1) == pytest.approx(0.1)
    assert rate(1, 1, warmup=0.1, final=0.3) == pytest.approx(0.3)


def test_pieces_hold_samples_of_like_length_within_the_tokens() -> None:
    lengths = [10, 100, 11, 90, 12, 500]
    found = pieces("abcdef", lengths, tokens=200, packing=False)
    assert found == [["a", "c", "e"], ["d", "b"], ["f"]]
    # Packed, only the sum counts: 10 + 11 + 12 + 90 = 123.
    assert pieces("abcdef", lengths, tokens=200, packing=True) == [
        ["a", "c", "e", "d"],
        ["b"],
        ["f"],
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model with a tokenizer."""
    return make_small(tmp_path_factory.mktemp("model"))


def test_packed_and_padded_rows_give_the_same_hidden_states(folder: Path) -> None:
    samples = [Example([5, 6, 7], [8, 9]), Example([10, 11], [12, 13, 14]), Example([20, 4], [])]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    padded = make_rows(samples, packing=False, row_tokens=64)
    packed = make_rows(samples, packing=True, row_tokens=10)
    assert padded.ids_RL.shape == (3, 5)
    assert packed.ids_RL.shape == (2, 10)
    assert packed.starts_S.tolist() == [0, 5, 10]
    with torch.no_grad():
        apart, together = (hidden_states(model, rows) for rows in (padded, packed))
    for place in ("last_of_prompt", "last_of_reply"):
        one, other = getattr(padded, place)(), getattr(packed, place)()
        assert torch.allclose(apart[one], together[other], atol=1e-5)
    at_T, owner_T = packed.predicting(torch.tensor([1, 0]))
    assert owner_T.tolist() == [0, 0, 0, 1, 1]
    assert packed.ids_RL.flatten()[at_T + 1].tolist() == [12, 13, 14, 8, 9]


def test_logits_of_chosen_positions_are_the_models_own(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    rows = make_rows([Example([5, 6, 7], [8, 9])], packing=False, row_tokens=64)
    with torch.no_grad():
        whole = model(input_ids=rows.ids_RL).logits[0]
        chosen = logits_of(model, hidden_states(model, rows)[2:4])
    assert torch.allclose(chosen, whole[2:4], atol=1e-5)


def test_the_encoder_drops_the_oldest_messages(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat = [{"role": "system", "content": "be kind"}]
    for number in range(4):
        chat += [
            {"role": "user", "content": f"tell me more {number}"},
            {"role": "assistant", "content": "you are not alone"},
        ]
    chat.append({"role": "user", "content": "hello"})
    whole = Encoder(tokenizer, 1000)(chat, "it is good")
    assert whole is not None
    assert tokenizer.decode(whole.reply) == "it is good<|im_end|>"
    short = Encoder(tokenizer, whole.num_tokens - 1)(chat, "it is good")
    assert short is not None
    text = tokenizer.decode(short.prompt)
    assert text.startswith(
        "<|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user\ntell me more 1"
    )
    assert Encoder(tokenizer, 12)(chat, "it is good") is None


class Line:
    """Learns w so that w x = 3 x, with dropout, so that the random state matters."""

    def __init__(self, best_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.module = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 1, bias=False))
        self.measured: list[float] = []
        self.best_at = best_at

    def steps(self, epoch: int) -> Sequence[torch.Tensor]:
        drawn = torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(epoch))
        return list(drawn)

    def shares(self, step: torch.Tensor) -> Iterator[Share]:
        for part in step.split(3):
            error = (self.module(part) - 3 * part.sum(1, keepdim=True)) ** 2
            loss = error.sum() / len(step)
            yield Share(loss, {"error": float(loss.detach())})

    def measure(self) -> Measured:
        weights = self.module[1].weight
        score = -float((weights - 3).abs().mean())
        if self.best_at is not None:
            score = -abs(len(self.measured) - self.best_at)
        self.measured.append(score)
        return Measured({"distance": -score}, score)


SETTINGS = LoopSettings(lr=0.5, epochs=4, every_steps=4)


def new_run(path: Path) -> RunDir:
    run = RunDir.create(path)
    run.checkpoints_path.mkdir()
    return run


def test_a_run_that_goes_on_makes_the_steps_it_would_have_made(tmp_path: Path) -> None:
    whole, run = Line(), new_run(tmp_path / "whole")
    tuned = tune(run, whole, SETTINGS, seed=1)
    assert (tuned.step, tuned.total, tuned.saved) == (20, 20, False)
    rows = run.read_metrics()
    assert rows[-1]["train/loss"] < rows[1]["train/loss"]
    assert rows[-1]["dev/distance"] < 2.0 < rows[0]["dev/distance"]

    again = new_run(tmp_path / "again")
    steps = iter(range(1, 100))
    half = tune(again, Line(), SETTINGS, seed=1, asked_to_end=lambda: next(steps) == 7)
    assert (half.step, half.saved) == (7, True)
    # The best so far and the newest: where it was asked to end is no chance to be the best.
    assert set(checkpoint.checkpoints(again.checkpoints_path)) == {4, 7}
    resumed = Line()
    torch.manual_seed(99)
    assert tune(again, resumed, SETTINGS, seed=1).step == 20
    for one, task in ((run, whole), (again, resumed)):
        checkpoint.load(checkpoint.checkpoints(one.checkpoints_path)[20], task.module)
    assert torch.equal(resumed.module[1].weight, whole.module[1].weight)
    assert json.loads(again.best_path.read_text()) == json.loads(run.best_path.read_text())
    losses = [[r["train/loss"] for r in one.read_metrics()[1:]] for one in (run, again)]
    assert losses[0] == losses[1]


def test_it_ends_early_at_the_best_step(tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    task = Line(best_at=2)  # the start, step 4, step 8 (the best), 12, 16
    tuned = tune(run, task, LoopSettings(lr=0.1, epochs=9, every_steps=4, patience=2), seed=1)
    assert (tuned.step, tuned.best_step) == (16, 8)
    assert tuned.stopped == "no better dev score in 2 measurements since step 8"
    assert json.loads(run.best_path.read_text())["step"] == 8
    kept = checkpoint.checkpoints(run.checkpoints_path)
    assert list(kept) == [8, 16]
    other = Line()
    checkpoint.load(kept[8], other.module)
    assert torch.equal(other.module[1].weight, task.module[1].weight)


def test_accumulation_does_not_change_a_step(tmp_path: Path) -> None:
    class Whole(Line):
        def shares(self, step: torch.Tensor) -> Iterator[Share]:
            self.module[0].p = 0.0
            return super().shares(step)

    class One(Whole):
        def shares(self, step: torch.Tensor) -> Iterator[Share]:
            self.module[0].p = 0.0
            error = (self.module(step) - 3 * step.sum(1, keepdim=True)) ** 2
            yield Share(error.mean(), {})

    tasks = [Whole(), One()]
    for number, task in enumerate(tasks):
        tune(new_run(tmp_path / str(number)), task, SETTINGS, seed=0)
    assert torch.allclose(tasks[0].module[1].weight, tasks[1].module[1].weight, atol=1e-6)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    class Broken(Line):
        def shares(self, step: torch.Tensor) -> Iterator[Share]:
            yield Share(self.module(step).sum() * math.nan, {})

    with pytest.raises(TuningError, match=r"the loss of step 1 is nan; lower loop\.lr"):
        tune(new_run(tmp_path / "run"), Broken(), SETTINGS, seed=0)


def test_there_must_be_something_to_train() -> None:
    with pytest.raises(ConfigError, match="nothing to train on"):
        steps_of(LoopSettings(), 0)
    assert steps_of(LoopSettings(epochs=1.5), 10) == 15
    assert steps_of(LoopSettings(epochs=1.5, max_steps=7), 10) == 7


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    task = Line()
    optimizer = torch.optim.AdamW(task.module.parameters())
    path = checkpoint.save(tmp_path, 3, task.module, optimizer)
    with pytest.raises(DataError, match=r"1\.weight has the shape \(1, 4\), the model's is"):
        checkpoint.load(path, torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(5, 1, False)))
    with pytest.raises(DataError, match=r"another model: 1\.bias is not in it"):
        checkpoint.load(path, torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(4, 1)))


def lora(folder: Path, **changes: Any) -> ModelSettings:
    return ModelSettings(path=str(folder), dtype="float32", lora=LoraSettings(**changes))


def test_adapters_start_at_the_model_and_merge_into_it(folder: Path, tmp_path: Path) -> None:
    settings = lora(folder, r=4, alpha=8, dropout=0.0)
    model = load_model(str(folder), settings, seed=0)
    names = set(checkpoint.trained(model))
    assert len(names) == 2 * 4 * 2  # two matrices, four projections, two layers
    rows = make_rows([Example([5, 6, 7], [8, 9])], packing=False, row_tokens=64)
    with torch.no_grad():
        before = hidden_states(model, rows)
        for parameter in checkpoint.trained(model).values():
            parameter.add_(0.05)
        after = hidden_states(model, rows)
        with as_it_began(model):
            assert torch.equal(hidden_states(model, rows), before)
    assert not torch.allclose(after, before, atol=1e-3)
    tokenizer = SimpleNamespace(save_pretrained=lambda path: None)
    write_model(model, tokenizer, tmp_path / "merged", str(folder))
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert not hasattr(merged, "peft_config")
    with torch.no_grad():
        assert torch.allclose(hidden_states(merged, rows), after, atol=1e-5)


def test_adapters_only_in_the_last_layers(folder: Path) -> None:
    model = load_model(str(folder), lora(folder, layers=1), seed=0)
    names = set(checkpoint.trained(model))
    assert len(names) == 2 * 4
    assert all(".layers.1." in name for name in names)


def test_a_layer_that_does_not_exist_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"targets=\['q_projj'\]: the model has no such layer"):
        load_model(str(folder), lora(folder, targets=["q_projj"]), seed=0)
