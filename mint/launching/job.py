"""What runs on each node of a SLURM job: the run on the first, with several nodes Ray on all."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mint.launching.training import Training, attempt_command
from mint.shell.console import say
from mint.shell.statuses import NO_FAILURE

_POLL_S = 0.2
_JOIN_S = 300.0
"""How long nodes wait for each other."""
_FIRST_PORT, _PORTS = 20_000, 10_000
_STARTED = "Ray runtime started"


@dataclass
class TrainJob:
    """The function that submitit calls on every node; pickled when the job is queued again."""

    overrides: list[str]
    nodes: int
    gpus: int
    save_s: float
    """How long the run may take to save and end, seconds."""
    folder: Path
    """Shared by all nodes."""
    command: list[str] | None = None
    """What to run instead of `mint.launch attempt`; the Ray address is added."""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __call__(self) -> int:
        """The status of the run on the first node, 0 elsewhere. Raises RuntimeError when the run
        failed."""
        import submitit

        here = submitit.JobEnvironment()
        # Every process of the job gets the signal that time is over, and would end there and then;
        # ignoring it is inherited. Only submitit's own process listens.
        ignored = here._usr_sig()
        if here.num_tasks == 1:
            return self._run(None, ignored, None)
        meeting = Meeting(self.folder / f"{here.job_id}_nodes", str(here.hostnames[0]))
        port = _FIRST_PORT + int(here.job_id.partition("_")[0]) % _PORTS
        with meeting.ray(here.global_rank, port, self.gpus, ignored):
            if here.global_rank:
                meeting.wait_for_the_end()
                return 0
            try:
                meeting.wait_for(here.num_tasks)
                return self._run(f"{meeting.head}:{port}", ignored, meeting.environment())
            finally:
                meeting.end()

    def _run(self, address: str | None, ignored: int, environment: Mapping[str, str] | None) -> int:
        training = Training("", Path(), self.overrides)
        asked = training.on(nodes=self.nodes, gpus=self.gpus, address=address)
        command = attempt_command(asked)
        if self.command is not None:
            command = [*self.command, *([] if address is None else [address])]
        self._process = subprocess.Popen(
            command, env=environment, preexec_fn=lambda: _ignore(ignored)
        )
        # Not Popen.wait: `checkpoint` interrupts this and polls the same process.
        while (status := self._process.poll()) is None:
            time.sleep(_POLL_S)
        if status not in NO_FAILURE:
            raise RuntimeError(f"the run ended with status {status}; see its output above")
        return status

    def checkpoint(self) -> Any:
        """Called by submitit when time is over: the run saves after its step and ends (SIGUSR1),
        and the same job is queued again."""
        from submitit.helpers import DelayedSubmission

        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            say("time is over: the run saves and ends")
            process.send_signal(signal.SIGUSR1)
            if not _ended(process, self.save_s):
                process.terminate()
                _ended(process, 30.0)
        return DelayedSubmission(self)


@dataclass(frozen=True)
class Meeting:
    """How the nodes of a job find each other: files in a shared folder."""

    folder: Path
    head: str

    @contextmanager
    def ray(self, rank: int, port: int, gpus: int, ignored: int) -> Iterator[None]:
        """Ray on this node while inside: the head on rank 0, elsewhere joined to it.

        Raises RuntimeError when it does not start within five minutes.
        """
        with ExitStack() as stack:
            if rank == 0:
                self.folder.mkdir(parents=True, exist_ok=True)
                for stale in self.folder.glob("*"):
                    stale.unlink()
                self._make_token()
                where = ["--head", f"--port={port}", "--include-dashboard=false"]
            else:
                _wait(lambda: _listens(self.head, port), f"Ray's head on {self.head}:{port}")
                where = [f"--address={self.head}:{port}"]
            log = stack.enter_context((self.folder / f"ray_{rank}.log").open("wb"))
            command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *where]
            command += [f"--num-gpus={gpus}", "--disable-usage-stats"]
            process = subprocess.Popen(
                command,
                env=self.environment(),
                stdout=log,
                stderr=log,
                preexec_fn=lambda: _ignore(ignored),
            )
            stack.callback(_stop, process)
            _wait(
                lambda: _STARTED in Path(log.name).read_text(errors="replace") or _gone(process),
                f"Ray on rank {rank} (see {log.name})",
            )
            if process.poll() is not None:
                raise RuntimeError(f"Ray did not start on rank {rank}; see {log.name}")
            (self.folder / f"ready_{rank}").touch()
            yield

    def environment(self) -> dict[str, str]:
        """This process's, and what lets in those who have the job's token and nobody else."""
        return {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self._token)}

    @property
    def _token(self) -> Path:
        return self.folder / "ray_token"

    def _make_token(self) -> None:
        # Since Ray 2.60 a head wants a token from every node; one of the job's own keeps out
        # whoever else can reach the port.
        self._token.touch(mode=0o600)
        self._token.write_text(secrets.token_hex(32))

    def wait_for(self, nodes: int) -> None:
        """Until all have joined."""
        _wait(lambda: len(list(self.folder.glob("ready_*"))) >= nodes, f"all {nodes} nodes")

    def end(self) -> None:
        """Tell the other nodes that the run is over."""
        self._token.unlink(missing_ok=True)
        (self.folder / "ended").touch()

    def wait_for_the_end(self) -> None:
        """Until the first node says so; the scheduler ends this node when that one is lost."""
        while not (self.folder / "ended").exists():
            time.sleep(_POLL_S)


def _wait(there: Any, what: str) -> None:
    end = time.monotonic() + _JOIN_S
    while not there():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {_JOIN_S:.0f} s in vain for {what}")
        time.sleep(_POLL_S)


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def _ignore(number: int) -> None:
    signal.signal(number, signal.SIG_IGN)


def _gone(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not _gone(process) and time.monotonic() < end:
        time.sleep(_POLL_S)
    return _gone(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    if not _ended(process, 20.0):
        process.kill()
