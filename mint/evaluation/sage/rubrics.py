"""Five capabilities of a supporter over a whole conversation, by a served judge.

After the five capabilities of RLVER (arXiv 2507.03112, appendix); the texts of rubrics.json are
this project's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.dialogue.protocol import Person
from mint.dialogue.record import TalkRecord
from mint.evaluation.journal import Journal
from mint.evaluation.statistics.estimates import clustered_mean
from rewards.graders.served.base import (
    ServedBase,
    json_answer,
    json_question,
    object_schema,
    read_chat_object,
    text_hash,
)
from rewards.serving.cassette import Request
from rewards.serving.formats import chat_request, off_schema
from rewards.serving.settings import ServedJudgeConfig
from rewards.types import Failure

Verdict = dict[str, dict[str, Any]]
"""Capability -> {"score": 1 to 5, "reason": text}."""
_LEVELS = range(1, 6)


class RubricJudge(ServedBase):
    """Asks once about each conversation; an answer that is not in form is a Failure."""

    _config: ServedJudgeConfig

    def __init__(self, config: ServedJudgeConfig) -> None:
        """Raises ConfigError for missing settings."""
        config.require("urls", "model")
        parts = {
            "prompts": text_hash(json.dumps(rubrics(), sort_keys=True)),
            "temperature": config.temperature,
            "constrain": config.constrain,
        }
        super().__init__(config, "judge", "capabilities", parts)

    async def judge(self, talks: Sequence[tuple[Person, TalkRecord]]) -> list[Verdict | Failure]:
        """A verdict on each conversation, in order."""
        requests = [self._request(person, talk) for person, talk in talks]
        async with self.client.session():
            return await self.client.ask_all(requests, [read_verdict] * len(requests))

    def _request(self, person: Person, talk: TalkRecord) -> Request:
        config = self._config
        parameters = self.sampling(0)
        if config.constrain:
            score = {"type": "integer", "minimum": 1, "maximum": 5}
            one = object_schema({"reason": {"type": "string"}, "score": score})
            parameters |= json_answer("capabilities", dict.fromkeys(capabilities(), one))
        question = {
            "person": person.persona,
            "situation": person.scene,
            "hoped_for": person.intention.replace("_", " "),
            "conversation": [{"speaker": m.role, "says": m.content} for m in talk.messages],
            "levels": {
                name: {str(level): said for level, said in zip(_LEVELS, texts, strict=True)}
                for name, texts in rubrics()["capabilities"].items()
            },
        }
        messages = json_question(rubrics()["system"], question)
        return chat_request(config.model, messages, parameters)


@cache
def rubrics() -> Mapping[str, Any]:
    """The judge's instruction, and five levels of each capability."""
    file = resources.files("mint.evaluation.sage") / "rubrics.json"
    return json.loads(file.read_text(encoding="utf-8"))


def capabilities() -> tuple[str, ...]:
    """Their names."""
    return tuple(rubrics()["capabilities"])


def read_verdict(answer: Any) -> Verdict | Failure:
    """The verdict of an answer: exactly the five capabilities, each with a reason and a whole
    number from 1 to 5."""
    read = read_chat_object(answer)
    if isinstance(read, Failure):
        return read
    _, found = read
    if set(found) != set(capabilities()):
        return off_schema(f"expected exactly {', '.join(capabilities())}", found)
    for name, row in found.items():
        if not isinstance(row, Mapping) or set(row) != {"reason", "score"}:
            return off_schema(f"{name} must have exactly reason and score", found)
        score = row["score"]
        if type(score) is not int or not isinstance(row["reason"], str):
            return off_schema(f"{name} must have a whole score and a reason as text", found)
        if score not in _LEVELS:
            return Failure("out_of_range", f"{name} must be 1 to 5, got {score}")
    return {name: dict(found[name]) for name in capabilities()}


async def judge_all(
    judge: RubricJudge,
    condition: str,
    talks: Mapping[str, TalkRecord],
    persons: Mapping[str, Person],
    journal: Journal,
    settings: EvaluationConfig,
) -> dict[str, Any]:
    """Means of the five with intervals over people, and failures by kind. What the journal has is
    not asked again; failures are not recorded. Conversations without a reply are left out."""
    heard = {key: talk for key, talk in talks.items() if talk.turns and talk.lost is None}
    done: dict[str, Verdict | Failure] = {}
    for key in heard:
        recorded = journal.get("rubric", (condition, key))
        if recorded is not None:
            done[key] = recorded
    missing = [key for key in heard if key not in done]
    verdicts = await judge.judge([(persons[heard[key].person], heard[key]) for key in missing])
    for key, verdict in zip(missing, verdicts, strict=True):
        done[key] = verdict
        if not isinstance(verdict, Failure):
            journal.add("rubric", {(condition, key): verdict})
    return _summary(done, heard, settings)


def _summary(
    done: Mapping[str, Verdict | Failure],
    talks: Mapping[str, TalkRecord],
    settings: EvaluationConfig,
) -> dict[str, Any]:
    failed = [verdict for verdict in done.values() if isinstance(verdict, Failure)]
    kinds = sorted({failure.kind for failure in failed})
    judged = {key: v for key, v in done.items() if not isinstance(v, Failure)}
    means = {
        name: asdict(
            clustered_mean(
                [
                    (talks[key].person, float(verdict[name]["score"]))
                    for key, verdict in judged.items()
                ],
                settings,
            )
        )
        for name in capabilities()
        if judged
    }
    return {
        "judged": len(judged),
        "failed": {kind: sum(f.kind == kind for f in failed) for kind in kinds},
        "capabilities": means,
        "verdicts": judged,
    }
