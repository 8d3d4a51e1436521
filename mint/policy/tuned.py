"""What a model folder that mint has tuned says of its prompts, so that the next stage can check."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mint.config.prompts import PromptConfig, PromptStyle
from mint.policy.model_files import local_files
from mint.shell.files import read_json_if_there, write_json
from rewards.errors import ConfigError

FILE = "tuned.json"


def write_tuned(
    folder: Path, command: str, prompts: PromptConfig, tokenizer: Any, enable_thinking: bool
) -> None:
    """Write FOLDER/tuned.json: which prompts the replies were learnt after."""
    content = {
        "command": command,
        "prompts": prompts.card(),
        "enable_thinking": enable_thinking,
        "template_sha256": template_hash(tokenizer),
    }
    write_json(folder / FILE, content)


def template_hash(tokenizer: Any) -> str:
    """SHA-256 of a chat template's text."""
    return hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()


def check_tuned(
    path: str, *, style: PromptStyle, compact: bool, enable_thinking: bool, template: str | None
) -> None:
    """Raise ConfigError unless prompts, thinking and chat template (its text; None: not known) are
    those that the model at `path` was tuned with. Does nothing for one that mint has not tuned."""
    folder = local_files(path)
    tuned = None if folder is None else read_json_if_there(folder / FILE)
    if tuned is None:
        return
    then = tuned["prompts"]
    asked = {
        "mint.data.style": (then["style"], style.value),
        "mint.data.compact": (then["compact"], compact),
        "mint.data.enable_thinking": (tuned["enable_thinking"], enable_thinking),
    }
    for key, (learnt, wanted) in asked.items():
        if learnt != wanted:
            raise ConfigError(
                f"{key}={wanted}, but the policy {path} was tuned by `mint {tuned['command']}` "
                f"after prompts with {str(learnt).lower()}; set {key}={str(learnt).lower()}, or "
                "tune it again with the other"
            )
    if (
        template is not None
        and hashlib.sha256(template.encode()).hexdigest() != (tuned["template_sha256"])
    ):
        raise ConfigError(
            f"the chat template of {path} is not the one it was tuned with (see {FILE}); put that "
            "one back, or tune it again"
        )
