"""Rows that are appended while disks fill and processes die: all of a row or nothing of it."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mint.shell.files import (
    append_json_lines,
    check_can_write,
    read_json_lines,
    read_json_lines_counted,
)
from rewards.errors import ConfigError

ROW = {"step": 1, "text": "Größe " * 20}


def limited(path: Path, room: int) -> None:
    """In a process of its own: append rows until the file may not grow any more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        for step in range(100):
            append_json_lines(path, [{**ROW, "step": step}])
    except OSError as error:
        os._exit(0 if error.errno == errno.EFBIG and error.filename == str(path) else 3)
    os._exit(4)


@pytest.mark.parametrize("room", [1000, 1234, 1500])
def test_a_row_that_does_not_fit_leaves_nothing_of_itself(tmp_path: Path, room: int) -> None:
    path = tmp_path / "metrics.jsonl"
    process = multiprocessing.get_context("fork").Process(target=limited, args=(path, room))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert path.read_bytes().endswith(b"\n")
    rows, broken = read_json_lines_counted(path)
    assert broken == 0
    size = len(json.dumps(ROW, ensure_ascii=False).encode()) + 1
    assert [row["step"] for row in rows] == list(range(len(rows)))
    assert room - size - 2 < path.stat().st_size <= room
    append_json_lines(path, [ROW])
    assert len(read_json_lines(path)) == len(rows) + 1


FULL_DISK = """
import errno, os, sys
from pathlib import Path
from mint.shell.files import append_json_lines, read_json_lines_counted, write_json

folder = Path(sys.argv[1])
if os.system("mount -t tmpfs -o size=64k none " + sys.argv[1] + " 2>/dev/null"):
    # Nothing can be mounted here: as a full disk behaves, a short write and then none at all.
    real, left = os.write, [60_000]
    def write(descriptor, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(descriptor, data[: left[0]])
        left[0] -= done
        return done
    os.write = write
write_json(folder / "manifest.json", {"status": "running"})
written = 0
try:
    while True:
        append_json_lines(folder / "metrics.jsonl", [{"step": written, "x": "y" * 3000}])
        written += 1
except OSError as error:
    assert error.errno == errno.ENOSPC and error.filename == str(folder / "metrics.jsonl"), error
rows, broken = read_json_lines_counted(folder / "metrics.jsonl")
assert (len(rows), broken) == (written, 0) and written > 5, (len(rows), broken, written)
before = (folder / "manifest.json").read_text()
try:
    write_json(folder / "manifest.json", {"status": "x" * 60000})
except OSError as error:
    assert error.errno == errno.ENOSPC
    assert (folder / "manifest.json").read_text() == before
assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "metrics.jsonl"]
"""


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    own = ["unshare", "-rm"]  # a mount table of its own, where that is allowed
    allowed = subprocess.run([*own, "true"], capture_output=True, check=False).returncode == 0
    subprocess.run([*(own if allowed else []), *command], check=True, timeout=60)


def endless(path: Path) -> None:
    step = 0
    while True:
        append_json_lines(path, [{"step": step, "text": "x" * 50_000}])
        step += 1


@pytest.mark.slow
def test_a_killed_writer_never_leaves_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for round_number in range(5):
        process = multiprocessing.get_context("fork").Process(target=endless, args=(path,))
        process.start()
        time.sleep(0.05 + 0.013 * round_number)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert read_json_lines(path)
        append_json_lines(path, [{"step": -1}])
        rows, broken = read_json_lines_counted(path)
        assert (rows[-1], broken) == ({"step": -1}, 0)


@pytest.mark.parametrize("torn", ['{"step": 2, "a"', "{", '{"step": 2, "text": "Gr\u00f6', "12"])
def test_a_torn_tail_is_left_out_counted_and_mended(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "metrics.jsonl"
    append_json_lines(path, [{"step": 1}])
    with path.open("ab") as file:
        file.write(torn.encode()[:-1] if torn.endswith("\u00f6") else torn.encode())
    assert read_json_lines_counted(path) == ([{"step": 1}], 1)
    append_json_lines(path, [{"step": 2}])
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_a_tail_longer_than_a_block_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text('{"step": 1}\n{"text": "' + "x" * 300_000)
    append_json_lines(path, [{"step": 2}])
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    path.write_text('{"text": "' + "x" * 300_000)
    append_json_lines(path, [{"step": 3}])
    assert path.read_text() == '{"step": 3}\n'


def test_a_row_that_lacks_only_its_line_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}')
    assert read_json_lines_counted(path) == ([{"step": 1}, {"step": 2}], 0)
    append_json_lines(path, [{"step": 3}])
    assert [row["step"] for row in read_json_lines(path)] == [1, 2, 3]


def test_a_folder_that_takes_no_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    check_can_write(tmp_path / "new" / "deep", "mint.run.dir")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(ConfigError, match=r"mint\.run\.dir=/proc/x cannot be written: /proc: "):
        check_can_write(Path("/proc/x"), "mint.run.dir")
    with pytest.raises(ConfigError, match=r"file/run cannot be written: .*file: Not a directory"):
        check_can_write(tmp_path / "file" / "run", "mint.run.dir")
