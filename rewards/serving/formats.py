"""What servers are asked and what they answer: OpenAI chat, vLLM's pooling routes, get_reward.

Readers take the JSON of an answer, whatever it is, and return a value or a Failure; they never
raise and never guess.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rewards.serving.cassette import Request
from rewards.types import Failure

CHAT = "/v1/chat/completions"
GET_REWARD = "/get_reward"
TOP_LOGPROBS = 20
"""What OpenAI and vLLM allow without further settings."""
_SHOWN = 80

Chat = Sequence[Mapping[str, str]]
"""Messages as {"role", "content"}."""


class Token(NamedTuple):
    """One generated token with the alternatives the server reports."""

    text: str
    logprobs: Mapping[str, float]
    """Token text -> log-probability, the token itself included."""


class ChatAnswer(NamedTuple):
    """The text of a chat answer, and its tokens when the server gives log-probabilities."""

    text: str
    tokens: tuple[Token, ...]


def chat_request(
    model: str, messages: Chat, parameters: Mapping[str, Any], sample: int = 0
) -> Request:
    """A chat completion with the given sampling parameters."""
    body = {"model": model, "messages": [dict(message) for message in messages], **parameters}
    return Request(CHAT, body, sample)


def request_seed(*parts: object) -> int:
    """The seed of one request, below 2^31: the same whatever else is asked."""
    return zlib.crc32("/".join(map(str, parts)).encode()) & 0x7FFFFFFF


def read_chat(answer: Any) -> ChatAnswer | Failure:
    """Text of the only choice: "refused", "truncated" or "off_schema" when there is none."""
    try:
        choice = answer["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        content, refused = text_of(message.get("content")), refusal_of(message, reason)
    except (KeyError, IndexError, TypeError, AttributeError):
        return off_schema("no chat completion", answer)
    if refused is not None:
        return refused
    if reason == "length":
        return Failure("truncated", "the answer reached max_tokens")
    if not isinstance(content, str) or not content.strip():
        return off_schema("no text in the answer", content)
    return ChatAnswer(content, _tokens(choice.get("logprobs")))


def text_of(content: Any) -> Any:
    """The text of a message's content, which may be a list of parts; thinking parts are left out.

    Half a surrogate pair, which is no character and cannot be written to a file, becomes U+FFFD.
    Anything else is given back as it is.

    >>> text_of([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "I hear you."}])
    'I hear you.'
    """
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, Mapping)]
        texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
        content = "".join(texts) if len(parts) == len(content) else content
    if not isinstance(content, str):
        return content
    return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_WITHHELD = ("content_filter", "content filter", "safety", "sensitive", "prohibited", "refusal")
"""How the reason begins for which a filter ended a message, in lower case."""


def refusal_of(message: Mapping[str, Any], reason: Any) -> Failure | None:
    """Failure "refused" of a message that ended for `reason`; None where it is an answer."""
    refusal = message.get("refusal")
    if not (refusal or str(reason).lower().startswith(_WITHHELD)):
        return None
    return Failure("refused", f"the model refused: {refusal or 'content filter'!s:.{_SHOWN}}")


def _tokens(logprobs: Any) -> tuple[Token, ...]:
    """Tokens with alternatives; () when the server gives none or gives them in another form."""
    try:
        tokens = []
        for entry in logprobs["content"]:
            known = {str(top["token"]): float(top["logprob"]) for top in entry["top_logprobs"]}
            known.setdefault(str(entry["token"]), float(entry["logprob"]))
            tokens.append(Token(str(entry["token"]), known))
        return tuple(tokens)
    except (KeyError, TypeError, ValueError):
        return ()


def token_at(answer: ChatAnswer, offset: int) -> tuple[Token, int] | None:
    """The token that holds character `offset` of the text, and the offset within it.

    None when the tokens do not spell the text. More tokens may follow it: vLLM reports the one
    that ended the answer, e.g. <|eot_id|>, which is not part of the text.
    """
    if not "".join(token.text for token in answer.tokens).startswith(answer.text):
        return None
    start = 0
    for token in answer.tokens:
        if start <= offset < start + len(token.text):
            return token, offset - start
        start += len(token.text)
    return None


def digit_probabilities(answer: ChatAnswer, offset: int, digits: str) -> dict[str, float] | None:
    """Probability of each of `digits` at character `offset`, adding up to 1 over them.

    The digits are compared in the place of the one that was written: all else in the token is the
    same. A digit that is not among the alternatives counts 0. None without token probabilities.
    """
    found = token_at(answer, offset)
    if found is None:
        return None
    token, place = found
    mass = {}
    for digit in digits:
        spelt = token.text[:place] + digit + token.text[place + 1 :]
        mass[digit] = math.exp(token.logprobs[spelt]) if spelt in token.logprobs else 0.0
    total = sum(mass.values())
    if not 0 < total < math.inf:
        return None
    return {digit: value / total for digit, value in mass.items()}


def read_pooled(answer: Any) -> float | Failure:
    """The only number of a /classify or /pooling answer for one input."""
    try:
        (item,) = answer["data"]
        values = item["probs"] if "probs" in item else item["data"]
        (value,) = values
        (value,) = value if isinstance(value, list) else (value,)
    except (KeyError, TypeError, ValueError):
        return off_schema("expected one number (a model with one label)", answer)
    return read_number(value)


def read_rewards(answer: Any) -> float | Failure:
    """The only entry of {"rewards": [r]}."""
    try:
        (value,) = answer["rewards"]
    except (KeyError, TypeError, ValueError):
        return off_schema('expected {"rewards": [number]}', answer)
    return read_number(value)


def read_number(value: Any) -> float | Failure:
    """A finite float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return off_schema("expected a number", value)
    if not math.isfinite(value):
        return Failure("out_of_range", f"expected a finite number, got {value}")
    return float(value)


def off_schema(what: str, got: Any) -> Failure:
    """Failure "off_schema" that shows the beginning of what came."""
    return Failure("off_schema", f"{what}; got {got!r:.{_SHOWN}}")
