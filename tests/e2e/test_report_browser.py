"""The run report in a real browser: nothing on the console, something on the page."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from mint.reporting.run import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no chromium is installed (required when CI=true)")
        pytest.skip("no chromium is installed")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = Path(__file__).resolve().parents[1] / "demo_run.py"
    spec = importlib.util.spec_from_file_location("demo_run", path)
    assert spec is not None
    assert spec.loader is not None
    demo_run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo_run)
    run = demo_run.make_run(tmp_path_factory.mktemp("browser") / "run")
    return write_report(run).resolve()


def visit(browser: str, address: str, profile: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--enable-logging=stderr",
            f"--user-data-dir={profile}",
            *options,
            address,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def colours(png: bytes) -> set[bytes]:
    """Different pixel colours of every 16th line of an 8-bit PNG without interlacing."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert depth == 8
    channels = {2: 3, 6: 4}[kind]
    data, position = b"", 8
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        if png[position + 4 : position + 8] == b"IDAT":
            data += png[position + 8 : position + 8 + length]
        position += 12 + length
    rows, stride = zlib.decompress(data), width * channels + 1
    found: set[bytes] = set()
    previous = bytes(stride - 1)
    for y in range(height):
        line = rows[y * stride : (y + 1) * stride]
        previous = unfilter(line[0], line[1:], previous, channels)
        if y % 16 == 0:
            found |= {previous[i : i + 3] for i in range(0, len(previous), channels)}
    return found


def unfilter(kind: int, line: bytes, above: bytes, channels: int) -> bytes:
    """One line of a PNG as pixel bytes."""
    out = bytearray(line)
    for i in range(len(out)):
        left = out[i - channels] if i >= channels else 0
        corner = above[i - channels] if i >= channels else 0
        if kind == 1:
            add = left
        elif kind == 2:
            add = above[i]
        elif kind == 3:
            add = (left + above[i]) // 2
        elif kind == 4:
            guess = left + above[i] - corner
            near = (abs(guess - left), abs(guess - above[i]), abs(guess - corner))
            add = (left, above[i], corner)[near.index(min(near))]
        else:
            add = 0
        out[i] = (out[i] + add) & 255
    return bytes(out)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_renders_without_errors(browser, page, tmp_path, scheme):
    shot = tmp_path / "page.png"
    preferred = "0" if scheme == "dark" else "1"
    done = visit(
        browser,
        page.as_uri(),
        tmp_path / "profile",
        "--window-size=1200,1600",
        f"--blink-settings=preferredColorScheme={preferred}",
        f"--screenshot={shot}",
    )
    assert not re.findall(r".*CONSOLE.*", done.stderr)
    seen = colours(shot.read_bytes())
    assert len(seen) > 50
    background = bytes.fromhex("10151c" if scheme == "dark" else "f6f7f9")
    assert background in seen


def test_page_fits_a_phone(browser, page, tmp_path):
    """No part but what scrolls by itself is wider than the window."""
    frame = tmp_path / "frame.html"
    probe = (
        "const d = f.contentDocument.documentElement;"
        "document.body.dataset.wide = d.scrollWidth + '/' + d.clientWidth;"
        "document.body.dataset.figures = f.contentDocument.querySelectorAll('svg.chart').length"
    )
    frame.write_text(
        f'<body><iframe id="f" src="{page.as_uri()}" width="390" height="3000" '
        f'onload="{probe}"></iframe></body>'
    )
    done = visit(
        browser,
        frame.as_uri(),
        tmp_path / "profile",
        "--allow-file-access-from-files",
        "--virtual-time-budget=5000",
        "--dump-dom",
    )
    wide, window = map(int, re.search(r'data-wide="(\d+)/(\d+)"', done.stdout).groups())
    assert wide <= window
    assert int(re.search(r'data-figures="(\d+)"', done.stdout).group(1)) >= 26
