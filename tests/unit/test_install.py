"""scripts/install.py, run as it is: real pip on a made-up package index."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PIN = "torch==2.13.0"
CPU = "import sys; __version__ = '2.13.0+cpu'; from torch import version"
UV = """
import os, subprocess, sys
assert sys.argv[1:3] == ["pip", "install"] and "--torch-backend=cpu" in sys.argv, sys.argv
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
sys.exit(subprocess.call([*pip, "--force-reinstall", "--find-links", "CPU_BUILDS", sys.argv[-1]]))
"""
UV_GPU = """
import pathlib, sysconfig
folder = pathlib.Path(sysconfig.get_path("purelib"), "torch")
folder.mkdir()
(folder / "__init__.py").write_text(
    "raise ImportError('libcudnn.so.9: cannot open shared object file')"
)
"""
OFFLINE = "import sys; sys.exit('error: Failed to fetch: name or service not known')"


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    about += "Requires-Dist: not-there\n"  # nothing may be resolved
    contents = {**files, f"{info}/METADATA": about, f"{info}/WHEEL": tags}
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in contents.items():
            archive.writestr(member, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{member},,\n" for member in contents))
    return path


def torch_wheel(folder: Path, version: str, code: str) -> Path:
    files = {"torch/__init__.py": code, "torch/version.py": "cuda = None\nhip = None\n"}
    return wheel(folder, "torch", version, files)


class Machine:
    """An empty environment, and a package index that pip is set up with."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.script = folder, root / "scripts/install.py"
        self.index, self.cpu = folder / "simple", folder / "cpu-builds"
        venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / "env")]
        subprocess.run(venv, check=True)
        self.site = folder / "env/lib/python3.11/site-packages"
        (self.site / "pip").symlink_to(Path(sysconfig.get_path("purelib")) / "pip")
        self.index.mkdir()
        torch_wheel(self.cpu, "2.13.0+cpu", CPU)
        self.offer(wheel(folder / "wheels", "filelock", "1.0", {"filelock.py": ""}))
        self.offer(wheel(folder / "wheels", "biggest", "3.0", {"biggest.py": ""}))
        self.requirements = folder / "cpu.txt"
        self.requirements.write_text(f"# pinned\nfilelock==1.0\n{PIN}\nbiggest==3.0\n")

    def offer(self, file: Path) -> None:
        """List a wheel in the index."""
        project = self.index / file.name.partition("-")[0]
        project.mkdir()
        link = f'<a href="{file.resolve().as_uri()}">{file.name}</a>'
        (project / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")

    def offer_gpu_torch(self) -> None:
        """List a torch as it is by default; the wheel itself is not there to be downloaded."""
        self.offer(self.folder / "wheels/torch-2.13.0-py3-none-any.whl")

    def offer_uv(self, code: str) -> None:
        files = {"uv/__init__.py": "", "uv/__main__.py": code.replace("CPU_BUILDS", str(self.cpu))}
        self.offer(wheel(self.folder / "wheels", "uv", "1.0", files))

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/bin:/bin",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_INDEX_URL": self.index.resolve().as_uri(),
            "PIP_NO_CACHE_DIR": "1",
        }
        python = str(self.folder / "env/bin/python")
        return subprocess.run(
            [python, str(self.script), *arguments, str(self.requirements)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def installed(self) -> set[str]:
        return {path.name.removesuffix(".dist-info") for path in self.site.glob("*.dist-info")}


@pytest.fixture
def machine(tmp_path: Path, root: Path) -> Machine:
    return Machine(tmp_path, root)


def test_pip_as_configured_comes_first_and_once(machine: Machine) -> None:
    machine.offer(next(machine.cpu.glob("*.whl")))
    done = machine.install()
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.installed() == {"filelock-1.0", "torch-2.13.0+cpu", "biggest-3.0"}
    told = done.stdout.splitlines()
    assert told[0] == "installing torch==2.13.0+cpu (about 200 MB)"
    assert told[1] == "torch==2.13.0+cpu imports and is a CPU build"
    assert told[2].startswith("installing 3 packages, about ")
    (machine.index / "torch/index.html").unlink()
    again = machine.install()
    assert (again.returncode, again.stdout.splitlines()[0][:21]) == (0, "installing 3 packages")


def test_a_build_for_a_gpu_is_not_downloaded_and_uv_finds_the_right_one(machine: Machine) -> None:
    machine.offer_gpu_torch()
    machine.offer_uv(UV)
    done = machine.install()
    assert (done.returncode, done.stderr) == (0, "")
    assert "pip: ERROR: No matching distribution found for torch==2.13.0+cpu; trying" in done.stdout
    assert {"torch-2.13.0+cpu", "biggest-3.0"} <= machine.installed()


@pytest.mark.parametrize(
    ("uv", "reason"),
    [
        (OFFLINE, "uv: error: Failed to fetch: name or service not known). "),
        (None, "uv: ERROR: No matching distribution found for uv). "),
        (UV_GPU, "`import torch` fails: ImportError: libcudnn.so.9: cannot open shared object"),
    ],
)
def test_without_a_cpu_build_one_line_says_what_to_do_before_the_rest(
    machine: Machine, uv: str | None, reason: str
) -> None:
    machine.offer_gpu_torch()
    if uv is not None:
        machine.offer_uv(uv)
    done = machine.install()
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: no CPU build of torch==2.13.0 could be installed (pip: ")
    assert reason in done.stderr
    assert 'PIP_ARGS="--find-links FOLDER"' in done.stderr
    assert "biggest-3.0" not in machine.installed()


def test_pip_args_name_the_place_of_a_cpu_build(machine: Machine) -> None:
    machine.offer_gpu_torch()
    done = machine.install(f"--pip-args=--find-links {machine.cpu}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "torch-2.13.0+cpu" in machine.installed()


def test_another_system_is_refused_in_one_line(root: Path) -> None:
    code = (
        "import platform, runpy, sys; platform.machine = lambda: 'arm64'; sys.argv[1:] = ['x'];"
        f"runpy.run_path({str(root / 'scripts/install.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "for Linux x86_64, Python 3.11; this is Linux arm64" in done.stderr
