"""A reader of the live page of a real run: opens it as soon as there is a run, notes what it says
until the run has ended.

As a program (`python tests/witness.py RUN`) it is a process of its own, as a browser is. It
prints one line of JSON whenever the page says something new, and a last one with what was wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LIMIT_S = 900
ENDED = ("finished", "failed")


class Witness:
    """As a context: watches a run that somebody else starts inside it."""

    def __init__(self, run: Path) -> None:
        """`run` need not be there yet."""
        self._run = run
        self.lines: list[dict[str, Any]] = []
        """What was seen, after the context."""

    def __enter__(self) -> Witness:
        command = [sys.executable, __file__, str(self._run)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            seen, _ = self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            seen, _ = self._process.communicate()
        self.lines = [json.loads(line) for line in seen.splitlines()]


def note(**said: Any) -> None:
    print(json.dumps(said), flush=True)


def watch(run: Path) -> None:
    """Serve the run's page and look at it."""
    from chromium import driven
    from watch_server import watching

    end = time.monotonic() + LIMIT_S
    while not (run / "manifest.json").exists():
        assert time.monotonic() < end, "no run has begun"
        time.sleep(0.2)
    trouble: list[str] = []
    with watching(run) as (address, server), driven() as browser:
        page = browser.new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(address)
        page.evaluate("window.opened_once = true")
        look(page, end)
    note(trouble=trouble, server=server.returncode)


def look(page: Any, end: float) -> None:
    """Note each change of what the page says, until its run has ended."""
    before: dict[str, Any] = {}
    while before.get("status") not in ENDED:
        assert time.monotonic() < end, f"the run has not ended: {before}"
        now = {
            "status": page.locator("header .status").inner_text(),
            "doing": page.locator(".doing").inner_text(),
            "steps": page.locator("#reward figure").first.locator("circle.point").count(),
            "replies": page.locator("#newest-table tr.entry").count(),
        }
        if now != before:
            note(**now)
            before = now
        page.wait_for_timeout(200)
    page.locator("#outcome .stat h3").first.wait_for()
    note(
        outcome=page.locator("#outcome .stat h3").all_inner_texts(),
        sections=page.locator("section[id]").evaluate_all("all => all.map(one => one.id)"),
        opened_once=page.evaluate("window.opened_once === true"),
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    watch(Path(sys.argv[1]))
