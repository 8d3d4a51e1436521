"""The manifest of a run: what produced it, so that it can be repeated and compared.

`start_manifest(run, RunFacts(...))` writes it with status "running";
`finish_manifest(run, error)` closes it with "finished" or "failed"; `resume_manifest` opens it
again. What the first start has recorded is never written over; `attempts` has a row for each start:

    {"started", "ended", "command", "git", "from_step", "config_diff": {key: [then, now]}, "error",
     "packages": those whose version differs from the first start's}
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mint
from mint.machine.facts import disk
from mint.machine.gpus import cuda_of_driver, read_gpus
from mint.machine.limits import read_memory
from mint.machine.packages import package_version
from mint.machine.processor import cpu_name
from mint.rundir.directory import RunDir
from mint.shell.console import say
from mint.shell.files import jsonable, read_json_if_there, sha256_file, utc_now, write_json
from mint.shell.signals import Signalled
from rewards.errors import ConfigError
from rewards.types import GraderIdentity

if TYPE_CHECKING:  # importing it loads torch
    from rewards.build import Graders

PACKAGES: tuple[str, ...] = (
    "torch",
    "transformers",
    "verl",
    "vllm",
    "ray",
    "sentence-transformers",
    "scikit-learn",
    "numpy",
    "hydra-core",
    "omegaconf",
)
"""Distributions whose version can change a result."""


LOST = "ended without a word: killed, or the machine was lost"
"""Error of an attempt that another one had to go on from."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What a run knows about itself when it starts."""

    command: Sequence[str]
    """The command line, program first."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    """Purpose -> seed."""
    data_files: Sequence[str | Path] = ()
    """Files read by the run; their SHA-256 is recorded."""
    graders: Mapping[str, GraderIdentity] = field(default_factory=dict)
    """"tagger" and "judge" -> identity."""
    recipe: str | None = None
    """Name of the recipe."""
    model: str | None = None
    """Fingerprint of the starting policy, which is also the reference of the KL term."""
    begun_from: Mapping[str, Any] | None = None
    """`made_by` of the starting policy, where a run of mint has made it."""


def made_by(model: str | Path) -> dict[str, Any] | None:
    """What has made a model folder that is the RUN/model of a run of mint: command, recipe, the
    data files' SHA-256 and, under "begun_from", the same of its own start; else None."""
    folder = Path(model)
    run = RunDir(folder.parent)
    if folder != run.model_path:
        return None
    manifest = read_json_if_there(run.manifest_path)
    if not isinstance(manifest, dict):
        return None
    return {key: manifest.get(key) for key in ("command", "recipe", "data", "begun_from")}


def start_manifest(run: RunDir, facts: RunFacts) -> dict[str, Any]:
    """Write RUN/manifest.json with status "running" and return its content.

    Raises ConfigError when a data file does not exist.
    """
    attempt = _attempt(facts.command, from_step=0)
    manifest = {
        "status": "running",
        "error": None,
        "started": attempt["started"],
        "finished": None,
        "recipe": facts.recipe,
        "model": facts.model,
        "begun_from": facts.begun_from,
        "command": attempt["command"],
        "mint": mint.__version__,
        "python": platform.python_version(),
        "packages": package_versions(),
        "git": attempt["git"],
        "machine": machine_facts(run.path),
        "seeds": dict(facts.seeds),
        "data": {str(path): sha256_file(Path(path)) for path in facts.data_files},
        "graders": {name: identity_row(grader) for name, grader in facts.graders.items()},
        "attempts": [attempt],
    }
    write_json(run.manifest_path, manifest)
    return manifest


def resume_manifest(
    run: RunDir,
    command: Sequence[str],
    *,
    from_step: int,
    config_diff: Mapping[str, tuple[Any, Any]],
) -> None:
    """Record that the run goes on from `from_step`, with what differs in its configuration: key ->
    (then, now). Raises ConfigError when the run was never started."""
    manifest = read_manifest(run)
    attempts = attempts_of(manifest)
    if attempts[-1]["ended"] is None:
        attempts[-1]["error"] = LOST
    now = package_versions()
    other = {name: v for name, v in now.items() if manifest["packages"].get(name) != v}
    attempt = _attempt(command, from_step=from_step, config_diff=config_diff, packages=other)
    state = {"status": "running", "error": None, "finished": None}
    write_json(run.manifest_path, {**manifest, **state, "attempts": [*attempts, attempt]})


