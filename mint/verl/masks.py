"""Which rows of a batch an update learns from, in verl's terms."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def without_gradient(masks: torch.Tensor, trained: Sequence[bool]) -> torch.Tensor:
    """Jagged [rows, reply] `masks` with zeros in the rows that are not `trained`.

    verl masks the policy loss, the KL loss and the number of tokens they are divided by with it.
    """
    rows = [
        mask if keep else torch.zeros_like(mask)
        for mask, keep in zip(masks.unbind(), trained, strict=True)
    ]
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)


def advantage_groups(uids: Sequence[str], trained: Sequence[bool]) -> list[str]:
    """Group ids for verl's advantages: a row without gradient stands alone.

    Beside its siblings it would narrow the group's standard deviation and so enlarge their
    advantages, which a sibling that is missing altogether does not.
    """
    return [
        uid if keep else f"{uid}/untrained/{row}"
        for row, (uid, keep) in enumerate(zip(uids, trained, strict=True))
    ]
