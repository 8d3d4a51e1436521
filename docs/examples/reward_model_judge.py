"""A judge of your own: any Hugging Face reward model, in this process.

Copy this file, put your model's folder or hub name at the bottom, and train with

    PYTHONPATH=. python -m mint.train +recipe=NAME \\
        mint.judge.kind=custom mint.judge.factory=reward_model_judge:judge

The model is a sequence classifier with one output (a Bradley-Terry reward) and a chat template. The
factory is called without arguments, once in every process that grades.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rewards.errors import ConfigError
from rewards.types import Failure, GraderIdentity, Reply, ScalarRating

ROLES = {"seeker": "user", "supporter": "assistant"}


class RewardModelJudge:
    """Rates replies by a reward model's logit."""

    def __init__(self, model: str, *, revision: str = "", max_tokens: int = 4096) -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model)
            self._model = AutoModelForSequenceClassification.from_pretrained(model).eval()
        except (OSError, ValueError) as error:
            raise ConfigError(f"reward model {model!r} cannot be loaded: {error}") from error
        if self._model.config.num_labels != 1:
            raise ConfigError(f"{model!r} has {self._model.config.num_labels} outputs, not one")
        self._max_tokens = max_tokens
        self._identity = GraderIdentity(kind="custom", name=model, revision=revision)

    @property
    def identity(self) -> GraderIdentity:
        """What graded: runs whose judges differ here are never compared silently."""
        return self._identity

    async def rate(self, replies: Sequence[Reply]) -> list[ScalarRating | Failure]:
        """One answer a reply, in order. Runs in a thread, so that the trainer can go on."""
        return await asyncio.to_thread(lambda: [self._rate(reply) for reply in replies])

    def _rate(self, reply: Reply) -> ScalarRating | Failure:
        chat = [{"role": ROLES[m.role], "content": m.content} for m in reply.history]
        chat.append({"role": "assistant", "content": reply.text})
        text = self._tokenizer.apply_chat_template(chat, tokenize=False)
        tokens = self._tokenizer(text, return_tensors="pt", add_special_tokens=False)
        if tokens["input_ids"].shape[1] > self._max_tokens:
            return Failure("too_long", f"more than {self._max_tokens} tokens")
        with torch.inference_mode():
            logit = float(self._model(**tokens).logits[0, 0])
        return ScalarRating(value=logit)


def judge() -> RewardModelJudge:
    """What `mint.judge.factory` names."""
    return RewardModelJudge("PATH/TO/REWARD_MODEL", revision="1")