def attempts_of(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The starts of a run, oldest first; one for a manifest that does not list them."""
    if manifest.get("attempts"):
        return list(manifest["attempts"])
    known = {name: manifest[name] for name in ("started", "command", "git", "error")}
    return [{**known, "ended": manifest["finished"], "from_step": 0, "config_diff": {}}]


def _attempt(
    command: Sequence[str],
    *,
    from_step: int,
    config_diff: Mapping[str, tuple[Any, Any]] | None = None,
    packages: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "started": utc_now(),
        "ended": None,
        "command": shlex.join(command),
        "git": git_state(Path(mint.__file__).parent),
        "from_step": from_step,
        "config_diff": dict(config_diff or {}),
        "packages": dict(packages or {}),
        "error": None,
    }


def finish_manifest(run: RunDir, error: BaseException | str | None = None) -> None:
    """Record the end of the run: status "finished", or "failed" with the error's one line.

    An interrupted run (KeyboardInterrupt) counts as failed. Raises ConfigError when the run was
    never started.
    """
    if isinstance(error, BaseException):
        error = f"{type(error).__name__}: {error}".strip().rstrip(":")
    status, now = "finished" if error is None else "failed", utc_now()
    *earlier, last = attempts_of(read_manifest(run))
    attempts = [*earlier, {**last, "ended": now, "error": error}]
    amend_manifest(run, {"status": status, "error": error, "finished": now, "attempts": attempts})


def note_failure(run: RunDir, error: BaseException) -> None:
    """`finish_manifest` with the error that ended the run, if a full disk still lets it."""
    try:
        finish_manifest(run, str(error) if isinstance(error, Signalled) else error)
    except OSError as problem:
        say(f"WARNING: {run.manifest_path} keeps its old state: {problem.strerror}")


def amend_manifest(run: RunDir, facts: Mapping[str, Any]) -> None:
    """Add what became known during the run, such as the exported step. Raises ConfigError when the
    run was never started."""
    write_json(run.manifest_path, {**read_manifest(run), **facts})


def read_manifest(run: RunDir) -> dict[str, Any]:
    """Content of RUN/manifest.json. Raises ConfigError when there is none."""
    manifest = read_json_if_there(run.manifest_path)
    if not isinstance(manifest, dict):
        raise ConfigError(f"{run.manifest_path} is missing; it is written when training starts")
    return manifest


def require_same_graders(run: RunDir, graders: Mapping[str, GraderIdentity]) -> None:
    """Raise ConfigError unless these are the graders, by identity, that the run began with."""
    recorded = read_manifest(run)["graders"]
    for name, identity in graders.items():
        now = identity_row(identity)
        then = recorded.get(name)
        if then != now:
            raise ConfigError(
                f"the {name} is not the one this run was trained with, so numbers would not "
                f"compare: manifest.json has {_short(then)}, loaded was {_short(now)}"
                f"{_differing(then, now)}"
            )


def identities(graders: Graders) -> dict[str, GraderIdentity]:
    """ "tagger" and "judge" -> identity, as `RunFacts` and `require_same_graders` want them."""
    return {"tagger": graders.tagger.identity, "judge": graders.judge.identity}


def identity_rows(graders: Graders) -> dict[str, dict[str, Any]]:
    """ "tagger" and "judge" -> identity as JSON."""
    return {name: identity_row(identity) for name, identity in identities(graders).items()}


def _short(identity: Mapping[str, Any] | None) -> str:
    if identity is None:
        return "none"
    return "/".join(str(identity[key]) for key in ("kind", "name", "revision"))


def _differing(then: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """The details that differ, for identities that look alike otherwise."""
    if then is None:
        return ""
    old, new = then["details"], now["details"]
    names = [n for n in sorted({*old, *new}) if old.get(n) != new.get(n)]
    shown = [f"{name} {old.get(name)!r:.60} then, {new.get(name)!r:.60} now" for name in names]
    return f" ({'; '.join(shown)})" if shown else ""


def identity_row(identity: GraderIdentity) -> dict[str, Any]:
    """A grader's identity in the form it has in JSON, so that two of them compare with ==."""
    return jsonable(asdict(identity))


def package_versions() -> dict[str, str]:
    """Name -> installed version of each of `PACKAGES` that is installed."""
    return {name: version for name in PACKAGES if (version := package_version(name)) is not None}


def git_state(folder: Path) -> dict[str, Any] | None:
    """{"revision", "dirty"} of the checkout that tracks `folder`; None when it is not in one."""
    # A package installed inside somebody's checkout (.venv/) must not report their revision.
    tracked = _git(folder, "ls-files", "--error-unmatch", "__init__.py")
    revision = _git(folder, "rev-parse", "HEAD")
    if tracked is None or revision is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"revision": revision, "dirty": bool(changes)}


def machine_facts(folder: Path) -> dict[str, Any]:
    """Operating system, processor, memory (GiB) and GPUs; "" and None for what is not told."""
    gpus = read_gpus(os.environ)
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpu": cpu_name(),
        "cpu_cores": os.cpu_count(),
        "memory_gib": round(read_memory().total_gib, 1),
        "disk_free_gib": round(disk(folder).free_gib, 1),
        "gpus": [f"{gpu.name} {gpu.total_gib:.0f} GiB" for gpu in gpus],
        "driver": gpus[0].driver if gpus else None,
        "cuda": cuda_of_driver(),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
