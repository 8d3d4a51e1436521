"""What `mint.tag` and `mint.judge` do alike: settings, files, and the loop over replies."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mint.filters.files import Show, open_answers, read_requests
from mint.filters.lines import clean_stdout, run_filter
from mint.shell.console import progress_bar
from mint.shell.files import check_output_file
from rewards.build import EncoderConfig, build_encoder
from rewards.protocols import Encoder
from rewards.types import Failure, Reply

Grade = Callable[[list[Reply]], Awaitable[Sequence[Any]]]
"""Grades of replies, in order; a `Failure` for each that has none."""


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """Where replies come from, where their grades go, and the embedded grader's files."""

    input: str | None = None
    """File of JSON lines, or of conversations, whose supporter turns are graded; null: stdin."""
    output: str | None = None
    """File for the answers; null: stdout."""
    overwrite: bool = False
    """Replace the file that `output` names."""
    pretty: bool = False
    """Show a table, in colour on a terminal, instead of JSON lines."""
    encoder: str | None = None
    """Folder of the sentence encoder; null: the installed package or the hub."""
    weights: str | None = None
    """Fitted heads (.npz of python -m rewards.fit); null: the shipped ones."""


def grade_lines(
    settings: FilterSettings,
    parse: Callable[[Mapping[str, Any]], Reply],
    build: Callable[[Callable[[], Encoder]], Grade],
    row: Callable[[Any], dict[str, Any]],
    show: Show,
) -> int:
    """Answer every request of the input; returns the exit status, 1 when no line could be used.

    `parse` reads a request, `build` makes the grader around the encoder, `row` puts a grade into
    an answer and `show` an answer into a table.
    """
    requests = read_requests(settings.input)
    target = None
    if settings.output is not None:
        target = check_output_file(settings.output, overwrite=settings.overwrite)
    read = refused = 0
    # Files first: what cannot be written should not wait for the encoder.
    with (
        clean_stdout() as stdout,
        open_answers(target, settings.pretty, stdout, show) as take,
    ):
        grade = build(lambda: build_encoder(EncoderConfig(path=settings.encoder)))

        async def graded(replies: list[Reply]) -> list[dict[str, Any]]:
            return [
                {"error": f"{one.kind}: {one.message}"} if isinstance(one, Failure) else row(one)
                for one in await grade(replies)
            ]

        with progress_bar(transient=True) as progress:
            # A pipe has no end that is known, and its lines are read as they come.
            known = sum(map(len, requests)) if isinstance(requests, list) else None
            task = progress.add_task("replies", total=known, visible=known is not None)
            answered = run_filter(parse, lambda replies: asyncio.run(graded(replies)), requests)
            for answers in answered:
                read += len(answers)
                refused += sum("error" in one.row for one in answers)
                take(answers)
                progress.advance(task, len(answers))
    if refused:
        print(f"{refused} of {read} lines could not be used; they say why", file=sys.stderr)
    return int(bool(read) and refused == read)
