"""Empathy judge on a chat model: the six dimensions of Lend-an-Ear by our own rubric.

One request a reply; the answer must be a JSON object with exactly the six ratings as whole numbers
from 1 to 5. Anything else is a Failure: a missing dimension would change what the aggregate means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any

from rewards.graders.served.base import (
    ServedJudge,
    json_answer,
    prompt_text,
    read_chat_object,
    text_hash,
)
from rewards.serving.cassette import Request
from rewards.serving.formats import (
    TOP_LOGPROBS,
    ChatAnswer,
    chat_request,
    digit_probabilities,
    off_schema,
)
from rewards.serving.settings import ServedJudgeConfig
from rewards.types import DIMENSIONS, Failure, Message, Rating, Reply

_RUBRIC = "judge.txt"
_EXAMPLES = "judge_examples.json"
_SCALE = "12345"


class RubricJudge(ServedJudge[Rating]):
    """Any chat model as judge, with a rubric and worked examples."""

    def __init__(self, config: ServedJudgeConfig) -> None:
        """Raises ConfigError for missing settings."""
        config.require("urls", "model")
        self._opening = opening_messages()
        prompts = text_hash(*(text for m in self._opening for text in m.values()))
        settings = ("temperature", "constrain", "expectation")
        super().__init__(config, "judge", "served", {"prompts": prompts}, settings)

    def _request(self, reply: Reply, sample: int) -> Request:
        config, parameters = self._config, self.sampling(sample)
        if config.expectation:
            parameters |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        if config.constrain:
            # An enumeration: not every server's grammar knows minimum and maximum.
            number = {"type": "integer", "enum": [1, 2, 3, 4, 5]}
            parameters |= json_answer("ratings", dict.fromkeys(DIMENSIONS, number))
        question = {"role": "user", "content": question_text(reply.history, reply.text)}
        return chat_request(config.model, [*self._opening, question], parameters, sample)

    def _read(self, answer: Any) -> Rating | Failure:
        return (read_expected_rating if self._config.expectation else read_rating)(answer)

    def _mean(self, ratings: Sequence[Rating]) -> Rating:
        aggregates = [rating.aggregate for rating in ratings]
        return Rating(
            dimensions={name: fmean(r.dimensions[name] for r in ratings) for name in DIMENSIONS},
            aggregate=fmean(aggregates),
            repeat_std=pstdev(aggregates),
        )


def opening_messages() -> list[dict[str, str]]:
    """Rubric and worked examples, which come before every question."""
    messages = [{"role": "system", "content": prompt_text(_RUBRIC)}]
    for example in judge_examples():
        history = [Message.parse(message) for message in example["history"]]
        messages += [
            {"role": "user", "content": question_text(history, example["reply"])},
            {"role": "assistant", "content": json.dumps(example["ratings"])},
        ]
    return messages


def judge_examples() -> list[dict[str, Any]]:
    """Worked examples: history, reply and the six ratings. Written for this package."""
    examples: list[dict[str, Any]] = json.loads(prompt_text(_EXAMPLES))
    return examples


def question_text(history: Sequence[Message], reply: str) -> str:
    """The conversation and the reply to be rated, as JSON.

    Inside JSON strings nothing in a reply can pass for a part of the prompt.
    """
    conversation = [{"speaker": m.role, "says": m.content} for m in history]
    content = {"conversation": conversation, "reply_to_rate": reply}
    return json.dumps(content, ensure_ascii=False, indent=1)


def read_rating(answer: Any) -> Rating | Failure:
    """The rating of an answer {"validating_emotions": 4, ...}: six whole numbers, 1 to 5."""
    read = _read(answer)
    return read if isinstance(read, Failure) else Rating.from_dimensions(read[1])


def read_expected_rating(answer: Any) -> Rating | Failure:
    """As `read_rating`, each dimension as the mean over the token probabilities of 1 to 5."""
    read = _read(answer)
    if isinstance(read, Failure):
        return read
    chat, _ = read
    # After the thinking, which may weigh several ratings.
    start = max(chat.text.rfind("</think>"), 0)
    means = {}
    for name in DIMENSIONS:
        (match,) = re.compile(rf'"{name}"\s*:\s*([1-5])').finditer(chat.text, start)
        probabilities = digit_probabilities(chat, match.start(1), _SCALE)
        if probabilities is None:
            return off_schema(
                "no token probabilities for the ratings (mint.judge.served.expectation needs a "
                "server that gives logprobs)",
                name,
            )
        means[name] = sum(int(digit) * p for digit, p in probabilities.items())
    return Rating.from_dimensions(means)


def _read(answer: Any) -> tuple[ChatAnswer, Mapping[str, float]] | Failure:
    read = read_chat_object(answer)
    if isinstance(read, Failure):
        return read
    chat, found = read
    if set(found) != set(DIMENSIONS):
        wrong = sorted(set(DIMENSIONS) ^ set(found))
        return off_schema(f"expected exactly the six ratings, wrong are {', '.join(wrong)}", found)
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int):
            return off_schema(f"{name} must be a whole number", value)
        if not 1 <= value <= 5:
            return Failure("out_of_range", f"{name} must be in [1, 5], got {value}")
    return chat, {name: float(found[name]) for name in DIMENSIONS}
