"""System prompts and chat messages."""

from __future__ import annotations

import pytest

from mint.config.prompts import PromptConfig, PromptStyle, length_note, prompts_of_card
from mint.config.schema import DataConfig
from mint.data.prompts import chat_messages, system_prompt
from mint.prepare import PrepareConfig
from mint.shell.usage import field_docs
from rewards.errors import ConfigError
from rewards.shaping import leaks_labels
from rewards.tactics import TACTIC_NAMES
from rewards.types import Message

HISTORY = tuple(
    Message("supporter" if i % 2 else "seeker", text)
    for i, text in enumerate(["one", "two", "three", "four", "five"])
)
FULL = PromptConfig()
COMPACT = PromptConfig(compact=True)


def sections(prompt: str) -> list[str]:
    return [line for line in prompt.splitlines() if line.startswith("# ")]


def test_each_style_has_its_sections() -> None:
    plain, tactics, history = (
        sections(system_prompt(PromptConfig(style=style), []))
        for style in PromptStyle
        if style is not PromptStyle.FILE
    )
    assert plain == ["# Role", "# Form", "# Length"]
    assert tactics == ["# Role", "# Empathy tactics", "# Variety", "# Form", "# Length"]
    assert history == ["# Role", "# Empathy tactics", "# Tactic usage so far", "# Form", "# Length"]


def test_plain_prompts_say_nothing_about_tactics() -> None:
    for compact in (False, True):
        prompt = system_prompt(PromptConfig(style=PromptStyle.PLAIN, compact=compact), [])
        assert "tactic" not in prompt.lower()
        assert not any(name in prompt for name in TACTIC_NAMES)


def test_all_ten_tactics_are_explained_in_order() -> None:
    prompt = system_prompt(FULL, [])
    places = [prompt.index(f"{i}. {name}: ") for i, name in enumerate(TACTIC_NAMES, start=1)]
    assert places == sorted(places)


def test_usage_is_sorted_by_count_and_lists_what_is_unused() -> None:
    earlier = [["questioning"]]
    last = [["advice", "validation"], ["advice"], ["information"]]
    prompt = system_prompt(FULL, [earlier, last])
    assert "previous message used: advice (2x), information (1x), validation (1x)." in prompt
    unused = prompt.split("Not used in this conversation yet: ")[1].split(".")[0].split(", ")
    assert unused == [
        name
        for name in TACTIC_NAMES
        if name not in ("advice", "validation", "information", "questioning")
    ]


def test_first_turn_untagged_turn_and_exhausted_tactics_differ() -> None:
    everything = [[name] for name in TACTIC_NAMES]
    first = system_prompt(FULL, [])
    silent = system_prompt(FULL, [[[]]])
    full = system_prompt(FULL, [everything, [["advice"]]])
    assert "first message" in first
    assert "first message" not in silent
    assert "None of the ten tactics was found in your previous message" in silent
    assert "All ten tactics have been used" in full
    assert "Not used in this conversation yet" not in full


def test_compact_prompts_report_the_last_turn_and_the_unused_tactics() -> None:
    prompt = system_prompt(COMPACT, [[["advice"]], [["validation"], ["questioning"]]])
    assert "Last time: validation, questioning." in prompt
    unused = prompt.split("Not yet: ")[1].rstrip(".").split(", ")
    assert set(unused) == set(TACTIC_NAMES) - {"advice", "validation", "questioning"}
    assert "First message" in system_prompt(COMPACT, [])
    assert "none found" in system_prompt(COMPACT, [[[]]])
    assert "all were used" in system_prompt(COMPACT, [[[name] for name in TACTIC_NAMES]])
    assert len(prompt.split()) < 40


def test_the_length_hint_is_stated() -> None:
    assert "fewer than 120 tokens" in system_prompt(PromptConfig(max_tokens_hint=120), [])


def test_messages_are_system_then_alternating_ending_with_the_user() -> None:
    chat = chat_messages(FULL, HISTORY, [[["advice"]], [["advice"]]])
    assert [m["role"] for m in chat] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [m["content"] for m in chat[1:]] == ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize(("turns", "shown"), [(1, ["five"]), (2, ["three", "four", "five"])])
def test_history_can_be_limited_but_usage_covers_all_of_it(turns: int, shown: list[str]) -> None:
    config = PromptConfig(compact=True, max_history_turns=turns)
    chat = chat_messages(config, HISTORY, [[["advice"]], [["validation"]]])
    assert [m["content"] for m in chat[1:]] == shown
    assert chat[1]["role"] == "user"
    assert "advice" not in chat[0]["content"]
    assert "Last time: validation" in chat[0]["content"]


def test_a_long_limit_shows_everything() -> None:
    chat = chat_messages(PromptConfig(max_history_turns=9), HISTORY, [[], []])
    assert len(chat) == 1 + len(HISTORY)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="max_history_turns must be >= 1 or null, got 0"):
        PromptConfig(max_history_turns=0)
    with pytest.raises(ConfigError, match="max_tokens_hint must be >= 1, got 0"):
        PromptConfig(max_tokens_hint=0)


def test_the_prompt_forbids_what_the_leak_detector_finds() -> None:
    assert "Never name them" in system_prompt(FULL, [])
    assert not leaks_labels("That sounds like a long week. What helped you through it?")


def test_a_style_of_a_file_is_filled_in() -> None:
    text = "Be a coach {name}.\n{tactics}\n{usage}\nFewer than {max_tokens} tokens."
    config = PromptConfig(style=PromptStyle.FILE, template=text, max_tokens_hint=60, compact=True)
    prompt = system_prompt(config, [[["advice"]]])
    assert prompt.startswith("Be a coach {name}.\n1. ")
    assert "previous message used: advice (1x)" in prompt
    assert prompt.endswith("Fewer than 60 tokens.")
    with pytest.raises(ConfigError, match="the prompt style `file` needs the text"):
        system_prompt(PromptConfig(style=PromptStyle.FILE), [])


def test_a_card_gives_the_settings_back() -> None:
    for config in (
        PromptConfig(compact=True, max_history_turns=2, max_tokens_hint=7),
        PromptConfig(style=PromptStyle.FILE, template="Be kind."),
    ):
        assert prompts_of_card(config.card()) == config
    assert "template" not in FULL.card()
    assert prompts_of_card({"style": "plain"}) is None


def test_every_style_is_one_for_data_and_training() -> None:
    for style in PromptStyle:
        assert DataConfig(style=style.value).style == style
        assert style in field_docs(PrepareConfig)["style"]
    with pytest.raises(ConfigError, match=r"mint\.data\.style must be one of plain, .*, got 'x'"):
        DataConfig(style="x")


def test_a_length_that_prompt_and_reward_disagree_about_is_told() -> None:
    note = length_note(PromptConfig(max_tokens_hint=200).card(), 50)
    assert note is not None
    assert "fewer than 200 tokens" in note
    assert "max_tokens_hint=50" in note
    assert length_note(PromptConfig(max_tokens_hint=50).card(), 50) is None
    assert length_note(PromptConfig(compact=True).card(), 50) is None
    assert length_note({}, 50) is None
