"""Batch arithmetic: prompts, replies, updates, steps, epochs, tokens."""

from __future__ import annotations

import math
from typing import NamedTuple

from mint.planning.items import Item
from mint.planning.lengths import Lengths
from mint.planning.settings import RunSettings


class Batch(NamedTuple):
    """What a step and the run work through."""

    steps: int | None
    """Of the run; None when neither the configuration nor the data say it."""
    steps_an_epoch: int | None
    tokens: float
    """Prompt and reply tokens of a step."""
    reply_tokens: float
    seen: float
    """Tokens that a training pass computes: a prompt once for its replies, where they share it."""
    items: tuple[Item, ...]


def batch(run: RunSettings, lengths: Lengths) -> Batch:
    """The arithmetic of a run."""
    an_epoch = None if lengths.kept is None else lengths.kept // run.prompts
    steps, how = _steps(run, an_epoch)
    tokens = run.all_replies * (lengths.prompt + lengths.reply)
    reply_tokens = run.all_replies * lengths.reply
    prompts = run.prompts if run.shared_prompts else run.all_replies
    seen = prompts * lengths.prompt + reply_tokens
    epochs = steps / an_epoch if steps and an_epoch else 0
    items = [
        Item("replies a step", run.all_replies, f"{run.prompts} prompts x {run.replies} replies"),
        Item(
            "updates a step",
            run.updates,
            f"{run.prompts} prompts / mini-batches of {run.mini_batch} x {run.passes} passes",
        ),
        Item(
            "replies a rank and update",
            run.mini_batch * run.replies / run.ranks,
            f"{run.mini_batch} x {run.replies} / {run.ranks} ranks",
        ),
        Item(
            "tokens a step",
            tokens,
            f"{run.all_replies} x ({lengths.prompt:.0f} prompt + {lengths.reply:.0f} reply)",
        ),
        Item(
            "tokens a training pass",
            seen,
            f"{prompts} x {lengths.prompt:.0f} prompt + {run.all_replies} x "
            f"{lengths.reply:.0f} reply",
        ),
        Item(
            "micro-batches a rank",
            math.ceil(seen / run.ranks / run.update_tokens),
            f"{seen / run.ranks:,.0f} tokens / at most {run.update_tokens:,}",
        ),
    ]
    if steps is not None:
        items.append(Item("steps", steps, how))
        items.append(
            Item("replies in all", steps * run.all_replies, f"{steps} x {run.all_replies}")
        )
    if epochs:
        items.append(
            Item("epochs", epochs, f"{steps} steps / {an_epoch} of {lengths.kept} prompts")
        )
    return Batch(steps, an_epoch, tokens, reply_tokens, seen, tuple(items))


def _steps(run: RunSettings, an_epoch: int | None) -> tuple[int | None, str]:
    if run.steps is not None:
        return run.steps, "trainer.total_training_steps"
    if an_epoch is None:
        return None, ""
    return run.epochs * an_epoch, f"{run.epochs} epochs x {an_epoch} (the rest of an epoch is left)"
