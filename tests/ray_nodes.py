"""Ray nodes on this machine, started by somebody else than the run, each with a GPU that is not
there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
from live import wait_for


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Nodes:
    """A head, and what joins it; all ended with the stack."""

    def __init__(self, folder: Path, stack: ExitStack, *, dashboard: bool = False) -> None:
        """`folder` gets the logs."""
        self._folder, self._stack = folder, stack
        port, self.dashboard_port = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        shown = ["--include-dashboard=true", f"--dashboard-port={self.dashboard_port}"]
        shown = shown if dashboard else ["--include-dashboard=false"]
        self.head = self._start("--head", f"--port={port}", *shown)

    def join(self) -> subprocess.Popen[bytes]:
        """Start a node beside the head."""
        return self._start(f"--address={self.address}")

    def _start(self, *where: str) -> subprocess.Popen[bytes]:
        log = self._folder / f"node_{len(list(self._folder.glob('node_*')))}.log"
        ray = str(Path(sys.executable).with_name("ray"))
        command = [ray, "start", "--block", *where, "--num-cpus=32", "--num-gpus=1"]
        command += ["--object-store-memory=500000000", "--disable-usage-stats"]
        environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "CUDA_VISIBLE_DEVICES": "0"}
        with log.open("wb") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        self._stack.callback(end_node, process)
        wait_for(lambda: "Ray runtime started" in log.read_text(), 120, f"Ray, see {log}")
        return process


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The process, unless it has ended, and all its descendants."""
    if process.poll() is not None:
        return []
    parent = psutil.Process(process.pid)
    return [*parent.children(recursive=True), parent]


def end_node(process: subprocess.Popen[bytes]) -> None:
    """End a node with all that it has started."""
    started = family(process)
    process.terminate()
    process.wait(timeout=60)
    for other in psutil.wait_procs(started, timeout=20)[1]:
        other.kill()
