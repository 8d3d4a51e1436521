"""What can be set about each way to start a run: one dataclass a way."""

from __future__ import annotations

from dataclasses import dataclass, field

from mint.config.rules import POSITIVE, Rule, at_least, check, one_of, or_null

_COUNTS = at_least(1)
_NAME = Rule(
    "small letters, digits and hyphens, 40 at most",
    lambda name: 0 < len(name) <= 40 and name.replace("-", "").isalnum() and name == name.lower(),
)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Starts or resumes the run in mint.run.dir, whichever is right, in this process."""

    most: int = 3
    """Attempts that may end without any checkpoint; one more is refused."""

    def __post_init__(self) -> None:
        check(self, {"most": _COUNTS})


@dataclass(frozen=True, kw_only=True)
class RayJob:
    """Submits the run to a Ray cluster that is already there (`ray job submit`)."""

    address: str = "http://127.0.0.1:8265"
    """Where the cluster's dashboard answers."""
    nodes: int = 1
    """Nodes to train on (trainer.nnodes)."""
    gpus: int = 1
    """GPUs of each node (trainer.n_gpus_per_node)."""
    wait: bool = False
    """Follow the job's output and end with its status; false: return when it is submitted."""
    name: str = ""
    """Name of the job; the cluster makes one up unless set."""
    print_only: bool = False
    """Print the command instead of running it."""

    def __post_init__(self) -> None:
        address = Rule("http://HOST:PORT", lambda text: text.startswith(("http://", "https://")))
        check(self, {"address": address, "nodes": _COUNTS, "gpus": _COUNTS})


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """Submits the run to SLURM through submitit; re-queued and resumed until it has finished."""

    nodes: int = 1
    """Nodes to train on (trainer.nnodes); with more than one, Ray is started on all of them."""
    gpus: int = 1
    """GPUs of each node (trainer.n_gpus_per_node)."""
    cpus: int = 16
    """Cores of each node."""
    memory_gb: float = 128.0
    """Memory of each node in GB."""
    hours: float = 24.0
    """Time limit of the job, hours; when it is over the run saves, and is queued again."""
    save_s: float = 900.0
    """How long before the limit the run is told to save and end, seconds: a step, a checkpoint and
    a margin."""
    requeues: int = 20
    """How often the run may come back after its time was over."""
    partition: str | None = None
    """SLURM's partition."""
    account: str | None = None
    """SLURM's account."""
    qos: str | None = None
    """SLURM's quality of service."""
    constraint: str | None = None
    """Features that nodes must have, e.g. h100."""
    sbatch: dict[str, str] = field(default_factory=dict)
    """Further options of sbatch without their hyphens, e.g. {mail-type: END}."""
    setup: list[str] = field(default_factory=list)
    """Shell commands before the run on every node, e.g. [module load cuda/13.0]."""
    folder: str = "outputs/slurm"
    """Folder for submitit's files and logs; all nodes must see it."""
    executor: str = "slurm"
    """slurm; local runs the same job on this machine, to try it."""

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("nodes", "gpus", "cpus"), _COUNTS)
        amounts = dict.fromkeys(("memory_gb", "hours", "save_s"), POSITIVE)
        rest = {"requeues": at_least(0), "executor": one_of("slurm", "local")}
        check(self, {**counts, **amounts, **rest})
        most = self.hours * 3600
        check(self, {"save_s": Rule(f"< the {most:.0f} s of hours", lambda value: value < most)})


@dataclass(frozen=True, kw_only=True)
class Kubernetes:
    """Prints a RayJob for KubeRay: `kubectl apply -f -` runs it."""

    name: str = "mint"
    """Name of the RayJob; the run's folder is outputs/<name> in the claim."""
    namespace: str = "default"
    """Kubernetes namespace."""
    image: str = "mint:gpu"
    """Image of docker/Dockerfile, as the cluster's nodes can pull it."""
    claim: str = "mint-runs"
    """PersistentVolumeClaim (ReadWriteMany) mounted at /runs: data, models, outputs."""
    nodes: int = 1
    """Pods with GPUs (trainer.nnodes)."""
    gpus: int = 1
    """GPUs of each pod (trainer.n_gpus_per_node)."""
    cpus: int = 16
    """Cores of each pod."""
    memory_gib: int = 128
    """Memory of each pod in GiB, shared memory included."""
    shared_memory_gib: int = 32
    """What of it /dev/shm may take: Ray's object store and weight transfer."""
    retries: int = 3
    """How often the job is started again, resuming, when it or its cluster fails."""
    output: str | None = None
    """File to write; printed unless set."""

    def __post_init__(self) -> None:
        names = dict.fromkeys(("name", "namespace", "claim"), _NAME)
        counts = dict.fromkeys(("nodes", "gpus", "cpus", "memory_gib"), _COUNTS)
        shared = Rule(f"in 1..{self.memory_gib}", lambda gib: 1 <= gib <= self.memory_gib)
        filled = or_null(Rule("a path", bool))
        check(self, {**names, **counts, "retries": at_least(0), "output": filled})
        check(self, {"shared_memory_gib": shared})


PARTS = {"attempt": Attempt, "ray": RayJob, "slurm": Slurm, "kubernetes": Kubernetes}
