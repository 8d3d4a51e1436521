"""The hardware layers under verl's own check of a configuration."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("verl", reason="needs the cpu or gpu extra")
pytestmark = pytest.mark.contract

CODE = """
import sys
from mint.config import compose, recipes
from verl.utils.config import omega_conf_to_dataclass, validate_config
recipes.register(recipes.find_recipes())
jobs = [["+recipe=mint_4b", f"+hardware={name}"] for name in sys.argv[1:]]
for job, config in zip(jobs, compose.compose_configs(jobs)):
    validate_config(config, use_reference_policy=True, use_critic=False)
    # verl builds no dataclass of ref, and that of model only beside its files.
    for node in ("actor", "rollout"):
        omega_conf_to_dataclass(config.actor_rollout_ref[node])
    print(job[1])
"""
LAYERS = ("h100_1", "h200_1", "gpus_8", "nodes_2x8", "lora", "[h100_1,lora]", "[gpus_8,lora]")


def test_verl_accepts_every_layer() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *LAYERS], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    accepted = [line for line in done.stdout.splitlines() if line.startswith("+hardware=")]
    assert accepted == [f"+hardware={name}" for name in LAYERS]
