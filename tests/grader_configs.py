"""Graders on a `loopback.GraderServer`, as a user configures them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rewards.build import EncoderConfig, Graders, JudgeConfig, TaggerConfig, build_graders
from rewards.serving.settings import ServedJudgeConfig, ServedTaggerConfig
from rewards.types import Message, Reply

FAST = {"retries": 0, "backoff_s": 0.0}
REPLY = Reply(history=(Message("seeker", "It hurts."),), text="I hear you. What happened?")
DEAD = "http://127.0.0.1:9"
"""The discard port, which nothing here listens on."""


def lora(url: str, prompts: Path, **changes: Any) -> TaggerConfig:
    """The tagger of ten adapters; `prompts` holds their annotation files."""
    settings = {"urls": [url], "model": "llama", "prompts": str(prompts), **FAST, **changes}
    return TaggerConfig(kind="served_lora", served=ServedTaggerConfig(**settings))


def judge(url: str, kind: str = "served", **changes: Any) -> JudgeConfig:
    """A judge on a chat model, or of another served kind."""
    settings = {"urls": [url], "model": "chat", **FAST, **changes}
    return JudgeConfig(kind=kind, served=ServedJudgeConfig(**settings))


def built(tagger: TaggerConfig, rater: JudgeConfig) -> Graders:
    """Both, without an encoder."""
    return build_graders(EncoderConfig(path="/not/needed"), tagger, rater)
