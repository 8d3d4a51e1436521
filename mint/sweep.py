"""Train many settings to their end and compare them on one page: `python -m mint.sweep +recipe=NAME
key=a,b [...]`.

+recipe=NAME,NAME   one recipe, or several: each is a job
key=a,b             any key of the configuration with several values (Hydra syntax: a,b range(0,3)
                    choice(a,b)); every combination is a job, mint.run.seed=0,1,2 repeats it
key=value           for every job

--dir DIR           folder of the sweep; outputs/sweeps/NAME unless given, the same for the same
                    command
--dry-run           list the jobs and check each; starts nothing
--only N            run the job of this number alone (also 0,2-4), say in a SLURM array
--parallel N        run N jobs at the same time, at most (default: as many as the GPUs at hand
                    carry, one without GPUs)
--tables FILE       named settings of `mint sft` or `mint prefer` (+recipe=sft_smol) as tables of
                    the dev split; ablations: those of docs/pipeline.md
--search N          let Optuna choose N settings: key=interval(0,2), int(interval(1,5)),
                    tag(log,interval(1e-6,1e-4)) or a list of values

Started again, the same command leaves finished jobs alone and goes on with broken ones. A job that
fails ends no other; the worst exit status is returned. DIR/sweep.json has the state of every job,
DIR/logs what they print, DIR/sweep.html the comparison. See docs/sweeps.md.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from mint.config import invocation, recipes
from mint.shell import cli
from mint.shell.usage import program


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the worst exit status of the jobs (see `mint.train`), 2 for bad
    input, 128 + signal when a signal has ended it."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return cli.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(f"usage: {program()} +recipe=NAME key=a,b [...]\n\n{__doc__}")
        print(recipes.listing(recipes.find_recipes()))
        return 0
    # Imported here: the help should not wait for what jobs need.
    from mint.sweeping import command, tables

    if cli.PRINT_KEYS in arguments:
        print("\n".join([*invocation.completions(), *command.OPTIONS, tables.OPTION]))
        return 0
    if any(argument.partition("=")[0] == tables.OPTION for argument in arguments):
        return tables.run(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    return command.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
