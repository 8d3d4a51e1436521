"""`mint watch` in a real browser: a run watched from its start to its end, and all its readers."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import demo_run
import pytest
from chromium import driven
from watch_server import watching

from mint.rundir.cutting import cut_after
from mint.rundir.directory import RunDir
from mint.rundir.manifest import amend_manifest, finish_manifest
from mint.shell.files import append_json_lines, read_json, write_json
from mint.watching.invented import invented_metrics, invented_samples

try:
    from playwright.sync_api import Browser, Page, expect
except ImportError:
    if os.environ.get("CI") == "true":
        raise
    pytest.skip("requirements/dev.txt brings playwright", allow_module_level=True)

WAIT_MS = 30_000
NEXT = "Live: changes appear by themselves."


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with driven() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page, which must not log, ask for anything elsewhere, or open a dialogue."""
    trouble: list[str] = []
    pages = []

    def open_page(address: str, path: str = "/", expected: str = "", **settings: Any) -> Page:
        page = browser.new_page(**settings)
        page.set_default_timeout(WAIT_MS)
        own = re.compile(rf"{re.escape(address)}/|data:")

        def told(said: str) -> None:
            # Pages outlive the server that a test ends, and try to reach it again.
            if "net::ERR_" not in said and (not expected or expected not in said):
                trouble.append(said)

        page.on("console", lambda message: told(message.text))
        page.on("pageerror", lambda error: told(str(error)))
        page.on("dialog", lambda dialog: told(f"dialog {dialog.message}"))
        page.on("request", lambda r: None if own.match(r.url) else told(f"asked for {r.url}"))
        page.goto(address + path)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert trouble == []


def begin(path: Path, steps: int, total: int) -> RunDir:
    """A run that has just begun and has made some steps."""
    run = demo_run.make_run(path, steps=0, evaluated=False)
    config = run.config_path.read_text().replace(
        "device: cpu", f"device: cpu\n  total_training_steps: {total}"
    )
    run.config_path.write_text(config)
    manifest = read_json(run.manifest_path)
    manifest |= {"status": "running", "finished": None}
    manifest["attempts"][-1]["ended"] = None
    write_json(run.manifest_path, manifest)
    demo_run._write_evaluation(run, "before", demo_run.replies(0.15, random.Random(1)))
    for number in range(1, steps + 1):
        make_step(run, number, total)
    return run


def make_step(run: RunDir, number: int, total: int) -> None:
    rng = random.Random(number)
    run.append_samples(invented_samples(number, rng))
    run.append_metrics(number, invented_metrics(number, total, rng))


def points(page: Page) -> int:
    return page.locator("#reward figure").first.locator("circle.point").count()


def test_a_run_is_watched_from_its_start_to_its_end(tmp_path: Path, visit: Callable) -> None:
    run = begin(tmp_path / "run", steps=0, total=8)
    with watching(run.path) as (address, _):
        page = visit(address)
        doing = page.locator(".doing")
        expect(doing).to_have_text("Starting to train")
        append_json_lines(run.start_path, [{"phase": "python", "at": time.time()}])
        expect(doing).to_have_text(
            "Starting, 1 of 12 phases are over; next: Ray up", timeout=WAIT_MS
        )
        for number in (1, 2, 3):
            make_step(run, number, 8)
        expect(doing).to_have_text("Training step 4 of 8", timeout=WAIT_MS)
        expect(page.locator("progress")).to_have_attribute("value", "3")
        assert points(page) == 3
        # What a reader has opened, typed and focused stays when the part is drawn again.
        page.locator("#alarms summary").click()
        page.locator("#newest-filters input[name=search]").fill("hardest")
        before = page.locator("#newest-count").inner_text()
        page.evaluate("window.stays = document.querySelector('#facts')")
        for number in (4, 5, 6, 7):
            make_step(run, number, 8)
        expect(doing).to_have_text("Training step 8 of 8", timeout=WAIT_MS)
        expect(page.locator("#newest-count")).not_to_have_text(before, timeout=WAIT_MS)
        assert points(page) == 7
        assert page.locator("#newest-filters input[name=search]").input_value() == "hardest"
        assert page.evaluate("document.activeElement.name") == "search"
        assert page.locator("#alarms details").evaluate("one => one.open")
        assert page.evaluate("window.stays.isConnected"), "what has not changed is not drawn again"
        # The run is killed, and goes on from an earlier checkpoint.
        cut_after(run, 4)
        expect(page.locator("header")).to_contain_text("4 training steps", timeout=WAIT_MS)
        assert points(page) == 4
        for number in (5, 6, 7, 8):
            make_step(run, number, 8)
        expect(doing).to_have_text("All steps are over; saving the model", timeout=WAIT_MS)
        amend_manifest(run, {"export": {"step": 8, "warning": ""}, "stopped": None})
        expect(doing).to_have_text("Evaluating the trained policy", timeout=WAIT_MS)
        whole = (run.before_path).read_text()
        run.after_path.write_text(whole[:1000])
        expect(page.locator("#alarms")).to_contain_text("A file is not there yet", timeout=WAIT_MS)
        run.after_path.unlink()
        demo_run._write_evaluation(run, "after", demo_run.replies(0.75, random.Random(2)))
        from mint.evaluation.protocols.held_out import write_comparison

        write_comparison(run.evaluation_path, demo_run.SETTINGS)
        finish_manifest(run)
        expect(page.locator("header .status")).to_have_text("finished", timeout=WAIT_MS)
        first = page.locator("#outcome .stat h3").first
        expect(first).to_have_text("Composite reward", timeout=WAIT_MS)
        assert page.locator("#explorer-table tr.entry").count() == 50
        assert page.locator("nav a[href='#all-replies']").count() == 1
        assert page.locator("script[src^=http], main img").count() == 0


