"""The disk is full while a checkpoint or a row is written. Needs the right to mount a tmpfs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import END_S, Live, check_history

from mint.verl.checkpoint import checkpoints

SIZE = "2g"
"""More than the run asks for at its start: the disk gets full later."""
LESS_THAN_A_CHECKPOINT = 20_000_000
"""Bytes; a checkpoint of the tiny policy takes about 64 MB."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_until_the_end(live: Live, disk: Path, left: int) -> int:
    """Let nobody have more than `left` bytes of the disk until the run ends; its exit status."""
    end = time.monotonic() + END_S
    with (disk / "filler").open("ab", buffering=0) as filler:
        while live.process.poll() is None and time.monotonic() < end:
            status = os.statvfs(disk)
            free = status.f_bavail * status.f_frsize - left
            if free > 0:
                os.posix_fallocate(filler.fileno(), os.fstat(filler.fileno()).st_size, free)
            time.sleep(0.05)
    return live.end(limit_s=max(1.0, end - time.monotonic()))


def test_full_while_saving(workplace: Path, disk: Path) -> None:
    path = disk / "run"
    with Live(workplace, path) as live:
        live.wait_steps(2)
        assert fill_until_the_end(live, disk, LESS_THAN_A_CHECKPOINT) == 1
    assert "No space left on device" in live.text, live.text
    whole = max(checkpoints(live.run))
    (disk / "filler").unlink()
    with Live(workplace, path, "mint.run.resume=true", steps=whole + 2) as live:
        live.wait_steps(1)
        assert live.end(limit_s=300) == 0
    assert f"from global_step_{whole}" in live.text
    check_history(live.run, whole + 2)


def test_full_while_logging(workplace: Path, disk: Path) -> None:
    path = disk / "run"
    with Live(workplace, path, "trainer.save_freq=2") as live:
        live.wait_steps(2)
        assert fill_until_the_end(live, disk, 0) == 1
    assert "No space left on device" in live.text, live.text
    assert list(checkpoints(live.run)) == [2]
    (disk / "filler").unlink()
    with Live(workplace, path, "mint.run.resume=true", steps=4) as live:
        live.wait_steps(1)
        assert live.end(limit_s=300) == 0
    check_history(live.run, 4)
