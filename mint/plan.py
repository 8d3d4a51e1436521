"""What a run will take, before it starts: `python -m mint.plan +recipe=NAME [gpu=h100_80 ...]`.

Memory of each GPU and host, disk, cores, batches, graders' work, time, GPU-hours and cost, with the
formula behind each number. What does not fit is refused with the nearest change that does. Needs no
GPU: name one. Everything else is a key of the training configuration, as for mint.train.

+recipe=NAME        the recipe, and +hardware=NAME layers
gpu=NAME            kind of GPU; this machine's own where nothing is named
price_per_hour=2.5  of one GPU
cores=16            of a host, for what is planned elsewhere
host_gib=128        memory of a host that is free
disk_gib=500        free disk
reply_tokens=600    mean length of a reply, where you know better
rows=1543           training prompts, where the data are not here
run=DIR             a finished run of this machine: its times correct the estimates
json=true           for programs
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from mint.config import invocation, recipes
from mint.config.schema import mint_config
from mint.machine.facts import read_machine
from mint.planning import given, render
from mint.planning.plan import make_plan
from mint.shell import cli
from mint.shell.usage import program
from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PlanKeys:
    """What is no key of the training configuration."""

    gpu: str | None = None
    price_per_hour: float | None = None
    cores: int | None = None
    host_gib: float | None = None
    disk_gib: float | None = None
    reply_tokens: float | None = None
    rows: int | None = None
    run: str | None = None
    json: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 for bad input and for what does not fit."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return cli.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(f"usage: {program()} +recipe=NAME [key=value ...]\n\n{__doc__}")
        print(recipes.listing(recipes.find_recipes()))
        return 0
    own_names = {field.name for field in fields(PlanKeys)}
    own = [a for a in arguments if a.removeprefix("--").partition("=")[0] in own_names]
    if cli.PRINT_KEYS in arguments:
        print("\n".join([*(f"{name}=" for name in own_names), *invocation.completions()]))
        return 0
    keys = cli.parse(PlanKeys, own)
    asked = invocation.read([a for a in arguments if a not in own])
    if asked.printing or len(asked.jobs) != 1:
        raise ConfigError("mint.plan plans one run; it takes no options of Hydra and no sweep")
    config = asked.jobs[0].config
    mint = mint_config(config)
    assumed = given.assumptions(
        given.Given(
            gpu=keys.gpu,
            cores=keys.cores,
            host_gib=keys.host_gib,
            disk_gib=keys.disk_gib,
            price_per_hour=keys.price_per_hour,
            reply_tokens=keys.reply_tokens,
            rows=keys.rows,
        ),
        read_machine(),
        config,
    )
    if keys.run is not None:
        assumed = given.corrected(assumed, Path(keys.run))
    plan = make_plan(config, mint, assumed)
    if keys.json:
        print(json.dumps(render.as_json(plan), indent=1))
    else:
        print("\n".join(render.text(plan, str(config.actor_rollout_ref.model.path))))
    for problem in plan.problems:
        print(f"error: {problem.line()}", file=sys.stderr)
    return 2 if plan.problems else 0


if __name__ == "__main__":
    sys.exit(main())
