"""The disk is full while a checkpoint or a row is written. Needs the right to mount a tmpfs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import Live, check_history

from mint.verl.checkpoint import checkpoints

ROOM_FOR_TWO = 170  # MB; a checkpoint of the tiny policy takes about 64


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 170 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_FOR_TWO}m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def enlarge(disk: Path) -> None:
    """Make room for everything."""
    subprocess.run(["mount", "-o", "remount,size=2g", str(disk)], check=True)


def test_full_while_saving(workplace: Path, disk: Path) -> None:
    path = disk / "run"
    with Live(workplace, path) as live:
        live.wait_steps(2)
        assert live.end() == 1
    assert "No space left on device" in live.text, live.text
    whole = max(checkpoints(live.run))
    enlarge(disk)
    with Live(workplace, path, "mint.run.resume=true", steps=whole + 2) as live:
        live.wait_steps(1)
        assert live.end(limit_s=300) == 0
    assert f"from global_step_{whole}" in live.text
    check_history(live.run, whole + 2)


def test_full_while_logging(workplace: Path, disk: Path) -> None:
    path = disk / "run"
    with Live(workplace, path, "trainer.save_freq=2") as live:
        live.wait_steps(2)
        fill = ["dd", "if=/dev/zero", f"of={disk / 'filler'}", "bs=64k"]
        subprocess.run(fill, capture_output=True, check=False)
        assert live.end() == 1
    assert "No space left on device" in live.text, live.text
    assert list(checkpoints(live.run)) == [2]
    (disk / "filler").unlink()
    enlarge(disk)
    with Live(workplace, path, "mint.run.resume=true", steps=4) as live:
        live.wait_steps(1)
        assert live.end(limit_s=300) == 0
    check_history(live.run, 4)
