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

from mint.shell import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 done, 1 training failed, 2 bad input, 75
    saved and ended as asked by SIGUSR1, 128 + n ended by signal n)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return cli.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    from mint.preference.settings import PreferSettings
    from mint.tuning import command

    if {"-h", "--help"} & set(arguments):
        print(command.help_text("prefer", PreferSettings, str(__doc__)))
        return 0
    if cli.PRINT_KEYS in arguments:
        print("\n".join(command.completions("prefer", PreferSettings)))
        return 0
    asked = command.read("prefer", PreferSettings, arguments)
    if asked.show:
        print(command.as_yaml(asked.settings, "prefer"), end="")
        return 0
    # Imported here: a misspelt key should not wait for what training needs.
    from mint.preference import pipeline

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    return pipeline.run(asked)


if __name__ == "__main__":
    sys.exit(main())
