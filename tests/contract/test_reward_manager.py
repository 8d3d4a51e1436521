"""The reward manager as verl calls it: what becomes of a reply on its way to the graders."""

from __future__ import annotations

import asyncio
import json
import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("verl", reason="needs the cpu or gpu extra")
pytestmark = pytest.mark.contract

from tensordict import TensorDict  # noqa: E402
from tokenizers import AddedToken  # noqa: E402

from mint.config import compose, recipes  # noqa: E402
from rewards.types import Signals, Status  # noqa: E402

GRADED = Signals(status=Status.OK, quality=0.5, kl=0.0, entropy=0.0, num_tokens=10)


@cache
def config() -> Any:
    recipes.register(recipes.find_recipes())
    return compose.compose_config(["+recipe=mint_tiny"])


class Words:
    """A tokenizer of three marks and some words."""

    words = ("<|im_start|>", "assistant", "<think>", "</think>", "hm", "I", "see", "<|im_end|>")
    eos_token_id = 7

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        return {t: AddedToken(self.words[t], special=True) for t in (0, 7)}

    def decode(self, tokens: list[int], skip_special_tokens: bool = False) -> str:
        shown = [t for t in tokens if not (skip_special_tokens and t in (0, 7))]
        return " ".join(self.words[t] for t in shown)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [0] * len(text.split())


def manager(score: Any) -> Any:
    """A reward manager whose grading is `score`."""
    from mint.config.schema import mint_config
    from mint.verl.reward_manager import SignalRewardManager
    from rewards.batching import MicroBatcher

    made = SignalRewardManager.__new__(SignalRewardManager)
    made.tokenizer = Words()
    made._mint, made._max_tokens = mint_config(config()), 4
    made._batcher = MicroBatcher(score, max_batch=4)
    return made


def item(prompt: list[int], reply: list[int]) -> Any:
    from verl import DataProto

    history = [{"role": "seeker", "content": "It hurts."}]
    info = {
        "conversation_id": "c",
        "turn": 0,
        "previous_counts": [0.0] * 10,
        "history_tactics": json.dumps([]),
        "history": json.dumps(history),
    }
    batch = {"prompts": torch.tensor([[*prompt, 0, 0]]), "responses": torch.tensor([[*reply, 0]])}
    columns = {
        "prompt_len": np.array([len(prompt)]),
        "response_len": np.array([len(reply)]),
        "extra_info": np.array([info], dtype=object),
        "data_source": np.array(["mint"], dtype=object),
    }
    return DataProto(batch=TensorDict(batch, batch_size=1), non_tensor_batch=columns)


@pytest.mark.parametrize(
    ("prompt", "reply", "raw"),
    [
        ([0, 1, 2], [4, 4, 5, 6], "<think>hm hm I see"),
        ([0, 1, 2], [4, 3, 5, 7], "<think>hm </think> I"),
        ([0, 1], [5, 6, 7], "I see"),
        ([2, 4, 3, 0, 1], [5, 6, 7], "I see"),
    ],
)
def test_a_thought_that_the_prompt_opens_belongs_to_the_reply(
    prompt: list[int], reply: list[int], raw: str
) -> None:
    seen = []

    async def score(requests: Any) -> list[Any]:
        seen.extend(requests)
        return [(GRADED, 0.1)] * len(requests)

    asyncio.run(manager(score).run_single(item(prompt, reply)))
    assert [request.raw_reply for request in seen] == [raw]


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), RuntimeError("dead"), KeyError("k")])
def test_whatever_goes_wrong_in_grading_is_a_failure_with_a_reason(error: Exception) -> None:
    from mint.verl.wire import KEY, unpack

    async def score(requests: Any) -> list[Any]:
        raise error

    answer = asyncio.run(manager(score).run_single(item([0, 1], [5, 6, 7])))
    signals = unpack(answer[KEY]).signals
    assert math.isnan(answer["reward_score"])
    assert signals.status is Status.FAILED
    assert signals.failures["grader"].kind == "exception"
    assert type(error).__name__ in signals.reason


def test_a_grading_process_gets_threads_from_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    from mint.verl import reward_manager
    from rewards.build import EncoderConfig

    for cores, workers, threads in ((2, 1, 1), (8, 1, 4), (64, 1, 8), (16, 4, 2), (4, 8, 1)):
        monkeypatch.setattr(
            reward_manager.os, "sched_getaffinity", lambda _, n=cores: set(range(n))
        )
        found = reward_manager.with_threads(EncoderConfig(), workers)
        assert found.num_threads == threads
    assert reward_manager.with_threads(EncoderConfig(num_threads=3), 1).num_threads == 3


def test_embedded_graders_get_one_batch_at_a_time_and_servers_several() -> None:
    from mint.config.schema import MintConfig
    from mint.verl.reward_manager import _in_flight
    from rewards.build import JudgeConfig, TaggerConfig

    assert _in_flight(MintConfig()) == 1
    served = MintConfig(judge=JudgeConfig(kind="rubric"))
    assert _in_flight(served) > 1
    assert _in_flight(MintConfig(tagger=TaggerConfig(kind="custom", factory="a:b"))) > 1
