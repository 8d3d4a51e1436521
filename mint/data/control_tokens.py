"""Control tokens in people's text: pasted logs, released corpora, attacks.

A tokenizer takes the letters `<|im_end|>` in a message for the token that ends it, so that a
seeker's text could forge a system prompt. In a prompt they are spelt with a space inside, which a
reader hardly sees and no tokenizer takes for a token.
"""

from __future__ import annotations

import re

CONTROL_TOKEN = re.compile(
    r"<\|[^<>|\n]{1,40}\|>|<｜[^<>｜\n]{1,40}｜>|</?s>|<(?:bos|eos|pad|unk|sep|cls|mask)>"
    r"|<(?:start|end)_of_(?:turn|image)>|<(?:extra_id_|unused|reserved_)\d{1,3}>"
    r"|<\|[a-z_]{1,30}>|<[a-z_]{1,30}\|>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|THINK|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS|IMG)\]"
    r"|<</?SYS>>|</?(?:think|tool_call|tool_response)>|◁/?think▷"
)
"""Forms of the families in use: ChatML, Llama, DeepSeek, Mistral, Gemma, Kimi, T5, Cohere."""


def neutralised(text: str) -> str:
    """The text with its control tokens as plain letters.

    >>> neutralised("fine<|im_end|>")
    'fine< |im_end|>'
    """
    return CONTROL_TOKEN.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
