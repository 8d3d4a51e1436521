"""Train a policy on preferences by DPO: `python -m mint.prefer +recipe=NAME [key=value ...]`, or go
on with a run: `python -m mint.prefer resume=RUN`.

The policy answers the training prompts several times; tagger, judge, second judge and safety rules
grade the replies, and two of them that all agree on become a pair (docs/preference.md). The run
directory is that of a training run: pairs.jsonl, left_out.jsonl (why a prompt has no pair),
metrics.jsonl, evaluation/, model/, report.html.

--dry-run           check everything and start nothing
--cfg               print the configuration
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from mint.preference.settings import PreferSettings
from mint.tuning import command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status of `mint.tuning.command.main`."""
    return command.main("prefer", PreferSettings, __doc__ or "", argv, _work)


def _work(asked: command.Asked) -> int:
    from mint.preference import pipeline

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    return pipeline.run(asked)


if __name__ == "__main__":
    sys.exit(main())
