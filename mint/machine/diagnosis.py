"""What a machine lacks for each stack, and the one thing to do about it."""

from __future__ import annotations

from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from mint.machine.facts import Disk, Machine
from mint.machine.packages import (
    CPU,
    GPU,
    STACKS,
    mismatches,
    plugin_is_registered,
    python_range,
    stack_names,
    wrong_builds,
)

OK, NEAR, BAD, NONE = "ok", "near", "no", ""
"""Good; close to what was tested; stops training; the stack does not need it."""
_CPU_MEMORY_GIB, _GPU_MEMORY_GIB = 12.0, 64.0
_CPU_CORES, _GPU_CORES = 2, 6
_DISK_GIB = {CPU: 5.0, GPU: 100.0}
_INSTALL = {
    CPU: "run `make install` (docs/install.md)",
    GPU: "install the GPU stack (docs/install.md)",
}


class Row(NamedTuple):
    """One line of the table."""

    what: str
    found: str
    cpu: str
    """OK, NEAR, BAD or NONE for the CPU stack."""
    gpu: str
    note: str = ""


class Diagnosis(NamedTuple):
    """All rows, and what to do."""

    rows: tuple[Row, ...]
    stack: str
    """The stack that was asked for, or that the machine is fit for."""
    ready: bool
    advice: str


def diagnose(machine: Machine, disk: Disk, stack: str | None = None) -> Diagnosis:
    """Rows for both stacks; advice for `stack`, by default the GPU's where there is a GPU or
    where its packages are installed, as on a login node."""
    rows = (*_packages(machine), *_hardware(machine, disk))
    chosen = stack or (GPU if machine.gpus or _has_gpu_stack(machine) else CPU)
    column = STACKS.index(chosen)
    bad = [row for row in rows if (row.cpu, row.gpu)[column] == BAD]
    return Diagnosis(rows, chosen, not bad, _advice(chosen, bad, machine))


def _has_gpu_stack(machine: Machine) -> bool:
    wrong = wrong_builds(GPU, machine.versions, machine.torch_cuda)
    return not wrong and not any(miss.fatal for miss in mismatches(GPU, machine.versions))


def _packages(machine: Machine) -> list[Row]:
    rows = []
    fits = machine.python in SpecifierSet(python_range())
    mark = OK if fits else BAD
    rows.append(
        Row("Python", machine.python, mark, mark, "" if fits else f"needs {python_range()}")
    )
    wrong = {stack: {m.package: m for m in mismatches(stack, machine.versions)} for stack in STACKS}
    names = {stack: stack_names(stack) for stack in STACKS}
    builds = {stack: wrong_builds(stack, machine.versions, machine.torch_cuda) for stack in STACKS}
    for name in dict.fromkeys([*names[CPU], *names[GPU]]):
        found = machine.versions[name] if name in machine.versions else "missing"
        if name == "torch" and machine.torch_cuda is not None:
            found += f" (CUDA {machine.torch_cuda})"
        marks, notes = [], []
        for stack in STACKS:
            if name not in names[stack]:
                marks.append(NONE)
                continue
            miss = wrong[stack][name] if name in wrong[stack] else None
            build = [line for line in builds[stack] if line.startswith(f"{name} ")]
            marks.append(BAD if build or (miss and miss.fatal) else NEAR if miss else OK)
            if miss:
                notes.append(f"{stack} needs {miss.needed}")
            elif build:
                notes.append(f"{stack} needs another build")
        rows.append(Row(name, found, marks[0], marks[1], ", ".join(notes)))
    rows += [_breaking(line) for line in builds[CPU] if "breaks training" in line]
    there = "flashinfer-python" in machine.versions
    found = machine.versions["flashinfer-python"] if there else "missing"
    rows.append(Row("flashinfer", found, NONE, NONE, "not needed: vLLM's own sampler is used"))
    plugin = plugin_is_registered()
    note = "" if plugin else "run `pip install --no-deps -e .`: verl cannot load the CPU platform"
    rows.append(
        Row("mint", "installed" if plugin else "on the path only", OK if plugin else BAD, OK, note)
    )
    return rows


