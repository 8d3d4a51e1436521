"""Scalar reward models on servers: vLLM's pooling routes, and the official get_reward format."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import Any

from rewards.errors import ConfigError, GraderError
from rewards.graders.served.base import ServedJudge, text_hash
from rewards.serving.cassette import Request
from rewards.serving.formats import GET_REWARD, read_pooled, read_rewards
from rewards.serving.settings import ServedJudgeConfig
from rewards.types import Failure, Message, Reply, ScalarRating

_CHAT_ROLES = {"seeker": "user", "supporter": "assistant"}
_SAME = 1e-3
_DATE = "26 Jul 2024"
"""What Llama 3.1's template says without a clock."""
_PROBES = (
    Reply(history=(Message("seeker", "My bus was late again."),), text="That is annoying."),
    Reply(history=(Message("seeker", "I passed the exam!"),), text="Bananas are yellow."),
)


class _ScalarJudge(ServedJudge[ScalarRating]):
    """Asks once a reply and reads one number."""

    def _read(self, answer: Any) -> ScalarRating | Failure:
        value = self._read_number(answer)
        return value if isinstance(value, Failure) else ScalarRating(value=value)

    def _read_number(self, answer: Any) -> float | Failure:
        raise NotImplementedError

    def _mean(self, ratings: Sequence[ScalarRating]) -> ScalarRating:
        values = [rating.value for rating in ratings]
        return ScalarRating(value=fmean(values), repeat_std=pstdev(values))


class RewardModelJudge(_ScalarJudge):
    """A Bradley-Terry reward model behind vLLM's /classify or /pooling.

    The model's own chat template renders the real conversation, turn by turn. The server is told to
    leave its activation out; that it does so is verified before the first rating, because vLLM
    returns a sigmoid otherwise and other servers may ignore the wish.
    """

    def __init__(self, config: ServedJudgeConfig) -> None:
        """Raises ConfigError for missing settings."""
        config.require("urls", "model")
        super().__init__(config, "judge", "reward_model", {"route": config.route})
        self._verified = False

    async def check(self) -> None:
        """The model is served, and its raw logit can be had. Raises ConfigError otherwise."""
        await super().check()
        problem = await self._activation_problem()
        if isinstance(problem, Failure):
            raise ConfigError(
                f"mint.judge.served: the reward model gives no score: {problem.kind}: "
                f"{problem.message}"
            )
        if problem:
            raise ConfigError(problem)

    async def rate(self, replies: Sequence[Reply]) -> list[ScalarRating | Failure]:
        """Raw logits. Raises GraderError when the server answers with probabilities."""
        problem = None if self._verified or not replies else await self._activation_problem()
        if isinstance(problem, Failure):
            return [problem for _ in replies]
        if problem:
            raise GraderError(problem)
        return await super().rate(replies)

    async def _activation_problem(self) -> str | Failure:
        """Why the server's numbers are no raw logits, "" when they are, a Failure if unknown."""
        requests = [
            Request(r.path, {**r.body, "use_activation": on})
            for r in (self._request(reply, 0) for reply in _PROBES)
            for on in (False, True)
        ]
        known = []
        for rating in await self.ask(requests):
            if isinstance(rating, Failure):
                return rating
            known.append(rating.value)
        raw, activated = known[::2], known[1::2]
        if not are_raw_logits(raw, activated):
            return (
                f"mint.judge.served: {self._config.model} is served with an activation that "
                f"use_activation=false does not turn off (scores {raw[0]:.4g} and {raw[1]:.4g}); "
                "group rewards need raw logits: start a vLLM that knows use_activation, or with "
                """--pooler-config '{"use_activation": false}'"""
            )
        self._verified = True
        return ""

    def _request(self, reply: Reply, sample: int) -> Request:
        messages = [*_chat(reply.history), {"role": "assistant", "content": reply.text}]
        body: dict[str, Any] = {
            "model": self._config.model,
            "messages": messages,
            "use_activation": False,
            "add_generation_prompt": False,
        }
        if self._config.route == "pooling":
            body["task"] = "classify"
        return Request(f"/{self._config.route}", body, sample)

    def _read_number(self, answer: Any) -> float | Failure:
        return read_pooled(answer)


def are_raw_logits(raw: Sequence[float], activated: Sequence[float]) -> bool:
    """Whether scores asked for without activation are raw, given those asked for with it.

    They are when the wish makes a difference, or when a score lies outside [0, 1] anyway.
    """
    if any(not 0 <= value <= 1 for value in raw):
        return True
    return any(abs(r - a) > _SAME for r, a in zip(raw, activated, strict=True))


class GetRewardJudge(_ScalarJudge):
    """The official server: POST /get_reward {"query": [text]} -> {"rewards": [r]}.

    As in the paper, the text is the tokenizer's chat template over one user message, which holds
    the flattened history, and the reply.
    """

    def __init__(self, config: ServedJudgeConfig) -> None:
        """Raises ConfigError when the tokenizer cannot be loaded or has no chat template."""
        config.require("urls", "tokenizer")
        self._tokenizer = _load_tokenizer(str(config.tokenizer))
        template = self._tokenizer.chat_template
        parts = {"tokenizer": config.tokenizer, "template": text_hash(str(template))}
        super().__init__(config, "judge", "get_reward", parts)

    @property
    def model_names(self) -> tuple[str, ...]:
        """None: the format has no list of models."""
        return ()

    async def check(self) -> None:
        """The server gives a number. Raises ConfigError otherwise."""
        (value,) = await self.ask([self._request(_PROBES[0], 0)])
        if isinstance(value, Failure):
            raise ConfigError(
                f"mint.judge.served: no usable get_reward server at "
                f"{', '.join(self._config.urls)}: {value.kind}: {value.message}"
            )

    def _request(self, reply: Reply, sample: int) -> Request:
        flat = "\n".join(f"{m['role']}: {m['content']}" for m in _chat(reply.history))
        messages = [
            {"role": "user", "content": flat},
            {"role": "assistant", "content": reply.text},
        ]
        # Some Llama templates print today's date, and scores would change from day to day.
        text = self._tokenizer.apply_chat_template(messages, tokenize=False, date_string=_DATE)
        return Request(GET_REWARD, {"query": [text]}, sample)

    def _read_number(self, answer: Any) -> float | Failure:
        return read_rewards(answer)


def _chat(history: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": _CHAT_ROLES[m.role], "content": m.content} for m in history]


def _load_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"mint.judge.served.tokenizer {name} cannot be loaded: {first}"
        ) from error
    if not tokenizer.chat_template:
        raise ConfigError(f"mint.judge.served.tokenizer {name} has no chat template")
    return tokenizer
