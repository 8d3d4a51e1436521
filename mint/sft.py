"""Fine-tune a model on replies, emotions and strategies:
`python -m mint.sft +recipe=NAME [key=value ...]`, or go on with a run:
`python -m mint.sft resume=RUN`.

+recipe=NAME   a file sft_*.yaml of recipes/tuning/
resume=RUN     go on with the run in this folder, with its own configuration
key=value      any key below, Hydra syntax
--dry-run      read and check everything, print the mixture, start nothing
--cfg          print the composed configuration

RUN/model is the merged model in Hugging Face form, RUN/heads the heads, RUN/adapter the adapter.
`python -m mint.train +recipe=mint_smol policy=RUN` trains it on rewards. SIGUSR1 saves after the
present step and ends with status 75. See docs/sft.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mint.supervised.settings import SftSettings
from mint.tuning import command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status of `mint.tuning.command.main`."""
    return command.main("sft", SftSettings, __doc__ or "", argv, _work)


def _work(asked: command.Asked) -> int:
    from mint.supervised import pipeline

    if asked.dry_run:
        pipeline.dry_run(asked)
        return 0
    return pipeline.run(asked)


if __name__ == "__main__":
    sys.exit(main())
