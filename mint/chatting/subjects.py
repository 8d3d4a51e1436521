"""What is talked to: a run's model with the prompt of its training, a model folder, a hub name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mint.chatting.options import ChatSettings
from mint.config.evaluation import GenerationConfig
from mint.config.prompts import PromptConfig, prompt_style
from mint.config.schema import MintConfig, mint_config
from mint.evaluation.subjects import prompts_of_run
from mint.evaluation.trained_run import model_path, rows_path
from mint.policy.model_files import model_folder
from mint.rundir.directory import RunDir
from rewards.build import EncoderConfig, Graders, JudgeConfig, TaggerConfig, ready_graders
from rewards.errors import ConfigError

DEFAULT_MAX_NEW_TOKENS = 512
"""Longest reply of a model that no run has trained."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model and how it is asked."""

    name: str
    """What people call it; no other one of the same command has this name."""
    path: str
    """Model folder or hub name."""
    prompts: PromptConfig
    thinking: bool
    max_new_tokens: int
    whole: bool = False
    """Trained on dialogues: the system prompt stays as it is, and earlier replies in the prompt are
    as they were generated."""

    def generation(self, settings: ChatSettings) -> GenerationConfig:
        """How its replies are drawn."""
        return GenerationConfig(
            samples_per_prompt=1,
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_new_tokens=self.max_new_tokens,
            enable_thinking=self.thinking,
            engine=settings.engine,
            seed=settings.seed,
        )


def is_run(path: str) -> bool:
    """Whether an argument names a run directory."""
    folder = Path(path)
    return (folder / "config.yaml").is_file() and not (folder / "config.json").is_file()


def find_subjects(settings: ChatSettings) -> list[Subject]:
    """The models of a command line, in order. Raises ConfigError for one that is not there."""
    runs = [path for path in settings.models if is_run(path)]
    if settings.before and not runs:
        raise ConfigError("--before needs a run directory: it adds the policy that it started from")
    first = mint_config(RunDir.open(runs[0]).read_config()) if runs else None
    prompts = PromptConfig()
    if first is not None:
        prompts = prompts_of_run(rows_path(RunDir.open(runs[0]).read_config(), first), first)
    found = [
        _of_run(path, "after", settings) if is_run(path) else _of_model(path, prompts, settings)
        for path in settings.models
    ]
    if settings.before:
        found.append(_of_run(runs[0], "before", settings))
    return _named_apart(found)


def find_graders(settings: ChatSettings) -> Graders:
    """Those of the first run, unless the command line names others. Raises ConfigError."""
    runs = [path for path in settings.models if is_run(path)]
    own = mint_config(RunDir.open(runs[0]).read_config()) if runs else MintConfig()
    return ready_graders(
        own.encoder if settings.encoder == EncoderConfig() else settings.encoder,
        own.tagger if settings.tagger == TaggerConfig() else settings.tagger,
        own.judge if settings.judge == JudgeConfig() else settings.judge,
    )


def _of_run(path: str, label: str, settings: ChatSettings) -> Subject:
    run = RunDir.open(path)
    config = run.read_config()
    mint = mint_config(config)
    whole = mint.task == "dialogues"
    tokens = mint.dialogue.turn_tokens if whole else mint.evaluation.max_new_tokens
    name = "/".join(run.path.resolve().parts[-2:])
    return Subject(
        name=name if label == "after" else f"{name} before training",
        path=model_path(run, config, label),
        prompts=_prompts(prompts_of_run(rows_path(config, mint), mint), settings),
        thinking=mint.data.enable_thinking if settings.thinking is None else settings.thinking,
        max_new_tokens=settings.max_new_tokens or tokens,
        whole=whole,
    )


def _of_model(path: str, prompts: PromptConfig, settings: ChatSettings) -> Subject:
    folder = model_folder("model", path)
    return Subject(
        name=path if folder is None else folder.resolve().name,
        path=path if folder is None else str(folder),
        prompts=_prompts(prompts, settings),
        thinking=bool(settings.thinking),
        max_new_tokens=settings.max_new_tokens or DEFAULT_MAX_NEW_TOKENS,
    )


def _prompts(own: PromptConfig, settings: ChatSettings) -> PromptConfig:
    if settings.style is not None:
        own = replace(own, style=prompt_style("style", settings.style))
    return own if settings.compact is None else replace(own, compact=settings.compact)


def _named_apart(subjects: Sequence[Subject]) -> list[Subject]:
    """The subjects; those of one name are called by their paths, and then by number."""
    names = [subject.name for subject in subjects]
    named = [
        replace(s, name=s.path) if names.count(s.name) > 1 or s.name == "tie" else s
        for s in subjects
    ]
    return [
        replace(s, name=f"{s.name} ({same + 1})") if same else s
        for place, s in enumerate(named)
        for same in [sum(other.name == s.name for other in named[:place])]
    ]
