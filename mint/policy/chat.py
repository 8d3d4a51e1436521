"""Chat messages as the text that a model's template makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from mint.policy.model_files import local_files
from rewards.errors import ConfigError

Chat = Sequence[Mapping[str, str]]
"""Messages as {"role", "content"}."""
_REPLY = "Noted."


def render_chat(tokenizer: Any, messages: Chat, **arguments: Any) -> str:
    """The prompt as text, ready for the reply.

    Where the template takes no system message (Gemma 2, Mistral 7B v0.1), its text goes before the
    first user message. Raises ConfigError when the template refuses that as well.
    """
    try:
        return _rendered(tokenizer, messages, arguments)
    except TemplateError as error:
        try:
            return _rendered(tokenizer, system_in_user(messages), arguments)
        except TemplateError:
            raise ConfigError(
                f"the chat template of {tokenizer.name_or_path} refuses the messages: {error}"
            ) from error


def local_tokenizer(model: str) -> Any | None:
    """The tokenizer of a model that is on this machine; None of another one."""
    folder = local_files(model)
    if folder is None or not (folder / "tokenizer_config.json").is_file():
        return None
    from transformers import AutoTokenizer  # two seconds

    return AutoTokenizer.from_pretrained(str(folder))


def refuses_system(tokenizer: Any) -> str | None:
    """What a template says of a system message; None when it takes one."""
    chat = [{"role": role, "content": "a"} for role in ("system", "user")]
    try:
        _rendered(tokenizer, chat, {})
    except TemplateError as error:
        return str(error)
    return None


def system_in_user(messages: Chat) -> list[dict[str, str]]:
    """The messages with a leading system message at the head of the first user message."""
    if len(messages) < 2 or messages[0]["role"] != "system":
        return [dict(message) for message in messages]
    system, first, *rest = messages
    joined = f"{system['content']}\n\n{first['content']}"
    return [{**first, "content": joined}, *(dict(message) for message in rest)]


def after_reply(tokenizer: Any) -> str:
    """What the template writes after a reply, before the next message ("" where it is not told)."""
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": _REPLY}]
    _, found, after = tokenizer.apply_chat_template(chat, tokenize=False).rpartition(_REPLY)
    return after if found else ""


def _rendered(tokenizer: Any, messages: Chat, arguments: Mapping[str, Any]) -> str:
    chat = [dict(message) for message in messages]
    return tokenizer.apply_chat_template(  # type: ignore[no-any-return]
        chat, tokenize=False, add_generation_prompt=True, **arguments
    )
