"""Facts of a machine from files and a stand-in for nvidia-smi, and what doctor makes of them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mint import doctor
from mint.machine import facts, gpus, limits, ray_clusters
from mint.machine.diagnosis import diagnose
from mint.machine.facts import Disk, Machine, read_machine
from mint.machine.gpus import Gpu
from mint.machine.limits import Memory
from mint.machine.packages import (
    mismatches,
    needed,
    package_version,
    requirements,
    torch_cuda,
    wrong_builds,
)

ANSWER = """\
0, GPU-aaaa, NVIDIA H100 80GB HBM3, 81559, 81000, 580.65.06
1, GPU-bbbb, NVIDIA H100 80GB HBM3, 81559, 40000, 580.65.06
2, GPU-cccc, NVIDIA H100 80GB HBM3, [N/A], [N/A], 580.65.06
"""
GIB = 1024**3


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name that answers as on a machine with GPUs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'X'\n{ANSWER}X\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tool


@pytest.mark.parametrize(
    ("visible", "free"),
    [
        (None, [79.1, 39.1]),
        ("1", [39.1]),
        ("1,0", [39.1, 79.1]),
        ("GPU-b", [39.1]),
        ("", []),
        ("0,7,1", [79.1]),
    ],
)
def test_gpus_that_cuda_would_see(nvidia_smi: Path, visible: str | None, free: list[float]) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    found = gpus.read_gpus(environment)
    assert [round(gpu.free_gib, 1) for gpu in found] == free
    assert all(gpu.name == "NVIDIA H100 80GB HBM3" for gpu in found)


def test_a_broken_nvidia_smi_shows_no_gpu(nvidia_smi: Path) -> None:
    nvidia_smi.write_text("#!/bin/sh\necho no driver; exit 9\n")
    assert gpus.read_gpus({}) == ()


@pytest.mark.parametrize(
    ("line", "files", "cores", "gib"),
    [
        ("0::/job", {"job/cpu.max": "150000 100000"}, 2, None),
        ("0::/job", {"cpu.max": "max 100000", "job/cpu.max": "max 100000"}, 999, None),
        ("0::/elsewhere/job", {"cpu.max": "100000 100000"}, 1, None),
        ("4:cpu,cpuacct:/job", {"cpu/job/cpu.cfs_quota_us": "100000"}, 999, None),
        (
            "3:cpu:/job",
            {"cpu/job/cpu.cfs_quota_us": "100000", "cpu/job/cpu.cfs_period_us": "100000"},
            1,
            None,
        ),
        (
            "0::/job",
            {
                "job/memory.max": str(4 * GIB),
                "job/memory.current": str(3 * GIB),
                "job/memory.stat": f"anon 5\ninactive_file {GIB}",
            },
            999,
            2.0,
        ),
        (
            "9:memory:/job",
            {
                "memory/job/memory.limit_in_bytes": str(2 * GIB),
                "memory/job/memory.usage_in_bytes": str(GIB),
            },
            999,
            1.0,
        ),
        (
            "0::/a/b",
            {
                "a/memory.max": str(2 * GIB),
                "a/memory.current": str(GIB),
                "a/b/memory.max": "max",
                "a/b/memory.current": "5",
            },
            999,
            1.0,
        ),
    ],
)
def test_limits_of_control_groups(
    tmp_path: Path, line: str, files: dict[str, str], cores: int, gib: float | None
) -> None:
    root, own = tmp_path / "cgroup", tmp_path / "own"
    own.write_text(f"{line}\n")
    root.mkdir()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    assert limits.usable_cores(root, own) == min(cores, len(os.sched_getaffinity(0)))
    memory = limits.read_memory(root, own)
    if gib is None:
        assert not memory.limited
    else:
        assert memory.limited
        assert memory.available_gib == pytest.approx(gib)


def test_a_ray_that_runs_already_is_seen(tmp_path: Path) -> None:
    # A script's process has the script's name, as Ray's own has that of its program.
    script = tmp_path / "gcs_server"
    script.write_text("#!/bin/sh\nread line\n")
    script.chmod(0o755)
    command = [str(script), "--gcs_server_port=6379"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not (found := {c.pid: c for c in ray_clusters.ray_clusters()}).get(process.pid):
            assert time.monotonic() < deadline
        assert found[process.pid].port == 6379
        assert process.stdin is not None
        process.stdin.close()


def test_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert facts.disk(tmp_path / "a" / "b").total_gib == facts.disk(tmp_path).total_gib


def test_versions_are_stated_once(root: Path) -> None:
    assert needed("verl", "cpu") == needed("verl", "gpu") == "0.9.1"
    names = {need.name for need in requirements("gpu")}
    assert {"verl", "vllm", "torch", "ray", "TransferQueue"} <= names


def test_what_stands_in_for_vllm_counts() -> None:
    assert package_version("no-such-package") is None
    good = {need.name: str(need.specifier).lstrip("=>") for need in requirements("gpu")}
    assert mismatches("gpu", good) == []
    (miss,) = mismatches("gpu", {**good, "vllm": "0.32.0"})
    assert miss.fatal
    assert miss.words() == f"vllm 0.32.0 (needs {good['vllm']})"
    (miss,) = mismatches("gpu", {**good, "transformers": "5.9.3"})
    assert not miss.fatal
    (miss,) = mismatches("gpu", {**good, "verl": "0.9.2"})
    assert miss.fatal
    (miss,) = mismatches("gpu", {k: v for k, v in good.items() if k != "ray"})
    assert miss.fatal
    assert "vllm 0.24.0+cpu is the build for CPUs" in wrong_builds(
        "gpu", {"vllm": "0.24.0+cpu"}, None
    )


def test_torch_is_read_without_being_imported() -> None:
    code = (
        "import sys\nfrom mint.machine.facts import read_machine\nread_machine()\n"
        "print([n for n in ('torch', 'vllm', 'ray', 'verl', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    import torch

    assert torch_cuda() == torch.version.cuda


def machine(**changes: object) -> Machine:
    base = {**vars(read_machine()), "memory": Memory(250.0, 240.0, False), "cores": 32}
    return Machine(**{**base, **changes})  # type: ignore[arg-type]


H100 = Gpu("NVIDIA H100 80GB HBM3", 79.6, 79.1, "580.1")
GPU_STACK = {need.name: str(need.specifier).lstrip("=>") for need in requirements("gpu")}


@pytest.mark.parametrize(
    ("changes", "stack", "ready", "advice"),
    [
        ({}, None, True, "ready: `python -m mint.plan +recipe=mint_tiny`"),
        ({"versions": {}}, None, False, "run `make install` (docs/install.md): verl, "),
        ({"python": "3.9.1"}, None, False, "install Python >=3.11"),
        ({}, "gpu", False, "go to a machine with a GPU"),
        (
            {"gpus": (), "cuda": None, "versions": GPU_STACK, "torch_cuda": "13.0"},
            None,
            False,
            "go to a machine with a GPU",
        ),
        (
            {"gpus": (H100,), "cuda": "13.0", "versions": GPU_STACK, "torch_cuda": "13.0"},
            None,
            True,
            "ready: `python -m mint.plan +recipe=mint_4b`",
        ),
        (
            {"gpus": (H100,), "cuda": "12.4", "versions": GPU_STACK, "torch_cuda": "13.0"},
            None,
            False,
            "CUDA of the driver, 12.4 (torch was built for CUDA 13.0)",
        ),
        (
            {"gpus": (H100,), "cuda": "13.0"},
            None,
            False,
            "install the GPU stack (docs/install.md): torch, transformers, vllm",
        ),
        ({"memory": Memory(16.0, 3.0, True)}, None, False, "memory, 3.0 of 16.0 GiB free"),
    ],
)
def test_diagnosis_ends_with_the_one_thing_to_do(
    changes: dict[str, object], stack: str | None, ready: bool, advice: str
) -> None:
    found = diagnose(machine(**changes), Disk(500.0, 400.0), stack)
    assert found.ready is ready
    assert advice in found.advice


@pytest.mark.slow
def test_doctor_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.process_time()
    status = doctor.main(doctor.DoctorConfig())
    assert time.process_time() - began < 2
    text = capsys.readouterr().out
    assert text.splitlines()[0].split() == ["found", "cpu", "gpu"]
    assert text.splitlines()[-1].startswith("cpu stack: ")
    assert doctor.main(doctor.DoctorConfig(json=True)) == status
    row = json.loads(capsys.readouterr().out)
    assert row["ready"] is (status == 0)
    assert {"machine", "rows", "stack", "advice"} <= set(row)
