"""Train a policy: `python -m mint.train +recipe=NAME [key=value ...]`, or go on with a run:
`python -m mint.train resume=RUN [key=value ...]`.

+recipe=NAME        a file of recipes/ (run without arguments for the list)
resume=RUN          go on with the run in this folder, with its own configuration
policy=RUN          start from the model of this run of `mint sft`, `mint prefer` or `mint train`
key=value           any key of the configuration (docs/configuration.md), Hydra syntax
-m, --multirun      sweep: mint.reward.kl=0,0.5,1 is python -m mint.sweep, see its --help
--dry-run           compose, check files, batches and memory, stop before Ray starts
--cfg job [-p mint] print the composed configuration (or a part of it)
--info defaults     show what the configuration is composed of
--hydra-help        more Hydra options

Ctrl-C, SIGTERM and SIGHUP end a run with everything it has started; so does a kill -9. SIGUSR1
saves after the present step and ends with status 75; mint.run.resume=true goes on from there.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence

from mint.config import invocation, recipes
from mint.rundir.resume import resumed_run
from mint.shell import cli, signals
from mint.shell.usage import program


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 done, 1 training failed, 2 bad input, 3 the
    collapse alarm has ended the training, with a model exported, 75 saved and ended as asked by
    SIGUSR1, 128 + n ended by signal n)."""
    arguments = list(sys.argv[1:] if argv is None else argv)

    def work() -> int:
        # Before there is a run directory there is nothing to save.
        with signals.signals_raise(), signals.on_signal(signal.SIGUSR1, lambda: None):
            return _main(arguments)

    return cli.guarded(work)


def _main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(f"usage: {program()} +recipe=NAME|resume=RUN [key=value ...]\n\n{__doc__}")
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
    going_on = None if asked.resume is None else resumed_run(asked.resume)
    # Imported here: a misspelt key should not wait for what training needs.
    from mint.training import pipeline

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if going_on is not None:
        if asked.dry_run:
            pipeline.dry_run(going_on.config, going_on.changes)
            return 0
        return pipeline.run(going_on.config, going_on.overrides, going_on.changes)
    (job,) = asked.jobs
    if asked.dry_run:
        pipeline.dry_run(job.config)
        return 0
    with invocation.claimed(job):
        return pipeline.run(job.config, overrides=job.overrides)


if __name__ == "__main__":
    sys.exit(main())
