"""Reading and writing a batch's rows in TransferQueue; the only place that does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transfer_queue as tq
from tensordict import TensorDict


def read(batch: Any, *fields: str) -> Any:
    """The fields of all rows, padding rows included, by name."""
    return tq.kv_batch_get(
        keys=batch.keys, partition_id=batch.partition_id, select_fields=list(fields)
    )


def read_extras(batch: Any, key: str) -> tuple[list[dict[str, Any]], list[str], list[int]]:
    """Extra fields that have `key`, group ids and row numbers, without verl's padding rows."""
    data = read(batch, "uid", "extra_fields")
    uids, extras = list(data["uid"]), list(data["extra_fields"])
    positions = [i for i, tag in enumerate(batch.tags) if not tag.get("is_padding")]
    for position in positions:
        if key not in extras[position]:
            raise KeyError(f"row {batch.keys[position]} came without {key}")
    return [extras[i] for i in positions], [str(uids[i]) for i in positions], positions


def write(batch: Any, fields: Mapping[str, Any]) -> None:
    """Fields of all rows."""
    tq.kv_batch_put(
        keys=batch.keys,
        partition_id=batch.partition_id,
        fields=TensorDict(dict(fields), batch_size=len(batch)),
    )


def per_token(batch: Any, values: Mapping[int, Sequence[tuple[int, int, float]]]) -> torch.Tensor:
    """Jagged [rows, response] with (first, end, value) spans of each row number, 0 elsewhere."""
    rows = []
    for position, tag in enumerate(batch.tags):
        row = torch.zeros(int(tag["response_len"]), dtype=torch.float32)
        for first, end, value in values.get(position, ()):
            row[first:end] = value
        rows.append(row)
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)
