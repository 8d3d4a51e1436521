"""Tactic taggers on servers: one LoRA adapter a tactic as in the paper, or any instruct model.

A reply is tagged in full or not at all: when one of its requests fails, the reply is a Failure,
because a tactic that could not be looked for is not an absent one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean, pstdev
from typing import Any, NamedTuple

from rewards.graders.served.base import (
    ServedBase,
    json_answer,
    prompt_text,
    read_chat_object,
    text_hash,
)
from rewards.graders.served.lora_format import read_formats
from rewards.serving.cassette import Request
from rewards.serving.client import Parser
from rewards.serving.formats import (
    TOP_LOGPROBS,
    chat_request,
    digit_probabilities,
    off_schema,
    read_chat,
)
from rewards.serving.settings import ServedTaggerConfig
from rewards.tactics import TACTIC_NAMES, TACTICS
from rewards.text import split_sentences
from rewards.types import Failure, Reply, TaggedSentence, Tagging

_SCORE = re.compile(r"\s*<score>\s*([01])\s*</score>\s*")
_SCORE_TOKENS = 16
_PROMPT = "tagger.txt"

Row = Mapping[str, float]
"""Probability of each of some tactics in one sentence."""


class _Question(NamedTuple):
    """One request, which sentences of which reply it is about, and how its answer is read."""

    request: Request
    reply: int
    sentences: tuple[int, ...]
    read: Parser[list[Row]]
    """One Row a sentence, or a Failure."""


class _ServedTagger(ServedBase):
    """Asks, repeats and puts the answers together; subclasses say what is asked."""

    _config: ServedTaggerConfig

    async def tag(self, replies: Sequence[Reply]) -> list[Tagging | Failure]:
        """A Tagging for each reply, in order; a Failure when any request about it failed."""
        texts = [
            split_sentences(reply.text) if reply.sentences is None else list(reply.sentences)
            for reply in replies
        ]

        async def once(sample: int) -> list[Tagging | Failure]:
            return await self._tag_once(texts, self._questions(replies, texts, sample))

        return await self.repeated(once, self._mean)

    async def _tag_once(
        self, texts: Sequence[Sequence[str]], questions: Sequence[_Question]
    ) -> list[Tagging | Failure]:
        answers = await self.client.ask_all(
            [q.request for q in questions], [q.read for q in questions]
        )
        rows: list[list[dict[str, float]]] = [[{} for _ in sentences] for sentences in texts]
        failed: list[list[Failure]] = [[] for _ in texts]
        for question, answer in zip(questions, answers, strict=True):
            if isinstance(answer, Failure):
                failed[question.reply].append(answer)
                continue
            for sentence, row in zip(question.sentences, answer, strict=True):
                rows[question.reply][sentence].update(row)
        asked = Counter(question.reply for question in questions)
        return [self._grade(texts[i], rows[i], bad, asked[i]) for i, bad in enumerate(failed)]

    def _grade(
        self, sentences: Sequence[str], rows: Sequence[Row], failed: Sequence[Failure], asked: int
    ) -> Tagging | Failure:
        if not sentences:
            return Failure("empty", "the reply has no sentence")
        if failed:
            part = f"{len(failed)} of {asked} requests failed: " if asked > 1 else ""
            return Failure(failed[0].kind, part + failed[0].message)
        return self._tagged(sentences, rows)

    def _tagged(
        self, sentences: Sequence[str], rows: Sequence[Row], repeat_std: float | None = None
    ) -> Tagging:
        """The tactics whose probability reaches the threshold."""
        tagged = (
            TaggedSentence(
                text=text,
                tactics=tuple(n for n in TACTIC_NAMES if row[n] >= self._config.threshold),
                probabilities=dict(row),
            )
            for text, row in zip(sentences, rows, strict=True)
        )
        return Tagging(sentences=tuple(tagged), repeat_std=repeat_std)

    def _mean(self, taggings: Sequence[Tagging]) -> Tagging:
        """Mean probabilities, tactics anew from the threshold, and how much the gradings differ."""
        rows: list[Row] = []
        spreads: list[float] = []
        for sentence in zip(*(t.sentences for t in taggings), strict=True):
            values = {name: [s.probabilities[name] for s in sentence] for name in TACTIC_NAMES}
            rows.append({name: fmean(given) for name, given in values.items()})
            spreads += [pstdev(given) for given in values.values()]
        texts = [sentence.text for sentence in taggings[0].sentences]
        return self._tagged(texts, rows, fmean(spreads))

    def _questions(
        self, replies: Sequence[Reply], texts: Sequence[Sequence[str]], sample: int
    ) -> list[_Question]:
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
        settings = ("temperature", "threshold", "constrain")
        parts = {"prompts": text_hash(*templates)}
        super().__init__(config, "tagger", "served_lora", parts, settings)

    @property
    def model_names(self) -> tuple[str, ...]:
        """The base model and the ten adapters."""
        return (self._config.model, *TACTIC_NAMES)

    def _questions(
        self, replies: Sequence[Reply], texts: Sequence[Sequence[str]], sample: int
    ) -> list[_Question]:
        parameters = {
            **self.sampling(sample),
            "max_tokens": min(self._config.max_tokens, _SCORE_TOKENS),
            "logprobs": True,
            "top_logprobs": TOP_LOGPROBS,
        }
        if self._config.constrain:
            parameters["structured_outputs"] = {"regex": "<score>[01]</score>"}

        def question(name: str, reply: int, sentence: int) -> _Question:
            messages = self._formats[name].messages(replies[reply].text, texts[reply][sentence])
            request = chat_request(name, messages, parameters, sample)
            return _Question(request, reply, (sentence,), partial(_read_row, name=name))

        # Tactic by tactic: an adapter's requests share the beginning that the server has cached.
        return [
            question(name, reply, sentence)
            for name in TACTIC_NAMES
            for reply, sentences in enumerate(texts)
            for sentence in range(len(sentences))
        ]


class ZeroShotTagger(_ServedTagger):
    """Any instruct model with our own prompt, one request a reply or a sentence."""

    def __init__(self, config: ServedTaggerConfig) -> None:
        """Raises ConfigError for missing settings."""
        config.require("urls", "model")
        listed = "\n".join(f"- {t.name}: {t.definition} Example: {t.example}" for t in TACTICS)
        self._system = prompt_text(_PROMPT).replace("{tactics}", listed)
        parts = {"prompts": text_hash(self._system)}
        settings = ("unit", "temperature", "threshold", "constrain")
        super().__init__(config, "tagger", "served_zero_shot", parts, settings)

    def _questions(
        self, replies: Sequence[Reply], texts: Sequence[Sequence[str]], sample: int
    ) -> list[_Question]:
        questions = []
        for number, sentences in enumerate(texts):
            places = range(len(sentences))
            whole = [tuple(places)] if sentences else []
            for group in whole if self._config.unit == "reply" else [(p,) for p in places]:
                chosen = {str(place + 1): sentences[place] for place in group}
                request = self._request(replies[number], chosen, sample)
                read = partial(read_tactics, numbers=list(chosen))
                questions.append(_Question(request, number, group, read))
        return questions

    def _request(self, reply: Reply, chosen: Mapping[str, str], sample: int) -> Request:
        # As JSON strings, so that nothing in a reply can pass for a part of the prompt.
        content = {"message": reply.seeker_turn, "reply": reply.text, "sentences": chosen}
        messages = [
            {"role": "system", "content": self._system},
            {"role": "user", "content": json.dumps(content, ensure_ascii=False, indent=1)},
        ]
        parameters = self.sampling(sample)
        if self._config.constrain:
            item = {"type": "array", "items": {"type": "string", "enum": list(TACTIC_NAMES)}}
            parameters |= json_answer("tactics", dict.fromkeys(chosen, item))
        return chat_request(self._config.model, messages, parameters, sample)


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


def _read_row(answer: Any, name: str) -> list[Row] | Failure:
    probability = read_score(answer)
    return probability if isinstance(probability, Failure) else [{name: probability}]


def read_tactics(answer: Any, numbers: Sequence[str]) -> list[Row] | Failure:
    """A Row for each sentence number of {"1": ["advice"], "2": []}; exactly those keys."""
    read = read_chat_object(answer)
    if isinstance(read, Failure):
        return read
    _, found = read
    if set(found) != set(numbers):
        return off_schema(f"expected the sentences {', '.join(numbers)}", sorted(found))
    rows: list[Row] = []
    for number in numbers:
        names = found[number]
        if not isinstance(names, list) or not all(name in TACTIC_NAMES for name in names):
            return off_schema(f"sentence {number}: expected a list of tactics", names)
        rows.append({name: float(name in names) for name in TACTIC_NAMES})
    return rows
