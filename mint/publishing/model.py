"""The weights as others load them, with the very prompts of training.

A chat template takes arguments (`enable_thinking`) and may refuse a system message. In training
mint gives it the arguments of the run and moves the system text into the first message. Whoever
loads the published folder gives it messages and nothing else, so the template itself has to do so.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mint.policy.chat import refuses_system, render_chat
from mint.shell.files import read_json, write_json, write_text_atomic
from rewards.errors import ConfigError

TEMPLATE = "chat_template.jinja"
_SAMPLING = ("temperature", "top_p", "top_k")
_HERE = {
    "tokenizer_config.json": ("chat_template", "is_local", "local_files_only", "name_or_path"),
    "config.json": ("_name_or_path",),
}
"""Keys that are about this machine, or stand in a file of their own."""
_SYSTEM_IN_USER = (
    "{% if messages|length > 1 and messages[0]['role'] == 'system' %}"
    "{% set messages = [{'role': messages[1]['role'], 'content': messages[0]['content'] ~ '\\n\\n'"
    " ~ messages[1]['content']}] + messages[2:] %}{% endif %}"
)
_SYSTEM = {"role": "system", "content": "Be kind."}
_HELLO = {"role": "user", "content": "Hello. I am tired."}
_SEEN = {"role": "assistant", "content": "That sounds hard."}
CHATS = (
    [_SYSTEM, _HELLO],
    [_SYSTEM, _HELLO, _SEEN, {"role": "user", "content": "It is."}],
    [_HELLO],
)
"""Conversations whose prompts must be those of training."""


def write_model(trained: Path, target: Path, config: DictConfig) -> None:
    """Copy the trained model to `target`, with its sampling and prompts as defaults of the folder.

    Raises ConfigError when its prompts could not be made those of training.
    """
    shutil.copytree(
        trained, target, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns(".*")
    )
    _write_template(trained, target, config)
    for name, keys in _HERE.items():
        path = target / name
        if path.is_file():
            content = read_json(path)
            write_json(path, {key: value for key, value in content.items() if key not in keys})
    _write_sampling(target / "generation_config.json", config)


def trained_template(template: str, arguments: Mapping[str, Any], moves_system: bool) -> str:
    """A template whose prompts without arguments are those that `template` gives with them; a
    caller who gives one is heard. `moves_system`: put a system message into the first one."""
    defaults = [
        f"{{% if {name} is not defined %}}{{% set {name} = {value!r} %}}{{% endif %}}"
        for name, value in arguments.items()
        if name in template
    ]
    return "".join([*defaults, _SYSTEM_IN_USER if moves_system else "", template])


def _write_template(trained: Path, target: Path, config: DictConfig) -> None:
    from transformers import AutoTokenizer  # two seconds

    given = OmegaConf.select(config, "data.apply_chat_template_kwargs")
    arguments: dict[str, Any] = dict(OmegaConf.to_container(given)) if given else {}  # type: ignore[arg-type]
    tokenizer = AutoTokenizer.from_pretrained(str(trained))
    if tokenizer.chat_template is None:
        raise ConfigError(f"{trained} has no chat template: it cannot be served for conversations")
    refused = refuses_system(tokenizer) is not None
    template = trained_template(tokenizer.get_chat_template(), arguments, refused)
    write_text_atomic(target / TEMPLATE, template)
    published = AutoTokenizer.from_pretrained(str(target))
    for chat in CHATS:
        asked = published.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        if asked != render_chat(tokenizer, chat, **arguments):
            shown = json.dumps(chat[-1]["content"])
            raise ConfigError(
                f"the chat template of {trained} cannot be published: without the arguments "
                f"{json.dumps(arguments)} it makes another prompt before {shown} than in training"
            )


def _write_sampling(path: Path, config: DictConfig) -> None:
    """Sample as in training unless a caller says otherwise."""
    content = read_json(path) if path.is_file() else {}
    rollout = OmegaConf.select(config, "actor_rollout_ref.rollout") or {}
    found = {name: rollout[name] for name in _SAMPLING if rollout.get(name) is not None}
    if "top_k" in found:
        found["top_k"] = max(0, int(found["top_k"]))  # verl and vLLM write "all" as -1
    if "temperature" in found:
        content["do_sample"] = float(found["temperature"]) > 0
    write_json(path, {**content, **found})
