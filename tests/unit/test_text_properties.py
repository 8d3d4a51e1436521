"""What holds for any text: no crash, no quadratic time, nothing that grows, settled at once."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mint.data.auditing.content import content_cues, degenerate
from mint.data.auditing.duplicates import normalised
from mint.data.auditing.personal import personal_data
from mint.data.control_tokens import CONTROL_TOKEN, neutralised
from mint.dialogue.answers import read_utterance
from mint.evaluation.metrics.habits import habits
from rewards.graders.embedded.cues import reply_cues
from rewards.graders.embedded.guard import tricks
from rewards.protocols import SplitReply
from rewards.shaping import leaks_labels
from rewards.text import split_sentences, visible_reply, with_opened_thought
from rewards.types import Failure, Message, Status

TAGS = (
    "<think>", "</think>", "<THINK>", "<thinking>", "</thinking>", "< think>", "<think/>",
    '<reasoning effort="low">', "</reasoning>", "<seed:think>", "</seed:think>", "[THINK]",
    "[/THINK]", "◁think▷", "◁/think▷", "<|channel|>", "analysis", "<|message|>", "final",
    "assistantfinal", "<|end|>", "<|start|>assistant", "<|return|>", "<|START_THINKING|>",
    "<|END_THINKING|>", "<|START_RESPONSE|>", "<|begin_of_thought|>", "<|end_of_thought|>",
    "<|inner_prefix|>", "<|inner_suffix|>", "<unused94>thought", "<unused95>", "<answer>",
    "</answer>", "Here is my thought process:", "Here is my response:", "and", "`", "```", '"',
    "'", "“", "”", "<", ">", "<think", "thinking>", "</", "|>", "<|im_end|>", "</s>", "[INST]",
)  # fmt: skip
WORDS = (
    "I hear you", "What happened?", "e.g.", "Dr. Lee", "...", "?!", "5.", "1. Rest.", "a@b.org",
    "+44 20 7946 0958", "4111 1111 1111 1111", "**Validation:**", "माला", "ก็", "说得对。", "¿Qué?",
    "👩‍👩‍👧", "🏳️‍🌈", "🇩🇪", "e\u0301\u0323", "\u202eevil\u202c", "\u2066x\u2069",
    "\x00", "\x1b[31m", "\ud83d", "\udc00", "\u2028", "\x85", "\ufeff", "\ufffd",
)  # fmt: skip
CLASSES = (
    st.text(st.characters(categories=["Lu", "Ll", "Lo", "Lm", "Nd"]), max_size=6),
    st.text(st.characters(categories=["Mn", "Mc", "Me"]), max_size=4),
    st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co"]), max_size=4),
    st.text(st.characters(categories=["Zs", "Zl", "Zp"]), max_size=3),
    st.text(st.characters(categories=["So", "Sk", "Po", "Ps", "Pe", "Pi", "Pf"]), max_size=4),
)
TEXTS = st.lists(
    st.one_of(st.sampled_from(TAGS), st.sampled_from(WORDS), st.sampled_from("\n .,"), *CLASSES),
    max_size=14,
).map("".join)
"""Tags of thought and control, words of several scripts, and every class of character."""
MANY = settings(max_examples=400, deadline=None, database=None, derandomize=True)
FEWER = settings(MANY, max_examples=150)


@pytest.mark.slow
@MANY
@given(TEXTS)
@example("Wrap it in <think>to</think>tags")
@example("Use <think>and</think>.")
@example("<think>a</think><think>b")
def test_visible_text_never_grows_and_is_settled_at_once(raw: str) -> None:
    seen = visible_reply(raw)
    assert len(seen.text) <= len(raw)
    assert (seen.status is Status.OK) == bool(seen.text)
    if seen.text:
        assert visible_reply(seen.text) == seen


@pytest.mark.slow
@FEWER
@given(TEXTS, TEXTS)
def test_what_the_prompt_opens_is_never_read(thought: str, said: str) -> None:
    """A reply that only closes what its template has opened shows what follows at most."""
    raw = with_opened_thought("<|im_start|>assistant\n<think>\n", f"{thought}</think>{said}")
    assert raw.startswith("<think>")
    if "think" not in (thought + said).lower() and not set('`"') & set(thought + said):
        assert len(visible_reply(raw).text) <= len(said)


@pytest.mark.slow
@FEWER
@given(TEXTS)
def test_sentences_lose_nothing(text: str) -> None:
    sentences = split_sentences(text)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence == sentence.strip() != "" for sentence in sentences)


@pytest.mark.slow
@FEWER
@given(TEXTS)
def test_control_tokens_are_gone_for_good(text: str) -> None:
    plain = neutralised(text)
    assert CONTROL_TOKEN.search(plain) is None
    assert neutralised(plain) == plain
    assert plain.replace(" ", "") == text.replace(" ", "")


@pytest.mark.slow
@FEWER
@given(TEXTS)
def test_keys_of_duplicates_are_settled(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


def cues(text: str) -> None:
    """Everything that rules look for in a text."""
    message = Message("seeker", text)
    content_cues(message)
    degenerate(1, message, [Message("seeker", "Hi")])
    habits(text)
    leaks_labels(text)
    split = SplitReply("I lost my job.", tuple(split_sentences(text)))
    if split.sentences:
        tricks(split)
        reply_cues(split)


@pytest.mark.slow
@FEWER
@given(TEXTS)
def test_no_rule_falls_over_a_text(text: str) -> None:
    cues(text)
    for found in personal_data(text):
        assert found.kind
    for style in ("json", "headers"):
        read = read_utterance(text, style)
        assert isinstance(read, Failure) or read.response.strip()


LONG = (
    *(*TAGS, *WORDS, "a", " ", "\n", ".", "? ", "\u0301", "1", "-", "*", "a@", "1 ", "a.", "( "),
    *("<think> </think>", "`<think>`", "<think a", "```<think>", '"<think>', "* a", "* \n"),
)
FUNCTIONS: dict[str, tuple[Callable[[str], object], int]] = {
    "visible_reply": (visible_reply, 200_000),
    "split_sentences": (split_sentences, 200_000),
    "neutralised": (neutralised, 200_000),
    "normalised": (normalised, 50_000),
    "cues": (cues, 24_000),
    "personal_data": (personal_data, 24_000),
}
"""With how long a text each is tried."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_time_grows_with_the_length_and_no_faster(
    name: str, request: pytest.FixtureRequest
) -> None:
    """Processor time, so that other work on the machine does not count."""
    function, length = FUNCTIONS[name]
    slow = []
    gc.collect()
    gc.disable()  # of all that earlier tests have left, which takes a second
    request.addfinalizer(gc.enable)
    for piece in LONG:
        took = []
        for size in (length // 8, length):
            text = (piece * size)[:size]
            started = time.process_time()
            function(text)
            took.append(time.process_time() - started)
        # Eight times the length: eight times the time, sixty-four where it is quadratic.
        if took[1] > 0.2 and took[1] > 24 * took[0]:
            slow.append((piece, took))
    assert not slow
