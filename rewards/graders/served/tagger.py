"""Tactic taggers on servers: one LoRA adapter a tactic as in the paper, or any instruct model.

A reply is tagged in full or not at all: when one of its requests fails, the reply is a Failure,
because a tactic that could not be looked for is not an absent one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rewards.graders.served.base import (
    ServedBase,
    json_answer,
    mean_grades,
    mean_tagging,
    prompt_text,
    read_object,
    sentences_of,
    tagging,
    text_hash,
)
from rewards.graders.served.lora_format import read_formats
from rewards.serving.cassette import Request
from rewards.serving.formats import (
    TOP_LOGPROBS,
    chat_request,
    digit_probabilities,
    off_schema,
    read_chat,
)
from rewards.serving.settings import ServedTaggerConfig
from rewards.tactics import TACTIC_NAMES, TACTICS
from rewards.types import Failure, Reply, Tagging

_SCORE = re.compile(r"\s*<score>\s*([01])\s*</score>\s*")
_SCORE_TOKENS = 16
_PROMPT = "tagger.txt"

Row = Mapping[str, float]
"""Probability of each of some tactics in one sentence."""


class _Question(NamedTuple):
    """One request, and which sentences of which reply it is about."""

    request: Request
    reply: int
    sentences: tuple[int, ...]
    tactics: tuple[str, ...]


class _ServedTagger(ServedBase):
    """Asks, repeats and puts the answers together; subclasses say what is asked and read it."""

    _config: ServedTaggerConfig

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        """A Tagging for each reply, in order; a Failure when any request about it failed."""
        async with self.client.session():
            runs = [await self._tag_once(replies, n) for n in range(self._config.repeats)]
        return mean_grades(runs, lambda found: mean_tagging(found, self._config.threshold))

    async def _tag_once(self, replies: Sequence[Reply], sample: int) -> list[Tagging | Failure]:
        texts = [sentences_of(reply) for reply in replies]
        questions = self._questions(replies, texts, sample)
        answers = await self.client.ask_all(
            [q.request for q in questions], [self._reader(q) for q in questions]
        )
        rows: list[list[dict[str, float]]] = [[{} for _ in sentences] for sentences in texts]
        failed: list[list[Failure]] = [[] for _ in replies]
        for question, answer in zip(questions, answers, strict=True):
            if isinstance(answer, Failure):
                failed[question.reply].append(answer)
                continue
            for sentence, row in zip(question.sentences, answer, strict=True):
                rows[question.reply][sentence].update(row)
        asked = [0] * len(replies)
        for question in questions:
            asked[question.reply] += 1
        return [
            self._grade(sentences, own, bad, number)
            for sentences, own, bad, number in zip(texts, rows, failed, asked, strict=True)
        ]

    def _grade(
        self, sentences: list[str], rows: list[dict[str, float]], failed: list[Failure], asked: int
    ) -> Tagging | Failure:
        if not sentences:
            return Failure("empty", "the reply has no sentence")
        if failed:
            part = f"{len(failed)} of {asked} requests failed: " if asked > 1 else ""
            return Failure(failed[0].kind, part + failed[0].message)
        return tagging(sentences, rows, self._config.threshold)

    def _sampling(self, sample: int) -> dict[str, Any]:
        return {"temperature": self._config.temperature, "seed": self._config.seed + sample}

    def _questions(
        self, replies: Sequence[Reply], texts: Sequence[Sequence[str]], sample: int
    ) -> list[_Question]:
        raise NotImplementedError

    def _reader(self, question: _Question) -> Any:
        """The function that reads the answer: one Row a sentence, or a Failure."""
        raise NotImplementedError


class LoraTagger(_ServedTagger):
    """The paper's taggers: an adapter named as the tactic answers for one sentence and tactic."""

    def __init__(self, config: ServedTaggerConfig) -> None:
        """Raises ConfigError when `prompts` does not hold the adapters' input format."""
        config.require("urls", "model", "prompts")
        self._formats = read_formats(config.prompts or "")
        templates = [
            text
            for name in TACTIC_NAMES
            for part in self._formats[name].messages("{reply}", "{sentence}")
            for text in part.values()
        ]
        parts = {
            "prompts": text_hash(*templates),
            "temperature": config.temperature,
            "threshold": config.threshold,
            "constrain": config.constrain,
        }
        super().__init__(config, "tagger", "served_lora", parts)

    @property
    def model_names(self) -> tuple[str, ...]:
        """The base model and the ten adapters."""
        return (self._config.model, *TACTIC_NAMES)

    def _questions(
        self, replies: Sequence[Reply], texts: Sequence[Sequence[str]], sample: int
    ) -> list[_Question]:
        parameters = {
            **self._sampling(sample),
            "max_tokens": min(self._config.max_tokens, _SCORE_TOKENS),
            "logprobs": True,
            "top_logprobs": TOP_LOGPROBS,
        }
        if self._config.constrain:
            parameters["structured_outputs"] = {"regex": "<score>[01]</score>"}
        # Tactic by tactic: an adapter's requests share the beginning that the server has cached.
        return [
            _Question(
                chat_request(
                    name,
                    self._formats[name].messages(replies[number].text, sentence),
                    parameters,
                    sample,
                ),
                number,
                (place,),
                (name,),
            )
            for name in TACTIC_NAMES
            for number, sentences in enumerate(texts)
            for place, sentence in enumerate(sentences)
        ]

    def _reader(self, question: _Question) -> Any:
        name = question.tactics[0]

        def read(answer: Any) -> list[Row] | Failure:
            probability = read_score(answer)
            if isinstance(probability, Failure):
                return probability
            return [{name: probability}]

        return read