@pytest.mark.parametrize(
    ("scheme", "background"), [("light", "rgb(246, 247, 249)"), ("dark", "rgb(16, 21, 28)")]
)
def test_light_dark_and_phone(
    tmp_path: Path, visit: Callable, scheme: str, background: str
) -> None:
    run = begin(tmp_path / "run", steps=12, total=20)
    with watching(run.path) as (address, _):
        page = visit(address, viewport={"width": 390, "height": 900}, color_scheme=scheme)
        expect(page.locator(".doing")).to_have_text("Training step 13 of 20")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
        wide, window = page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= window == 390
        assert page.locator("svg.chart").count() > 20
        assert page.locator("#alarms .alarms li").count() == 2


def test_the_keyboard_is_enough(tmp_path: Path, visit: Callable) -> None:
    run = begin(tmp_path / "run", steps=4, total=20)
    with watching(run.path) as (address, _):
        page = visit(address)
        page.keyboard.press("Tab")
        assert "Skip to" in page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Enter")
        assert page.url.endswith("#alarms")
        reached = set()
        for _ in range(150):
            page.keyboard.press("Tab")
            where = page.evaluate(
                "(() => { const e = document.activeElement; const s = getComputedStyle(e);"
                " return [e.tagName, e.name || e.textContent.slice(0, 20), s.outlineStyle]; })()"
            )
            reached.add(where[0])
            assert where[2] != "none", f"no focus can be seen on {where}"
            if where[:2] == ["SUMMARY", "What is looked at"]:
                page.keyboard.press("Enter")
                assert page.locator("#alarms details").evaluate("one => one.open")
            if where[:2] == ["BUTTON", "Reward"]:
                page.keyboard.press("Enter")
                break
        assert {"SUMMARY", "INPUT", "SELECT", "BUTTON"} <= reached
        sorted_by = page.locator("#newest-table th[aria-sort=ascending]")
        assert sorted_by.inner_text().startswith("Reward")
        first = page.locator("#newest-table button.open").first
        first.focus()
        page.keyboard.press("Enter")
        assert page.locator("#newest-table tr.conversation").count() == 1


def test_hostile_runs_are_text(tmp_path: Path, visit: Callable) -> None:
    run = begin(tmp_path / '"><img src=x onerror=alert(1)>', steps=3, total=20)
    evil = "</script><img src=x onerror=alert(2)><script>alert(3)</script>"
    amend_manifest(run, {"recipe": None, "command": evil, "status": evil, "error": evil})
    sample = json.loads(run.samples_path.read_text().splitlines()[0])
    sample |= {"reply": evil, "seeker": evil, "sentences": [], "tactics": [], "rank": evil}
    with watching(run.path) as (address, _):
        page = visit(address)
        append_json_lines(run.samples_path, [{**sample, "step": 4, "conversation_id": evil}])
        row = page.locator("#newest-table tr.entry").first
        expect(row).to_contain_text("alert(3)", timeout=WAIT_MS)
        row.click()
        assert page.locator("img").count() == 0
        expect(page.locator("h1")).to_contain_text("<img src=x onerror=alert(1)>")


def test_several_runs_and_a_server_that_comes_back(tmp_path: Path, visit: Callable) -> None:
    runs = [begin(tmp_path / name, steps=n, total=9) for name, n in (("one", 3), ("two", 5))]
    with watching(*(run.path for run in runs)) as (address, process):
        page = visit(address)
        expect(page.locator("#runs tbody tr")).to_have_count(2)
        assert page.locator("#curves figure").count() == 6
        make_step(runs[0], 4, 9)
        row = page.locator("#runs tbody tr").first
        expect(row).to_contain_text("Training step 5 of 9", timeout=WAIT_MS)
        process.terminate()
        said = page.locator("#live-said")
        expect(said).to_contain_text("Not live", timeout=WAIT_MS)
        process.wait(timeout=20)
        make_step(runs[0], 5, 9)
        port = address.rpartition(":")[2]
        with watching(*(run.path for run in runs), f"port={port}"):
            expect(said).to_have_text(NEXT, timeout=WAIT_MS)
            expect(row).to_contain_text("Training step 6 of 9", timeout=WAIT_MS)
            page.locator("#runs a").nth(1).click()
            expect(page.locator(".doing")).to_have_text("Training step 6 of 9")
            page.locator("#live a").click()
            expect(page.locator("#runs tbody tr")).to_have_count(2)


def test_other_machines_need_the_token(tmp_path: Path, visit: Callable) -> None:
    run = begin(tmp_path / "run", steps=2, total=9)
    token = tmp_path / "token"
    token.write_text("a long secret\n")
    with watching(run.path, "host=0.0.0.0", f"token_file={token}") as (address, _):
        page = visit(address.replace("0.0.0.0", "127.0.0.1"), expected="401")
        expect(page.locator("h1")).to_have_text("A token is needed")
        page.fill("input[name=token]", "wrong")
        page.keyboard.press("Enter")
        expect(page.locator("[role=alert]")).to_have_text("That is not the token.")
        page.fill("input[name=token]", "a long secret")
        page.keyboard.press("Enter")
        expect(page.locator(".doing")).to_have_text("Training step 3 of 9")
        make_step(run, 3, 9)
        expect(page.locator(".doing")).to_have_text("Training step 4 of 9", timeout=WAIT_MS)
        assert "secret" not in page.url
        assert "secret" not in json.dumps(page.context.cookies())
