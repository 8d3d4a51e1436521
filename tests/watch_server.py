"""`mint watch` as a process, for whoever drives a browser over it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def watching(*arguments: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Address and process of a server, which ends with the context."""
    command = [sys.executable, "-m", "mint.watch", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"(http://\S+:\d+)/", process.stdout.readline())
        assert found
        yield found.group(1), process
    finally:
        process.terminate()
        process.wait(timeout=20)
