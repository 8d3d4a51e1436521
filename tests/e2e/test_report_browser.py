"""The run report in a real browser: nothing on the console, something on the page."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from chromium import find_chromium

from mint.reporting.run import write_report


@pytest.fixture(scope="module")
def browser() -> str:
    return find_chromium()


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


DRIVER = """
const d = f.contentDocument, form = d.getElementById("explorer-filters");
const rows = () => [...d.querySelectorAll("#explorer-table tr.entry")];
const column = (n) => rows().map((row) => row.cells[n].textContent);
const count = () => d.getElementById("explorer-count").textContent;
const set = (name, value) => {
  form.elements[name].value = value;
  form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
};
const head = (n) => d.getElementById("explorer-table").tHead.rows[0].cells[n].firstElementChild;
const seen = { all: count(), first: rows().length };
d.getElementById("explorer-more").click();
seen.more = rows().length;
head(5).click();
seen.up = column(5);
head(5).click();
seen.down = column(5);
set("search", "alert onerror");
seen.found = [count(), column(2)];
rows()[0].click();
const opened = d.querySelector("#explorer-table tr.conversation");
seen.conversation = [...opened.querySelectorAll("p b")].map((b) => b.textContent.trim());
seen.said = opened.textContent;
seen.injected = opened.querySelectorAll("script, img").length;
rows()[0].click();
seen.closed = d.querySelectorAll("#explorer-table tr.conversation").length;
set("search", "");
set("tactic", "self_disclosure");
seen.tactic = column(3);
set("tactic", "");
set("least", "3");
set("most", "3.2");
head(5).click();
seen.rating = column(5);
set("least", "");
set("most", "");
set("veto", "unrelated");
seen.veto = column(4);
set("veto", "(not graded)");
seen.failed = column(4);
set("veto", "");
set("system", "after");
seen.system = column(1);
document.body.dataset.seen = JSON.stringify(seen);
"""


def test_all_replies_are_sorted_searched_filtered_and_opened(browser, page, tmp_path):
    """The table's own script, driven in the page as a reader would."""
    replies = [
        json.loads(line)
        for which in ("before", "after")
        for line in (page.parent / "evaluation" / f"{which}_replies.jsonl").read_text().splitlines()
    ]
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<body><iframe id="f" src="{page.as_uri()}" width="1200" height="3000"></iframe>'
        f"<script>f.onload = () => {{ {DRIVER} }}</script></body>"
    )
    done = visit(
        browser,
        frame.as_uri(),
        tmp_path / "profile",
        "--allow-file-access-from-files",
        "--virtual-time-budget=5000",
        "--dump-dom",
    )
    assert not re.findall(r".*CONSOLE.*", done.stderr)
    seen = json.loads(html.unescape(re.search(r'data-seen="([^"]*)"', done.stdout).group(1)))
    assert seen["all"] == f"{len(replies)} of {len(replies)} replies"
    assert (seen["first"], seen["more"]) == (50, 100)
    ratings = sorted(row["empathy"] for row in replies if row["empathy"] is not None)
    assert [float(value) for value in seen["up"]] == pytest.approx(ratings[:50], abs=0.006)
    assert [float(value) for value in seen["down"]] == pytest.approx(ratings[:-51:-1], abs=0.006)
    count, found = seen["found"]
    assert count == f"2 of {len(replies)} replies"
    assert all("<script>alert" in reply for reply in found)
    assert seen["conversation"] == ["Seeker", "Supporter", "Seeker", "Reply"]
    assert "<script>alert" in seen["said"]
    assert seen["injected"] == seen["closed"] == 0
    assert seen["tactic"]
    assert all("self disclosure" in names for names in seen["tactic"])
    assert seen["rating"]
    assert all(2.99 <= float(value) <= 3.21 for value in seen["rating"])
    assert set(seen["veto"]) == {"unrelated"}
    assert set(seen["failed"]) == {"not graded"}
    assert set(seen["system"]) == {"after"}
