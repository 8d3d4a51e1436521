"""verl's per-reply hook: one finished rollout in, its raw signals out; grading in batches.

verl awaits `run_single` once a reply, from many replies at the same time and in one process per
reward worker. Replies that end together are graded together, off the event loop. The group formula
is not applied here (siblings do not meet): `mint.verl.trainer` does it on whole groups.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from verl import DataProto
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from mint.config.schema import MintConfig, mint_config
from mint.config.validation import PROBE_SOURCE
from mint.policy.replies import decode_reply, prompt_end
from mint.rundir.quarantine import turn_request
from mint.verl.wire import KEY, GradedReply, pack
from rewards.batching import MicroBatcher
from rewards.build import EncoderConfig, build_graders
from rewards.errors import GraderError
from rewards.formula import raw_reward
from rewards.scorer import ReplyScorer, ScoringRequest, failed_signals
from rewards.types import Failure, Rating, Signals, Status

_MOST_THREADS = 8
_CALLS_OF_SERVERS = 8
"""Batches that may be on their way to servers at the same time."""


class SignalRewardManager(RewardManagerBase):
    """Grades replies with mint's tagger and judge; selected by `reward.reward_manager`."""

    def __init__(
        self,
        config: Any,
        tokenizer: Any,
        compute_score: Any = None,
        reward_router_address: str | None = None,
        reward_model_tokenizer: Any = None,
    ) -> None:
        super().__init__(config, tokenizer, compute_score)
        self._mint = mint_config(config)
        self._max_tokens = int(config.data.max_response_length)
        encoder = self._mint.encoder
        encoder = with_threads(encoder, int(config.reward.num_workers))
        graders = build_graders(encoder, self._mint.tagger, self._mint.judge)
        self._scorer = ReplyScorer(*graders, surprisals=self._mint.reward.used_surprisals())
        self._batcher: MicroBatcher[ScoringRequest, tuple[Signals, float]] = MicroBatcher(
            self._score_timed,
            max_batch=self._mint.grading.max_batch,
            max_in_flight=_in_flight(self._mint),
        )

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """The reply's signals, and its un-normalised reward (NaN when it could not be graded)."""
        item = data[-1:][0]
        request = self._request(item)
        info = item.non_tensor_batch["extra_info"]
        if str(item.non_tensor_batch["data_source"]) == PROBE_SOURCE:
            # A safety probe of a validation: the trainer checks its reply by rules.
            reason = "a probe: checked by rules, not graded"
            signals = replace(failed_signals(request, {}), reason=reason)
            return _answer(None, _graded(request, signals, info, 0.0)._replace(request=None))
        try:
            signals, seconds = await self._batcher.submit(request)
        except Exception as error:
            signals = failed_signals(request, ungraded(error))
            seconds = 0.0
        score = raw_reward(signals, self._mint.reward)
        return _answer(score, _graded(request, signals, info, seconds))

    async def _score_timed(self, requests: Sequence[ScoringRequest]) -> list[tuple[Signals, float]]:
        started = time.perf_counter()
        signals = await self._scorer.score(requests)
        share = (time.perf_counter() - started) / len(requests)
        return [(s, share) for s in signals]

    def _request(self, item: Any) -> ScoringRequest:
        length = int(item.non_tensor_batch["response_len"])
        tokens = item.batch["responses"][:length].tolist()
        prompt = item.batch["prompts"]
        if "prompt_len" in item.non_tensor_batch:  # padded on the right
            prompt = prompt[: int(item.non_tensor_batch["prompt_len"])]
        end = prompt_end(self.tokenizer, prompt.tolist())
        raw = decode_reply(self.tokenizer, end, tokens)
        return turn_request(
            item.non_tensor_batch["extra_info"],
            raw,
            lambda text: len(self.tokenizer.encode(text, add_special_tokens=False)),
            truncated=length >= self._max_tokens and not self._ends(tokens),
        )

    def _ends(self, tokens: list[int]) -> bool:
        return bool(tokens) and tokens[-1] == self.tokenizer.eos_token_id


def ungraded(error: Exception) -> dict[str, Failure]:
    """Failures of `failed_signals` for what grading has raised.

    The trainer counts them and ends the run when there are too many; raising would make verl drop
    the reply without a word.
    """
    told = str(error) if isinstance(error, GraderError) else f"{type(error).__name__}: {error}"
    return {"grader": Failure("exception", told)}


def with_threads(encoder: EncoderConfig, num_workers: int) -> EncoderConfig:
    """The encoder's settings with threads for one of `num_workers` reward workers.

    Ray gives a worker of a GPU run a single thread; on a CPU a pool as wide as the machine would
    keep the rollout from its cores. Half of them are left to rollout and trainer, and beyond eight
    threads the encoder gains nothing.
    """
    if encoder.num_threads is not None:
        return encoder
    cores = len(os.sched_getaffinity(0))
    return replace(encoder, num_threads=max(1, min(_MOST_THREADS, cores // 2 // num_workers)))


def _in_flight(mint: MintConfig) -> int:
    """Calls of the graders at a time: an embedded one takes all its threads for each."""
    kinds = {mint.tagger.kind, mint.judge.kind}
    return 1 if kinds == {"embedded"} else _CALLS_OF_SERVERS


def _answer(score: float | None, graded: GradedReply) -> dict[str, Any]:
    return {"reward_score": math.nan if score is None else score, KEY: pack(graded)}


def _graded(request: ScoringRequest, signals: Signals, info: Any, seconds: float) -> GradedReply:
    place = str(info["conversation_id"]), int(info["turn"])
    return graded_reply(request, signals, *place, seconds)


def graded_reply(
    request: ScoringRequest, signals: Signals, conversation_id: str, turn: int, seconds: float
) -> GradedReply:
    """What travels of a graded reply; `seconds`: its share of the time that grading took."""
    tagging, rating = signals.tagging, signals.rating
    sentences = tagging.sentences if tagging else ()
    return GradedReply(
        signals=signals,
        reply=request.raw_reply,
        seeker=request.history[-1].content if request.history else "",
        conversation_id=conversation_id,
        turn=turn,
        previous_counts=request.previous_counts,
        sentences=tuple(s.text for s in sentences),
        tactics=tuple(s.tactics for s in sentences),
        dimensions=dict(rating.dimensions) if isinstance(rating, Rating) else {},
        grade_s=seconds,
        tagger_repeat_std=tagging.repeat_std if tagging else None,
        judge_repeat_std=rating.repeat_std if rating else None,
        parts=dict(rating.parts) if isinstance(rating, Rating) else None,
        tricks=rating.tricks if isinstance(rating, Rating) else None,
        request=request if signals.status is Status.FAILED else None,
    )
