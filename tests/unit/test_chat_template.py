"""Templates that keep what the model has said: the served history is the trained one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mint.policy.chat_template import keep_history, keeping_template
from mint.policy.tokenizer import CHAT_TEMPLATE, train_tokenizer
from rewards.errors import ConfigError

pytestmark = pytest.mark.slow

# What Qwen3's own template does with thoughts: those of earlier replies go, and without thinking an
# empty block is opened for the new reply alone.
DROPPING = """\
{%- for m in messages -%}
{%- set said = m['content'].split('</think>')[-1].lstrip('\\n') -%}
{{- '<|im_start|>' ~ m['role'] ~ '\\n' -}}
{{- (said if m['role'] == 'assistant' else m['content']) ~ '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{- '<think>\\n\\n</think>\\n\\n' -}}
{%- endif -%}
{%- endif -%}
"""
PROMPT = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "It hurts."}]


def tokenizer(template: str) -> Any:
    made = train_tokenizer(["Be kind. It hurts. I see. Well."] * 4, 300, 512)
    made.chat_template = template
    return made


def ids(made: Any, messages: list[dict[str, str]], thinking: bool) -> list[int]:
    return made.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=False, enable_thinking=thinking
    )


def test_the_tiny_policys_own_template_keeps_everything() -> None:
    for thinking in (False, True):
        assert keeping_template(tokenizer(CHAT_TEMPLATE), enable_thinking=thinking) is None


@pytest.mark.parametrize(
    ("thinking", "reply"), [(False, "I see."), (True, "<think>\nsad\n</think>\n\nI see.")]
)
def test_the_second_prompt_begins_with_the_first_and_what_was_said(
    tmp_path: Path, thinking: bool, reply: str
) -> None:
    made = tokenizer(DROPPING)
    first = ids(made, PROMPT, thinking)
    later = [
        *PROMPT,
        {"role": "assistant", "content": reply},
        {"role": "user", "content": "Well."},
    ]
    said = made.encode(f"{reply}<|im_end|>\n", add_special_tokens=False)
    assert ids(made, later, thinking)[: len(first) + len(said)] != first + said
    made.save_pretrained(tmp_path)
    assert keep_history(tmp_path, enable_thinking=thinking)
    from transformers import AutoTokenizer

    exported = AutoTokenizer.from_pretrained(tmp_path)
    assert ids(exported, PROMPT, thinking) == first
    assert ids(exported, later, thinking)[: len(first) + len(said)] == first + said
    assert not keep_history(tmp_path, enable_thinking=thinking), "it keeps now"


def test_a_template_of_another_form_is_refused() -> None:
    other = "{% for m in messages[-1:] %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %}"
    with pytest.raises(ConfigError, match="dialogues cannot be trained with this model"):
        keeping_template(tokenizer(other), enable_thinking=False)
