"""Visible replies and sentences."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from rewards.fitting.corpus import agreement, read_replies
from rewards.text import split_sentences, visible_reply
from rewards.types import Status


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("  I hear you. ", "I hear you."),
        ("<think>plan</think>\n\nI hear you.", "I hear you."),
        ("<think></think>I hear you.", "I hear you."),
        ("plan without an opening tag</think>I hear you.", "I hear you."),
        ("<think>a</think>draft<think>b</think>I hear you.", "draft I hear you."),
        ("I hear you. <think>Good, that covers it.</think>", "I hear you."),
        ("I hear you.\n<think>a</think>\nWhat happened?", "I hear you.\nWhat happened?"),
        ("I see.<think>", "I see."),
        ("<think>a</think>I see.<think>b", "I see."),
        ("I hear you. (My <think> tag is off.) Go on?",) * 2,
        ('The <think> and </think> tags, and "</think>", are mine.',) * 2,
        ("```\n<think>x</think>\n``` is code",) * 2,
        ("<think>it says ```</think>I see ```x``` here.", "I see ```x``` here."),
        ('<think>ends with "</think>" soon</think>I see.', "I see."),
        ("<THINK>plan</THINK> I hear you.", "I hear you."),
        ('<thinking effort="low">plan</thinking>I hear you.', "I hear you."),
        ("<think/>I hear you.", "I hear you."),
        ("<seed:think>plan</seed:think>I hear you.", "I hear you."),
        ("[THINK]plan[/THINK]I hear you.", "I hear you."),
        ("[thinking] I hear you.", "[thinking] I hear you."),
        ("◁think▷plan◁/think▷I hear you.", "I hear you."),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>Hi.<|END_RESPONSE|>", "Hi."),
        ("<|inner_prefix|>plan<|inner_suffix|>I hear you.", "I hear you."),
        ("<unused94>thought\nplan<unused95>I hear you.", "I hear you."),
        (
            "<|channel|>analysis<|message|>plan<|end|><|start|>assistant<|channel|>final"
            "<|message|>I hear you.<|return|>",
            "I hear you.",
        ),
        ("analysisThe person is sad.assistantfinalI hear you.", "I hear you."),
        ("<|channel>thought\nplan<channel|>I hear you.", "I hear you."),
        ('<details type="reasoning" done="true">\n> plan\n</details>\nI hear you.', "I hear you."),
        ("<details><summary>More</summary>a walk</details> Ok?",) * 2,
        ("<longcat_think>plan</longcat_think>I hear you.", "I hear you."),
        ("<scratch_pad>plan</scratch_pad>I hear you.", "I hear you."),
        ("<inner_thoughts>plan</inner_thoughts>I hear you.", "I hear you."),
        ("<think>a</think><|begin_of_box|>I hear you.<|end_of_box|>", "I hear you."),
        (
            "Here are my reasoning steps:\na\n[BEGIN FINAL RESPONSE]\nI hear you.\n"
            "[END FINAL RESPONSE]",
            "I hear you.",
        ),
        ("<think>a <reasoning>b</reasoning> c</think>I hear you.", "I hear you."),
        ("analysis of your week may help.",) * 2,
        ("Here is my thought process:\na\n\nHere is my response:\nI hear you.", "I hear you."),
        ("<think>a</think><answer>I hear you.</answer>", "I hear you."),
        ("说得对", "说得对"),
        ("42", "42"),
    ],
)
def test_visible_text(raw: str, text: str) -> None:
    assert visible_reply(raw) == (text, Status.OK)


@pytest.mark.parametrize("raw", ["", "  \n", "<think>plan</think>", "<think>a</think> ...", "💛"])
def test_nothing_said_is_empty(raw: str) -> None:
    assert visible_reply(raw) == ("", Status.EMPTY)


@pytest.mark.parametrize(
    "raw",
    [
        "<think>so",
        "<THINK>so",
        "[THINK]so",
        '<think>I will write "</think>" at the end',
        "<think>a</think>  <think>b",
        "<|channel|>analysis<|message|>so",
        "analysisThe person is",
    ],
)
def test_open_think_is_truncated(raw: str) -> None:
    assert visible_reply(raw) == ("", Status.TRUNCATED_THINK)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("I hear you. What happened?", ["I hear you.", "What happened?"]),
        ("i see. go on", ["i see.", "go on"]),
        ("Really?! Yes!! 💛", ["Really?!", "Yes!!", "💛"]),
        ('She said "no." Then she left.', ['She said "no."', "Then she left."]),
        ("(I know.) It hurts.", ["(I know.)", "It hurts."]),
        (
            "Wait... what? well... fine. So... Yes.",
            ["Wait... what?", "well... fine.", "So...", "Yes."],
        ),
        ("Dr. Lee and Mr. Fox met at 3.30 today.", ["Dr. Lee and Mr. Fox met at 3.30 today."]),
        ("Try it, e.g. a walk. Ok?", ["Try it, e.g. a walk.", "Ok?"]),
        ("1. Rest. 2. Call J. Doe.", ["1. Rest.", "2. Call J. Doe."]),
        ("So am I. You too.", ["So am I.", "You too."]),
        ("One\n\ntwo. *Three.* four", ["One\n\ntwo.", "*Three.*", "four"]),
        ("No end", ["No end"]),
        ("  ", []),
        ("", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_nothing_is_lost_in_splitting() -> None:
    text = "Oh no... Really? I am (truly!) sorry. e.g. this?! ok\nfine. 💛 *Bye.*"
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


@pytest.mark.slow
@pytest.mark.parametrize("text", ["." * 50_000 + "a", "e.g. " * 9_000, "? " * 30_000, " " * 99_999])
def test_degenerate_text_costs_linear_time(text: str) -> None:
    start = time.perf_counter()
    split_sentences(text)
    assert time.perf_counter() - start < 2.0


@pytest.mark.slow
def test_sentence_counts_agree_with_the_released_tags(upstream: Path) -> None:
    replies = read_replies(upstream)
    assert agreement(replies) >= 0.995


@pytest.mark.slow
def test_ratings_join_on_the_number_of_earlier_messages(upstream: Path) -> None:
    file = upstream / "evaluation" / "outputs" / "gold" / "conversations_tagged.json"
    first = json.loads(file.read_text(encoding="utf-8"))[0]
    replies = [reply for reply in read_replies(upstream) if reply.system == "gold"]
    assert replies[0].turn_index == len(first["conversation_history"])
    assert sum(reply.ratings is not None for reply in replies) >= 314
