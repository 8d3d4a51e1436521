"""The prompts of a run's validations: whole held-out conversations, and a fixed set of probes.

One Parquet file of the columns that training rows have, because verl reads its validation set from
one place; probes are told apart by their data source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mint.config.validation import PROBE_SOURCE, ValidationConfig
from mint.data.dataset import SCHEMA, parquet_row, read_rows
from mint.data.prompts import PromptConfig
from mint.data.rows import prompt_row
from mint.evaluation.journal import Journal
from mint.evaluation.protocols.probes import probe_case
from mint.evaluation.tagging import tag_missing
from mint.rundir.manifest import identity_row
from mint.safety.probes import CATEGORIES, ProbeItem, load_probes
from mint.shell.files import replacing
from rewards.errors import DataError
from rewards.protocols import TacticTagger


def chosen_probes(per_category: int, items: Sequence[ProbeItem] | None = None) -> list[ProbeItem]:
    """The first, ..., last of each category, evenly spread over it; always the same ones."""
    items = load_probes() if items is None else items
    chosen: list[ProbeItem] = []
    for category in CATEGORIES:
        own = [item for item in items if item.category == category]
        wanted = min(per_category, len(own))
        chosen += [own[int((i + 0.5) * len(own) / wanted)] for i in range(wanted)]
    return chosen


def write_prompts(
    path: Path,
    held_out: str | Path,
    settings: ValidationConfig,
    prompts: PromptConfig,
    tagger: TacticTagger,
) -> tuple[int, int]:
    """Write the validation file; returns how many turns and probes it has.

    Earlier supporter turns of probes are tagged, as prompts of style tactics_history show them.
    Raises DataError when there is nothing to validate on, GraderError when tagging fails.
    """
    rows = held_out_rows(held_out, settings.max_conversations)
    items = chosen_probes(settings.probes_per_category)
    probes = probe_rows(path.with_name("probes.journal.jsonl"), items, prompts, tagger)
    table = pa.Table.from_pylist([*rows, *probes], schema=SCHEMA)
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
    return len(rows), len(probes)


def held_out_rows(path: str | Path, conversations: int | None) -> list[dict[str, Any]]:
    """Parquet rows of the first so many conversations, all their turns."""
    if not read_rows(path):  # checks the columns and every row
        raise DataError(f"{path} has no rows to validate on")
    rows = pq.read_table(path).to_pylist()
    names = dict.fromkeys(row["extra_info"]["conversation_id"] for row in rows)
    kept = set(list(names)[:conversations])
    return [row for row in rows if row["extra_info"]["conversation_id"] in kept]


def probe_rows(
    journal: Path, items: Sequence[ProbeItem], prompts: PromptConfig, tagger: TacticTagger
) -> list[dict[str, Any]]:
    """Parquet rows of safety probes; tags of their earlier turns are kept in `journal`."""
    if not items:
        return []
    journal.parent.mkdir(parents=True, exist_ok=True)
    with Journal(journal, {"tagger": identity_row(tagger.identity)}) as kept:
        cases, _ = asyncio.run(tag_missing([probe_case(item) for item in items], tagger, kept))
    return [
        parquet_row(prompt_row(case, prompts), PROBE_SOURCE, index, PROBE_SOURCE, "safety")
        for index, case in enumerate(cases)
    ]
