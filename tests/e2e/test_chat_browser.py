"""The chat page in a real Chromium: two models answer, a vote is saved, help is named, no mouse."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_models import make_policy
from chromium import driven

from mint import rate
from mint.data.conversation import load_conversations

HOSTILE = "I lost my job <img src=x onerror=alert(1)><script>alert(2)</script> today."


def shows(page: Any, selector: str, text: str) -> None:
    """Wait until a part of the page shows a text. (The page's policy forbids the evaluations that
    other ways of waiting need.)"""
    page.locator(selector).filter(has_text=text).first.wait_for()


def ready(page: Any) -> None:
    """Wait until it is the reader's turn."""
    shows(page, "#state", "Your turn.")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a page with two models, one with a hostile name, and the folder of its files."""
    folder = tmp_path_factory.mktemp("chat")
    models = [make_policy(folder / name, seed) for seed, name in enumerate(("warm", "<b>cold"))]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mint.chat", *map(str, models), "--compact"),
            *("max_new_tokens=12", "engine=transformers", f"output={folder / 'out'}"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    address = None
    for line in process.stdout:
        if found := re.search(r"http://[\d.:]+/", line):
            address = found[0]
            break
    assert address is not None
    yield address, folder / "out"
    process.terminate()
    assert process.wait(timeout=60) == 0, "an ordinary end"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with driven() as browser:
        yield browser


@pytest.fixture
def page(chromium: Any, served: tuple[str, Path]) -> Iterator[Any]:
    """The page, whose console must stay empty and which asks nobody else."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(served[0])
    page.wait_for_selector("#begin option", state="attached")
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith((served[0], "data:"))] == []
    context.close()


def test_two_models_answer_side_by_side_and_a_vote_is_read_by_rate(
    page: Any, served: tuple[str, Path]
) -> None:
    page.click("#begin button")
    ready(page)
    page.fill("#message", HOSTILE)
    page.keyboard.press("Enter")
    page.wait_for_selector("fieldset.vote")
    ready(page)
    turn = page.locator("#turns article")
    assert turn.locator("h4").all_text_contents() == ["warm", "<b>cold"]
    assert HOSTILE in turn.locator(".seeker").text_content()
    assert turn.locator("img, script, b:not(.seeker b)").count() == 0
    for scores in turn.locator(".scores").all_text_contents():
        assert re.search(r"empathy [1-5]\.\d\d of 5 · first reply, .* · \d+ tokens", scores)
    assert turn.locator(".unit").count() >= 2, "sentences as the tagger has seen them"
    turn.locator("summary").first.click()
    assert turn.locator("dt").all_text_contents()[:2] == [
        "validating emotions",
        "encouraging elaboration",
    ]
    turn.get_by_label("Right").check()
    shows(page, ".vote .small", "noted in")
    page.reload()
    page.wait_for_selector("fieldset.vote input[value=right]:checked")
    ready(page)
    assert HOSTILE in turn.locator(".seeker").text_content(), "what was said is still there"
    (key,) = (served[1] / "votes").rglob("key.csv")
    settings = rate.AgreementSettings(
        key=str(key), sheets=[str(key.with_name("you.csv"))], resamples=100
    )
    assert rate.compute(settings).outcomes == {"<b>cold": 1}


def test_help_stands_above_the_reply(page: Any) -> None:
    assert page.get_by_text("Samaritans").is_visible() is False
    page.select_option("[name=right]", "")
    page.click("#begin button")
    ready(page)
    page.fill("#message", "I want to kill myself.")
    page.click("#composer button")
    page.wait_for_selector("#turns .scores")
    ready(page)
    told = page.locator("#turns .danger").text_content()
    assert "988 Suicide & Crisis Lifeline" in told
    gap = page.evaluate(
        "document.querySelector('#turns .reply').getBoundingClientRect().top"
        " - document.querySelector('#turns .danger').getBoundingClientRect().bottom"
    )
    assert gap > 0, "above the reply"
    assert page.locator("fieldset.vote").count() == 0


def test_everything_by_keyboard_and_blind(page: Any, served: tuple[str, Path]) -> None:
    """Tab, space, arrows and Enter: begin, talk, vote, reveal, save and copy."""

    def tab_to(selector: str) -> None:
        for _ in range(60):
            if page.evaluate(f"document.activeElement.matches({json.dumps(selector)})"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"the tab key never reaches {selector}")

    tab_to("[name=blind]")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    ready(page)
    assert page.evaluate("document.activeElement.id") == "message"
    page.keyboard.type("Nobody called me today.")
    page.keyboard.press("Enter")
    page.wait_for_selector("fieldset.vote")
    ready(page)
    assert page.evaluate("document.activeElement.id") == "message"
    assert page.locator("#turns h4").all_text_contents() == ["A", "B"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    page.wait_for_selector("fieldset.vote input:checked")
    tab_to("[data-do=reveal]")
    page.keyboard.press("Enter")
    shows(page, "#turns h4", "warm")
    assert sorted(page.locator("#turns h4").all_text_contents()) == ["<b>cold", "warm"]
    tab_to("[data-do=stop]")
    for _ in range(3):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    shows(page, "#state", "Saved to")
    (file,) = (served[1] / "dialogues").glob("*.json")
    assert [c.turns[0].message.content for c in load_conversations(file).conversations] == [
        "Nobody called me today."
    ] * 2
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#copied")
    record = json.loads(page.locator("#copied textarea").input_value())
    assert record["conversation"][0]["content"] == "Nobody called me today."


def test_a_rule_seeker_talks_with_both(page: Any) -> None:
    page.select_option("[name=seeker]", "rule")
    page.click("#begin button")
    shows(page, "#state", "The models wait")
    page.click("#onward button")
    page.wait_for_selector("#turns article:nth-child(2) .side.after .seeker")
    page.wait_for_selector("#turns article:nth-child(2) .side:not(.after) .seeker")
    titles = page.locator("#emotions h4").all_text_contents()
    assert [title.partition(":")[0] for title in titles] == [
        "Emotion with warm",
        "Emotion with <b>cold",
    ]
    assert all(re.search(r": 40, \d+$", title) for title in titles)
    assert "emotion" in page.locator("#turns article:last-child .muted").first.text_content()


@pytest.mark.parametrize(
    ("scheme", "width", "background"),
    [("light", 1200, (246, 247, 249)), ("dark", 390, (16, 21, 28))],
)
def test_light_dark_and_phone(
    chromium: Any, served: tuple[str, Path], scheme: str, width: int, background: tuple[int, ...]
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, is_mobile=width < 600
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(served[0])
    page.wait_for_selector("#begin option", state="attached")
    page.click("#begin button")
    ready(page)
    page.fill("#message", "x" * 300)
    page.keyboard.press("Enter")
    page.wait_for_selector("fieldset.vote")
    ready(page)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == f"rgb{background}"
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, "nothing is wider than the window"
    tops = [side.bounding_box()["y"] for side in page.locator("#turns .side").all()]
    assert (tops[0] == tops[1]) == (width > 600), "one below the other on a phone"
    if folder := os.environ.get("CHAT_SHOTS"):
        page.screenshot(path=f"{folder}/chat-{scheme}-{width}.png", full_page=True)
    context.close()
