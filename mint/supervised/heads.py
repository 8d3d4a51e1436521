"""Heads that tell classes from a model's hidden states; a file of their own beside the model.

    heads.safetensors  HEAD.parameter -> value
    heads.json         HEAD -> {"labels", "pooling", "sees_reply", "hidden_size", "width", "told"}

They are no part of the language model, so adapters never touch them and no merge loses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import rms_norm

from mint.shell.files import read_json, write_json
from mint.tuning.batches import Rows
from rewards.errors import ConfigError, DataError

WEIGHTS, FACTS = "heads.safetensors", "heads.json"
_STATE, _TOLD = 0.5, 4.0
"""Where a head is told numbers: root mean square of the states and size of a number of 1 in its
input. Numbers are few and most of them 0, so at one size they would be learnt many times slower."""


@dataclass(frozen=True, kw_only=True)
class HeadShape:
    """What a head is built from."""

    labels: tuple[str, ...]
    """Names of its classes, in order."""
    hidden_size: int
    """Width of the model's hidden states, from its configuration."""
    width: int = 512
    """Width of the head's own layer."""
    pooling: str = "last"
    """last: the token before the reply; mean or attention: over all tokens before it."""
    sees_reply: bool = False
    """The state after the reply instead, which holds what is asked for: to measure the leak."""
    detached: bool = False
    """Only the head learns: no gradient reaches the model."""
    told: int = 0
    """How many numbers about the place of the reply it reads beside the state
    (`mint.supervised.place`)."""


class Head(torch.nn.Module):
    """Pooling, what it is told, Linear, ReLU, Dropout, Linear; computed in float32."""

    def __init__(self, shape: HeadShape, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        self.query = None
        if shape.pooling == "attention":
            self.query = torch.nn.Linear(shape.hidden_size, 1, bias=False)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(shape.hidden_size + shape.told, shape.width),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(shape.width, len(shape.labels)),
        )

    def forward(
        self,
        hidden_FH: torch.Tensor,
        rows: Rows,
        samples_K: torch.Tensor,
        told_KN: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Logits of the classes, [K, C], of some samples of a piece.

        `hidden_FH`: states of all its tokens. Only those before the reply are read, except by a
        head that says so. `told_KN`: the numbers that the head is told, [K, told], if it is.
        """
        if self.shape.detached:
            hidden_FH = hidden_FH.detach()
        with torch.autocast(hidden_FH.device.type, enabled=False):
            read_KI = self._pooled(hidden_FH, rows, samples_K).float()
            if self.shape.told:
                assert told_KN is not None
                state_KH = _STATE * rms_norm(read_KI, read_KI.shape[-1:])
                read_KI = torch.cat([state_KH, _TOLD * told_KN], dim=1)
            return self.layers(read_KI)

    def _pooled(self, hidden_FH: torch.Tensor, rows: Rows, samples_K: torch.Tensor) -> torch.Tensor:
        if self.shape.sees_reply:
            return hidden_FH[rows.last_of_reply()[samples_K]]
        if self.shape.pooling == "last":
            return hidden_FH[rows.last_of_prompt()[samples_K]]
        lengths_K = rows.prompts_S[samples_K]
        within_KT = torch.arange(int(lengths_K.max()), device=lengths_K.device)[None, :]
        there_KT = within_KT < lengths_K[:, None]
        at_KT = rows.starts_S[samples_K][:, None] + within_KT * there_KT
        states_KTH = hidden_FH[at_KT].float()
        if self.query is None:
            weights_KT = there_KT.float() / lengths_K[:, None]
        else:
            scores_KT = self.query(states_KTH).squeeze(-1)
            weights_KT = scores_KT.masked_fill(~there_KT, float("-inf")).softmax(dim=1)
        return (weights_KT[..., None] * states_KTH).sum(dim=1)


def save_heads(folder: Path, heads: Mapping[str, Head]) -> None:
    """Write heads.safetensors and heads.json."""
    values = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, head in heads.items()
        for key, value in head.state_dict().items()
    }
    save_file(values, folder / WEIGHTS)
    write_json(folder / FACTS, {name: asdict(head.shape) for name, head in heads.items()})


def load_heads(folder: Path, hidden_size: int) -> dict[str, Head]:
    """The heads of a folder, for a model of this hidden size, without dropout.

    Raises ConfigError when there are none, DataError for heads of another size.
    """
    if not (folder / FACTS).is_file() or not (folder / WEIGHTS).is_file():
        raise ConfigError(f"{folder} has no {WEIGHTS} and {FACTS}: it is no model of `mint sft`")
    values = load_file(folder / WEIGHTS)
    heads = {}
    for name, facts in read_json(folder / FACTS).items():
        shape = HeadShape(**{**facts, "labels": tuple(facts["labels"])})
        if shape.hidden_size != hidden_size:
            raise DataError(
                f"{folder / WEIGHTS}: the head {name!r} reads states of {shape.hidden_size} "
                f"numbers, the model has {hidden_size}: they are not of this model"
            )
        head = Head(shape, dropout=0.0)
        own = {k.removeprefix(f"{name}."): v for k, v in values.items() if k.startswith(f"{name}.")}
        try:
            head.load_state_dict(own)
        except RuntimeError as error:
            reason = " ".join(str(error).splitlines()[1:2]).strip()
            raise DataError(f"{folder / WEIGHTS}: the head {name!r}: {reason}") from error
        heads[name] = head.eval()
    return heads


def check_same(given: Mapping[str, Head], wanted: Mapping[str, Head], place: Path) -> None:
    """Raise DataError unless heads to go on with have the labels and sizes of those wanted."""
    for name, head in wanted.items():
        if name not in given:
            raise DataError(f"{place}: there is no head {name!r} in it")
        if given[name].shape.labels != head.shape.labels:
            raise DataError(
                f"{place}: the head {name!r} tells {len(given[name].shape.labels)} classes "
                f"({', '.join(given[name].shape.labels[:3])}, ...), wanted are "
                f"{len(head.shape.labels)} ({', '.join(head.shape.labels[:3])}, ...)"
            )
        if given[name].shape != head.shape:
            raise DataError(
                f"{place}: the head {name!r} is {given[name].shape}, wanted is {head.shape}"
            )
