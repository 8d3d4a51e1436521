"""An evaluation's runner on a made-up supporter, with a journal and without progress bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fake_graders import FakeJudge
from rich.console import Console
from rich.progress import Progress

from mint.evaluation.journal import Journal
from mint.evaluation.runner import Runner
from mint.evaluation.sources.requests import Sampling
from rewards.formula import RewardWeights
from rewards.scorer import ReplyScorer


@contextmanager
def quiet_runner(
    folder: Path, supporter: Any, tagger: Any, max_new_tokens: int
) -> Iterator[Runner]:
    """Its journal is `folder`/journal.jsonl."""
    with (
        Journal(folder / "journal.jsonl", {}) as journal,
        Progress(console=Console(quiet=True)) as progress,
    ):
        yield Runner(
            source=supporter,
            scorer=ReplyScorer(tagger, FakeJudge()),
            weights=RewardWeights(),
            sampling=Sampling(
                temperature=0.7, top_p=1.0, max_new_tokens=max_new_tokens, thinking=False, seed=1
            ),
            journal=journal,
            progress=progress,
        )
