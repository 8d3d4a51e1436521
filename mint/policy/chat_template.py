"""Chat templates that leave what the model has said as it was.

In training a dialogue only grows: the tokens of earlier replies, thoughts and empty think blocks
included, stay in the prompt. Templates of thinking models (Qwen3) take them out of the history, so
that the model would be served other prompts than it was trained on. The exported folder therefore
carries a template that keeps them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mint.policy.chat import render_chat
from rewards.errors import ConfigError

_OPENED = "<|im_start|>assistant\n"
_KEEPING = """\
{%- for message in messages -%}
{{- '<|im_start|>' ~ message['role'] ~ '\\n' -}}
{%- if message['role'] == 'assistant' -%}{{- PREFIX -}}{%- endif -%}
{{- message['content'] ~ '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' ~ PREFIX -}}
{%- endif -%}
"""


def keeping_template(tokenizer: Any, *, enable_thinking: bool) -> str | None:
    """A template whose prompts of later turns begin with those of earlier ones and what was said
    then; None where the tokenizer's own does. Raises ConfigError for a template that writes
    messages in another form than <|im_start|>ROLE."""
    reply = "<think>\nIt hurts.\n</think>\n\nI see." if enable_thinking else "I see."
    first = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello."}]
    later = [*first, {"role": "assistant", "content": reply}, {"role": "user", "content": "Well."}]
    prompt, second = (_render(tokenizer, m, None, enable_thinking) for m in (first, later))
    if second.startswith(prompt + reply):
        return None
    _, found, prefix = prompt.rpartition(_OPENED)
    made = _KEEPING.replace("PREFIX", repr(prefix))
    if not found or _render(tokenizer, first, made, enable_thinking) != prompt:
        raise ConfigError(
            "the model's chat template does not keep earlier replies as they were said, and it is "
            "not of the form <|im_start|>ROLE, for which mint has one that does: dialogues cannot "
            "be trained with this model"
        )
    return made


def keep_history(folder: Path, *, enable_thinking: bool) -> bool:
    """Give a model folder such a template; returns whether it needed one. Raises ConfigError."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    template = keeping_template(tokenizer, enable_thinking=enable_thinking)
    if template is None:
        return False
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return True


def _render(
    tokenizer: Any, messages: list[dict[str, str]], template: str | None, enable_thinking: bool
) -> str:
    return render_chat(tokenizer, messages, chat_template=template, enable_thinking=enable_thinking)
