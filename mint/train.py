"""Train a policy: `python -m mint.train +recipe=NAME [key=value ...]`.

+recipe=NAME        a file of recipes/ (run without arguments for the list)
key=value           any key of the configuration (docs/configuration.md), Hydra syntax
-m, --multirun      sweep: mint.reward.kl=0,0.5,1 is python -m mint.sweep, see its --help
--dry-run           compose, check files, batches and memory, stop before Ray starts
--cfg job [-p mint] print the composed configuration (or a part of it)
--info defaults     show what the configuration is composed of
--hydra-help        more Hydra options
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from mint.config import invocation, recipes
from mint.shell import cli
from mint.shell.usage import program


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 done, 1 training failed, 2 bad input, 3 the
    collapse alarm has ended the training, with a model exported)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return cli.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(f"usage: {program()} +recipe=NAME [key=value ...]\n\n{__doc__}")
        print(recipes.listing(recipes.find_recipes()))
        return 0
    if cli.PRINT_KEYS in arguments:
        print("\n".join(invocation.completions()))
        return 0
    if "--hydra-help" in arguments:
        invocation.print_with_hydra(arguments)
        return 0
    if invocation.sweeps(arguments):
        from mint.sweeping.command import run

        return run(arguments)
    asked = invocation.read(arguments)
    if asked.printing:
        invocation.print_with_hydra(arguments)
        return 0
    # Imported here: a misspelt key should not wait for what training needs.
    from mint.training import pipeline

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    ((overrides, config),) = asked.jobs
    if asked.dry_run:
        pipeline.dry_run(config)
        return 0
    return pipeline.run(config, overrides=overrides)


if __name__ == "__main__":
    sys.exit(main())
