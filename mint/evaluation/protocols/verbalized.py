"""Verbalized sampling: the model lists candidate replies with probabilities, one is drawn.

The parser mends nothing. An answer that is not the JSON that was asked for is a parse failure: it
is counted, kept for reading, and never scored as a reply. Scoring the raw text instead is what
turns such a baseline into a plain-prompt one without anybody noticing.
"""

from __future__ import annotations

import json
import math
import random
import re
from typing import Any, NamedTuple

from rewards.graders.served.base import object_schema
from rewards.text import visible_reply
from rewards.types import Failure, Status

_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*)\n```", re.DOTALL)


class Candidate(NamedTuple):
    """One possible reply and the probability that the model gives it."""

    text: str
    probability: float


class Candidates(NamedTuple):
    """A parsed answer."""

    items: tuple[Candidate, ...]
    fenced: bool
    """Whether the JSON stood in a Markdown code block, the one wrapping that is accepted."""


def instruction(num_candidates: int) -> str:
    """What is added to the system prompt."""
    return (
        f"# Output\nThink of {num_candidates} different messages you might send next, and how "
        "likely you would be to send each. Answer with a single JSON object and no other text: "
        '{"responses": [{"text": "<message>", "probability": <number between 0 and 1>}, ...]} '
        f"with exactly {num_candidates} entries. Every message must be complete in itself."
    )


def schema(num_candidates: int) -> dict[str, Any]:
    """JSON schema of the answer, for servers that can enforce one."""
    probability = {"type": "number", "minimum": 0, "maximum": 1}
    candidate = object_schema({"text": {"type": "string"}, "probability": probability})
    responses = {
        "type": "array",
        "items": candidate,
        "minItems": num_candidates,
        "maxItems": num_candidates,
    }
    return object_schema({"responses": responses})


def parse(raw: str, num_candidates: int) -> Candidates | Failure:
    """The candidates of an answer, or why it has none.

    >>> parse("I hear you.", 5).kind
    'no_json'
    """
    seen = visible_reply(raw)
    if seen.status is not Status.OK:
        return Failure(seen.status.value, "no visible answer")
    fence = _FENCE.fullmatch(seen.text)
    try:
        answer = json.loads(fence[1] if fence else seen.text)
    except (ValueError, RecursionError) as error:
        return Failure("no_json", f"not one JSON object: {error}")
    if not isinstance(answer, dict) or not isinstance(answer.get("responses"), list):
        return Failure("off_schema", "the object has no list 'responses'")
    responses = answer["responses"]
    if len(responses) != num_candidates:
        return Failure("off_schema", f"{len(responses)} candidates instead of {num_candidates}")
    items = []
    for position, response in enumerate(responses):
        problem = _problem(response)
        if problem:
            return Failure("off_schema", f"candidate {position}: {problem}")
        items.append(Candidate(response["text"].strip(), float(response["probability"])))
    if sum(item.probability for item in items) <= 0:
        return Failure("off_schema", "all probabilities are 0")
    return Candidates(tuple(items), fence is not None)


def draw(candidates: Candidates, seed: str) -> str:
    """One candidate's text, by the probabilities the model has given (scaled to sum to 1)."""
    weights = [item.probability for item in candidates.items]
    return random.Random(seed).choices([item.text for item in candidates.items], weights)[0]


def _problem(response: object) -> str:
    if not isinstance(response, dict) or not {"text", "probability"} <= set(response):
        return "needs text and probability"
    text, probability = response["text"], response["probability"]
    if not isinstance(text, str) or not any(character.isalnum() for character in text):
        return f"text says nothing: {text!r:.40}"
    if isinstance(probability, bool) or not isinstance(probability, int | float):
        return f"probability must be a number, got {probability!r:.40}"
    if not (math.isfinite(probability) and 0 <= probability <= 1):
        return f"probability must be in [0, 1], got {probability}"
    return ""
