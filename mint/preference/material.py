"""From pairs to a task: as tokens, split, with what the reference says of them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mint.policy.warm_start import Example
from mint.preference import sampling
from mint.preference.files import check_messages
from mint.preference.log_probs import (
    REFERENCE,
    Computing,
    all_log_probs,
    load_reference,
    save_reference,
)
from mint.preference.pairs import Pair
from mint.preference.settings import PreferSettings
from mint.preference.task import Control, DpoTask, EncodedPair
from mint.rundir.directory import RunDir
from mint.shell.console import say
from mint.tuning.encoding import Encoder
from mint.tuning.model import device_of, dtype_of, load_model, load_tokenizer
from rewards.errors import DataError


def make_task(
    run_dir: RunDir,
    settings: PreferSettings,
    path: str,
    pairs: Sequence[Pair],
    control: Sequence[Mapping[str, Any]],
) -> tuple[DpoTask, Any, Any]:
    """The task, its model and its tokenizer."""
    tokenizer = load_tokenizer(path)
    encoder = Encoder(
        tokenizer, settings.batch.max_length, enable_thinking=settings.data.enable_thinking
    )
    dev = _dev_clusters(pairs, settings)
    encoded = _encode(pairs, encoder)
    samples = _control(control, encoder, dev)
    model = load_model(path, settings.model, settings.run.seed)
    _without_dropout(model)
    device = device_of(settings.model)
    computing = Computing(
        model, device, dtype_of(settings.model, device), settings.pairs.temperature, settings.batch
    )
    reference = _reference(run_dir, computing, [both for _, *both in encoded], samples)
    ready = [
        (pair, EncodedPair(chosen, rejected, float(first), float(second)))
        for (pair, chosen, rejected), first, second in zip(
            encoded, reference["chosen_P"], reference["rejected_P"], strict=True
        )
    ]
    parts = {
        chosen: [one for pair, one in ready if (_cluster(pair) in dev) == chosen]
        for chosen in (True, False)
    }
    if not parts[True] or not parts[False]:
        raise DataError(
            f"{len(ready)} usable pairs of {len(dev)} scenarios or conversations held out leave "
            f"{len(parts[False])} to train and {len(parts[True])} to choose the step by: draw more "
            "(pairs.max_prompts, pairs.samples) or change data.dev_share"
        )
    say(f"{len(parts[False])} pairs to train, {len(parts[True])} to choose the step by")
    task = DpoTask(
        computing,
        parts[False],
        parts[True],
        Control(samples, reference["control_T"]),
        settings.dpo,
        settings.run.seed,
    )
    return task, model, tokenizer


def _cluster(pair: Pair) -> str:
    return pair.scenario or pair.conversation_id


def _dev_clusters(pairs: Sequence[Pair], settings: PreferSettings) -> set[str]:
    """Scenarios, or conversations where the pairs do not say them, that are not trained on."""
    names = sorted({_cluster(pair) for pair in pairs})
    if len(names) < 2:
        raise DataError(f"all {len(pairs)} pairs are of one scenario or conversation: need two")
    random.Random(settings.run.seed).shuffle(names)
    return set(names[: max(1, round(settings.data.dev_share * len(names)))])


def _encode(pairs: Sequence[Pair], encoder: Encoder) -> list[tuple[Pair, Example, Example]]:
    """The pairs as tokens; what is too long for batch.max_length is counted and left out."""
    found = []
    for pair in pairs:
        chosen, rejected = (encoder(pair.messages, said) for said in (pair.chosen, pair.rejected))
        if chosen is not None and rejected is not None:
            # The longer reply may have cost the prompt more of its oldest messages.
            shorter = min(chosen.prompt, rejected.prompt, key=len)
            both = (Example(shorter, one.reply) for one in (chosen, rejected))
            found.append((pair, *both))
    if lost := len(pairs) - len(found):
        say(f"{lost} of {len(pairs)} pairs are longer than batch.max_length and left out")
    return found  # type: ignore[return-value]


def _control(rows: Sequence[Mapping[str, Any]], encoder: Encoder, dev: set[str]) -> list[Example]:
    samples = []
    for number, row in enumerate(rows, start=1):
        if (row["scenario"] or row["conversation_id"]) not in dev or not row["reply"].strip():
            continue
        messages = check_messages(row["messages"], f"{sampling.CONTROL}:{number}")
        example = encoder(messages, row["reply"])
        if example is not None:
            cut = example.reply if row["ended"] else example.reply[:-1]
            samples.append(example._replace(reply=cut))
    return samples


def _without_dropout(model: torch.nn.Module) -> None:
    """The policy is compared with a reference without noise, so it gets none."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def _reference(
    run_dir: RunDir,
    computing: Computing,
    pairs: Sequence[Sequence[Example]],
    control: Sequence[Example],
) -> dict[str, torch.Tensor]:
    """Log-probabilities under the model as it begins: computed once, then read."""
    path = run_dir.path / REFERENCE
    sizes = {
        "chosen_P": len(pairs),
        "rejected_P": len(pairs),
        "control_T": sum(len(sample.reply) for sample in control),
    }
    if not path.is_file():
        computing.model.eval()
        chosen, rejected = zip(*pairs, strict=True)
        tensors = {
            "chosen_P": all_log_probs(computing, chosen, "reference, chosen").sums_S,
            "rejected_P": all_log_probs(computing, rejected, "reference, rejected").sums_S,
            "control_T": all_log_probs(computing, control, "reference, control").tokens_T,
        }
        save_reference(path, tensors)
    return load_reference(path, sizes)
