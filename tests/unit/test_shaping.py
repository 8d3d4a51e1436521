"""Label leaks: what counts, what does not, and the two mistakes of the paper's pattern."""

from __future__ import annotations

import time

import pytest

from rewards.shaping import leaks_labels


@pytest.mark.parametrize(
    "reply",
    [
        "**Validation:** it makes sense that you are tired.",
        "**Validation**: it makes sense.",
        "**Paraphrasing** So the week was long.",
        "*Questioning* What happened?",
        "_self-disclosure_ I failed as well.",
        "- **Advice**: call her.",
        "1. **Empowerment** You are strong.",
        "**2. Advice** Call her.",
        "I see. **Emotional Expression:** I am sorry.",
        "## Validation\nThat hurts.",
        "(validation) That hurts.",
        "That hurts. (Validation)",
        "[Empowering]\nYou did it.",
        "Validation: that hurts.",
        "2. Advice: rest.",
        "That hurts.\nReframing: it may be a start.",
        "Tactics used: validation, advice",
        "Here are the empathy tactics used in this reply",
        "The tactics so far are two.",
        "Tactic count 3",
        "tactics: validation",
    ],
)
def test_labels_are_found(reply: str) -> None:
    assert leaks_labels(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "It makes sense that you want some validation from her.",
        "The clinic has **information** about that, and it is free.",
        "The clinic (information) opens at nine.",
        "My advice would be to rest.",
        "I have one question: what did she say?",
        "Advice is hard to take on such a day.",
        "I used a few tactics to cope as well.",
        "**Important:** please call someone tonight.",
        "It is *valid* to feel that way.",
        "",
    ],
)
def test_ordinary_talk_is_not_a_label(reply: str) -> None:
    """The third and fourth are hits in the paper's pattern, which looks at no position."""
    assert not leaks_labels(reply)


@pytest.mark.parametrize(
    "reply", ["**Information** is what you asked for.", "Question: what did she say?"]
)
def test_known_false_positives(reply: str) -> None:
    """Emphasis on a tactic word that opens a line looks exactly like a label. Accepted."""
    assert leaks_labels(reply)


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", [" ", "\n", "*", "- ", "[ ", "validation ", "**", "empathy ", "1. ", "\n\n* "]
)
def test_degenerate_replies_cost_linear_time(unit: str) -> None:
    start = time.process_time()
    leaks_labels(unit * 20_000 + "x")
    assert time.process_time() - start < 2.0
