"""Install pinned requirements without a GPU into the environment of this interpreter.

    .venv/bin/python scripts/install.py [--pip-args=ARGS] FILE_OR_FOLDER ...

FILE is a requirements file, FOLDER a package to install afterwards; neither is resolved
(`--no-deps`). torch comes first, because the build that pip takes by default needs CUDA libraries:
from pip as configured (ARGS are handed to it) where that offers a CPU build, else from uv, which
knows where the CPU builds are. It must import and be a CPU build before the rest is downloaded.
Standard library only. Exit status 1 when something could not be installed, 2 for another system.
"""

from __future__ import annotations

import argparse
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

# What `import torch` needs (numpy aside), under the versions that the requirements pin.
TORCH_NEEDS = {
    "filelock",
    "fsspec",
    "jinja2",
    "markupsafe",
    "mpmath",
    "networkx",
    "setuptools",
    "sympy",
    "typing-extensions",
}
SUPPORTED = ("Linux", "x86_64", (3, 11))
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
ANNOUNCE_EVERY = 50
GB_A_PACKAGE = 0.012  # mean of requirements/cpu.txt, unpacked


class InstallError(Exception):
    """One line for the person who installs."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pip-args", default="", help="arguments for pip, in one string")
    parser.add_argument("sources", nargs="+", type=Path, help="requirements files, then folders")
    options = parser.parse_args(argv)
    here = (platform.system(), platform.machine(), sys.version_info[:2])
    if here != SUPPORTED:
        wanted, found = (f"{s} {m}, Python {v[0]}.{v[1]}" for s, m, v in (SUPPORTED, here))
        print(f"error: the pinned set is for {wanted}; this is {found}", file=sys.stderr)
        return 2
    try:
        install(options.sources, shlex.split(options.pip_args))
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def install(sources: list[Path], pip_args: list[str]) -> None:
    """torch first, then the requirements, then the folders. Raises InstallError."""
    files = [source for source in sources if not source.is_dir()]
    pins = {name: line for file in files for name, line in read_pins(file).items()}
    if "torch" in pins:
        install_torch(pins, pip_args)
    say(f"installing {len(pins)} packages, about {len(pins) * GB_A_PACKAGE:.1f} GB")
    pip_install([a for file in files for a in ("-r", str(file))], pip_args, len(pins))
    for folder in (source for source in sources if source.is_dir()):
        say(f"installing {folder}")
        pip_install([str(folder.resolve())], pip_args)


def read_pins(file: Path) -> dict[str, str]:
    """Normalised name -> `name==version` of a requirements file. InstallError if unreadable."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InstallError(f"{file} cannot be read: {error.strerror}") from error
    pins = (line.partition("#")[0].strip() for line in lines)
    return {normalise(re.split(r"[=<>!~ \[;]", pin)[0]): pin for pin in pins if pin}


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def install_torch(pins: dict[str, str], pip_args: list[str]) -> None:
    """A CPU build of the pinned torch that imports. Raises InstallError."""
    wanted = f"{pins['torch']}+cpu"
    needs = [pin for name, pin in pins.items() if name in TORCH_NEEDS]
    if needs:
        pip_install(needs, pip_args)
    if not torch_problem(wanted):
        return
    say(f"installing {wanted} (about 200 MB)")
    # Only the label keeps pip from taking a build that needs CUDA libraries (half a gigabyte).
    done = run([*PIP, "install", "--quiet", "--no-deps", *pip_args, wanted])
    problems = [f"pip: {last_line(done)}" if done.returncode else torch_problem(wanted)]
    if problems[0]:
        say(f"{problems[0]}; trying uv")
        done = run([*PIP, "install", "--quiet", "--no-deps", *pip_args, "uv"])
        if done.returncode == 0:
            uv = [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]
            done = run([*uv, "--no-deps", "--reinstall", "--torch-backend=cpu", pins["torch"]])
        problems.append(f"uv: {last_line(done)}" if done.returncode else torch_problem(wanted))
    if problems[-1]:
        raise InstallError(
            f"no CPU build of {pins['torch']} could be installed ({'; '.join(problems)}). Tell pip "
            'where to find one: make install PIP_ARGS="--find-links FOLDER" (or --extra-index-url)'
        )
    say(f"{wanted} imports and is a CPU build")


def torch_problem(wanted: str) -> str:
    """Why the installed torch is not the CPU build `wanted`; "" when it is."""
    probe = "import torch; print(torch.__version__, torch.version.cuda, torch.version.hip)"
    done = run([sys.executable, "-W", "ignore", "-c", probe])
    if done.returncode != 0:
        return f"`import torch` fails: {last_line(done)}"
    version, *accelerators = done.stdout.split()
    if accelerators != ["None", "None"]:
        return f"torch {version} is built for a GPU"
    if version.partition("+")[0] != wanted.removeprefix("torch==").partition("+")[0]:
        return f"torch {version} is installed"
    return ""


def pip_install(what: list[str], pip_args: list[str], total: int = 0) -> None:
    """`pip install --no-deps`; says now and then how many of `total` packages are there."""
    command = [*PIP, "install", "--no-deps", "--progress-bar=off", *pip_args, *what]
    lines: list[str] = []
    count = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            lines.append(line.strip())
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                count += 1
                if total and count % ANNOUNCE_EVERY == 0:
                    say(f"  {count} of {total} packages")
            elif total and line.startswith("Installing collected packages"):
                say("  all downloaded; unpacking")
    if pip.returncode != 0:
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or ["?"]
        raise InstallError(f"`pip install {shlex.join(what)}` failed: {errors[-1]}")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1].strip() if lines else f"exit status {done.returncode}"


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
