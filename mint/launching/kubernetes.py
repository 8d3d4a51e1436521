"""A run as a RayJob of the KubeRay operator (ray.io/v1)."""

from __future__ import annotations

import shlex
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from mint.launching.settings import Kubernetes
from mint.launching.training import Training
from mint.shell.console import say
from mint.shell.files import write_text_atomic

RUNS = Path("/runs")
"""Where the claim is mounted in every pod, and the working directory."""
_USER = 1000


def manifest(settings: Kubernetes, training: Training) -> str:
    """The RayJob in YAML."""
    overrides = training.on(nodes=settings.nodes, gpus=settings.gpus, address="auto")
    cluster: dict[str, Any] = {
        "rayVersion": metadata.version("ray"),
        "headGroupSpec": {
            "rayStartParams": {"dashboard-host": "0.0.0.0"},
            "template": _pod(settings, "ray-head"),
        },
    }
    if settings.nodes > 1:
        others = settings.nodes - 1
        cluster["workerGroupSpecs"] = [
            {
                "groupName": "gpu",
                **dict.fromkeys(("replicas", "minReplicas", "maxReplicas"), others),
                "rayStartParams": {},
                "template": _pod(settings, "ray-worker"),
            }
        ]
    job = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": settings.name, "namespace": settings.namespace},
        "spec": {
            # The same folder each time: a retry resumes from the newest checkpoint.
            "entrypoint": shlex.join(["mint", "launch", "attempt", "--", *overrides]),
            "backoffLimit": settings.retries,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": 600,
            "rayClusterSpec": cluster,
        },
    }
    return yaml.safe_dump(job, sort_keys=False, width=1000)


def _pod(settings: Kubernetes, name: str) -> dict[str, Any]:
    resources = {
        "cpu": str(settings.cpus),
        "memory": f"{settings.memory_gib}Gi",
        "nvidia.com/gpu": str(settings.gpus),
    }
    shared = {"medium": "Memory", "sizeLimit": f"{settings.shared_memory_gib}Gi"}
    return {
        "spec": {
            "securityContext": {"runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER},
            "containers": [
                {
                    "name": name,
                    "image": settings.image,
                    "workingDir": str(RUNS),
                    "env": [{"name": "HF_HOME", "value": f"{RUNS}/huggingface"}],
                    "resources": {"requests": resources, "limits": dict(resources)},
                    "volumeMounts": [
                        {"name": "runs", "mountPath": str(RUNS)},
                        {"name": "shared-memory", "mountPath": "/dev/shm"},
                    ],
                }
            ],
            "volumes": [
                {"name": "runs", "persistentVolumeClaim": {"claimName": settings.claim}},
                {"name": "shared-memory", "emptyDir": shared},
            ],
        }
    }


def write(settings: Kubernetes, training: Training) -> int:
    """Print the RayJob, or write it to a file."""
    text = manifest(settings, training)
    if settings.output is None:
        print(text, end="")
        return 0
    write_text_atomic(Path(settings.output), text)
    say(f"wrote {settings.output}; start it: kubectl apply -f {settings.output}")
    return 0