class ZeroShotTagger(_ServedTagger):
    """Any instruct model with our own prompt, one request a reply or a sentence."""

    def __init__(self, config: ServedTaggerConfig) -> None:
        """Raises ConfigError for missing settings."""
        config.require("urls", "model")
        listed = "\n".join(f"- {t.name}: {t.definition} Example: {t.example}" for t in TACTICS)
        self._system = prompt_text(_PROMPT).replace("{tactics}", listed)
        parts = {
            "prompts": text_hash(self._system),
            "unit": config.unit,
            "temperature": config.temperature,
            "threshold": config.threshold,
            "constrain": config.constrain,
        }
        super().__init__(config, "tagger", "served_zero_shot", parts)

    def _questions(
        self, replies: Sequence[Reply], texts: Sequence[Sequence[str]], sample: int
    ) -> list[_Question]:
        questions = []
        for number, sentences in enumerate(texts):
            places = range(len(sentences))
            groups = [tuple(places)] if self._config.unit == "reply" else [(p,) for p in places]
            for group in groups:
                if not group:
                    continue
                chosen = {str(place + 1): sentences[place] for place in group}
                request = self._request(replies[number], chosen, sample)
                questions.append(_Question(request, number, group, TACTIC_NAMES))
        return questions

    def _request(self, reply: Reply, chosen: Mapping[str, str], sample: int) -> Request:
        # As JSON strings, so that nothing in a reply can pass for a part of the prompt.
        content = {"message": reply.seeker_turn, "reply": reply.text, "sentences": chosen}
        messages = [
            {"role": "system", "content": self._system},
            {"role": "user", "content": json.dumps(content, ensure_ascii=False, indent=1)},
        ]
        parameters = {**self._sampling(sample), "max_tokens": self._config.max_tokens}
        if self._config.constrain:
            item = {"type": "array", "items": {"type": "string", "enum": list(TACTIC_NAMES)}}
            parameters |= json_answer("tactics", dict.fromkeys(chosen, item))
        return chat_request(self._config.model, messages, parameters, sample)

    def _reader(self, question: _Question) -> Any:
        numbers = [str(place + 1) for place in question.sentences]
        return lambda answer: read_tactics(answer, numbers)


def read_score(answer: Any) -> float | Failure:
    """Probability of 1 in an answer that is exactly `<score>0</score>` or `<score>1</score>`.

    From the token probabilities of 0 and 1 in that place, or 0.0 or 1.0 when there are none.
    """
    chat = read_chat(answer)
    if isinstance(chat, Failure):
        return chat
    match = _SCORE.fullmatch(chat.text)
    if match is None:
        return off_schema("expected <score>0</score> or <score>1</score>", chat.text)
    probabilities = digit_probabilities(chat, match.start(1), "01")
    return float(match[1]) if probabilities is None else probabilities["1"]


def read_tactics(answer: Any, numbers: Sequence[str]) -> list[Row] | Failure:
    """A Row for each sentence number of {"1": ["advice"], "2": []}; exactly those keys."""
    chat = read_chat(answer)
    if isinstance(chat, Failure):
        return chat
    found = read_object(chat.text)
    if isinstance(found, Failure):
        return found
    if set(found) != set(numbers):
        return off_schema(f"expected the sentences {', '.join(numbers)}", sorted(found))
    rows: list[Row] = []
    for number in numbers:
        names = found[number]
        if not isinstance(names, list) or not all(name in TACTIC_NAMES for name in names):
            return off_schema(f"sentence {number}: expected a list of tactics", names)
        rows.append({name: float(name in names) for name in TACTIC_NAMES})
    return rows
