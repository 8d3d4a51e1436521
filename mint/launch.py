"""Start training on a cluster: `python -m mint.launch PART [key=value ...] -- TRAINING`.

ray           submit to a Ray cluster that is there (`ray job submit`)
slurm         submit to SLURM through submitit; re-queued and resumed when its time is over
kubernetes    print a RayJob for KubeRay
attempt       start the run in mint.run.dir, or resume it: what the three call, here and now

TRAINING is what mint.train takes: +recipe=NAME and overrides. The run's folder is decided when it
is launched, so that the same job, started again, goes on with it. docs/cluster.md has the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mint.launching.settings import PARTS, Attempt, Kubernetes, RayJob, Slurm
from mint.shell import cli

_AFTER = "-- +recipe=NAME [key=value ...]"


def run(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    training = arguments[end + 1 :]
    return cli.run_parts(
        __doc__ or "", PARTS, lambda s: launch(s, training), arguments[:end], after=_AFTER
    )


def launch(settings: object, overrides: Sequence[str]) -> int:
    """Start the run that `overrides` describe in the way that `settings` are those of."""
    # Imported here: help should not wait for what composes configurations.
    from mint.launching import attempt, kubernetes, ray_job, slurm
    from mint.launching.training import read_training

    match settings:
        case Attempt():
            return attempt.attempt(overrides, settings.most)
        case RayJob():
            return ray_job.submit(settings, read_training(overrides))
        case Slurm():
            slurm.executor_of(settings)  # before a folder is made for nothing
            slurm.submit(settings, read_training(overrides))
            return 0
        case Kubernetes():
            folder = kubernetes.RUNS / "outputs" / settings.name
            return kubernetes.write(settings, read_training(overrides, folder))
    raise TypeError(settings)


if __name__ == "__main__":
    sys.exit(run())