def _breaking(line: str) -> Row:
    return Row(line.split()[0], "installed", BAD, NONE, "breaks training on a CPU: uninstall it")


def _hardware(machine: Machine, disk: Disk) -> list[Row]:
    cuda = machine.cuda
    enough = cuda is not None and (
        machine.torch_cuda is None or _major(cuda) >= _major(machine.torch_cuda)
    )
    note = "" if enough or cuda is None else f"torch was built for CUDA {machine.torch_cuda}"
    rows = [Row("CUDA of the driver", cuda or "none", NONE, OK if enough else BAD, note)]
    for number, gpu in enumerate(machine.gpus):
        free = gpu.free_gib > 0.95 * gpu.total_gib
        note = "" if free else "others use it: `nvidia-smi` says who"
        found = f"{gpu.name}, {gpu.free_gib:.1f} of {gpu.total_gib:.1f} GiB free"
        rows.append(Row(f"GPU {number}", found, NONE, OK if free else NEAR, note))
    if not machine.gpus:
        rows.append(Row("GPU", "none", NONE, BAD, "`mint plan gpu=NAME` plans for one elsewhere"))
    memory, cores = machine.memory, machine.cores
    said = f"{memory.available_gib:.1f} of {memory.total_gib:.1f} GiB free"
    where = "limited by the control group" if memory.limited else ""
    rows += [
        Row(
            "cores",
            str(cores),
            OK if cores >= _CPU_CORES else NEAR,
            OK if cores >= _GPU_CORES else BAD,
            "" if cores >= _GPU_CORES else f"one GPU needs {_GPU_CORES}",
        ),
        Row(
            "memory",
            said,
            OK if memory.available_gib >= _CPU_MEMORY_GIB else BAD,
            OK if memory.available_gib >= _GPU_MEMORY_GIB else NEAR,
            where,
        ),
        Row("/dev/shm", f"{machine.shm_free_gib:.1f} GiB free", *(_shm(machine),) * 2),
        Row(
            "disk here",
            f"{disk.free_gib:.0f} of {disk.total_gib:.0f} GiB free",
            OK if disk.free_gib >= _DISK_GIB[CPU] else BAD,
            OK if disk.free_gib >= _DISK_GIB[GPU] else NEAR,
        ),
    ]
    for cluster in machine.clusters:
        port = "" if cluster.port is None else f", port {cluster.port}"
        found = f"runs already (process {cluster.pid} of {cluster.user}{port})"
        rows.append(Row("Ray", found, NEAR, NEAR, "a run starts its own unless it is given one"))
    return rows


def _shm(machine: Machine) -> str:
    return OK if machine.shm_free_gib >= 1 else BAD


def _major(version: str) -> int:
    return int(version.split(".")[0])


def _advice(stack: str, bad: list[Row], machine: Machine) -> str:
    """The one thing to do, by what everything else waits for."""
    if not bad:
        start = "+recipe=mint_tiny" if stack == CPU else "+recipe=mint_4b"
        return f"ready: `python -m mint.plan {start}` says what a run will take"
    names = [row.what for row in bad]
    for row in bad:
        if row.what == "Python":
            return f"install Python {python_range()} (docs/install.md)"
        if row.what in ("GPU", "CUDA of the driver") and not machine.gpus:
            return "go to a machine with a GPU and its driver; here only the CPU stack can run"
    breaking = [row for row in bad if row.note.startswith("breaks training")]
    if breaking:
        return f"run `pip uninstall -y {' '.join(row.what for row in breaking)}`"
    packages = [name for name in names if name in {*stack_names(stack)}]
    if packages:
        return f"{_INSTALL[stack]}: {', '.join(packages)}"
    if names == ["mint"]:
        return bad[0].note.partition(":")[0]
    row = bad[0]
    return (
        f"free or get more of this: {row.what}, {row.found}{f' ({row.note})' if row.note else ''}"
    )
