"""Scalar judges: raw logits or nothing, and the official wire format."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rewards.errors import GraderError
from rewards.graders.served.reward_model import GetRewardJudge, RewardModelJudge
from rewards.serving.settings import ServedJudgeConfig
from rewards.types import Message, Reply

FAST = {"retries": 1, "backoff_s": 0.0}
REPLY = Reply(
    history=(
        Message("seeker", "I lost my job."),
        Message("supporter", "Oh no."),
        Message("seeker", "Yes."),
    ),
    text="I hear you.",
)


def test_a_server_that_answers_with_probabilities_is_refused(
    serve: Callable, loopback: ModuleType
) -> None:
    server = serve(lambda seen: loopback.Answer({"data": [{"probs": [0.4]}]}))
    judge = RewardModelJudge(ServedJudgeConfig(urls=[server.url], model="rm", **FAST))
    with pytest.raises(GraderError, match="use_activation=false does not turn off"):
        asyncio.run(judge.rate([REPLY]))


def test_a_dead_reward_model_fails_replies_and_is_verified_later(
    serve: Callable, loopback: ModuleType
) -> None:
    broken = [True]

    def handler(seen: Any) -> Any:
        if broken[0]:
            return loopback.Answer(status=503)
        return loopback.Answer({"data": [{"data": [0.7 if seen.body["use_activation"] else 2.0]}]})

    server = serve(handler)
    config = ServedJudgeConfig(urls=[server.url], model="rm", route="pooling", **FAST)
    judge = RewardModelJudge(config)
    replies = [REPLY, REPLY]
    assert [f.kind for f in asyncio.run(judge.rate(replies))] == ["server_error"] * 2
    broken[0] = False
    assert [r.value for r in asyncio.run(judge.rate(replies))] == [2.0, 2.0]
    assert server.posts()[-1].path == "/pooling"
    assert server.posts()[-1].body["task"] == "classify"


@pytest.mark.slow
def test_get_reward_speaks_the_official_format(
    serve: Callable, loopback: ModuleType, chat_tokenizer: Path
) -> None:
    server = serve(lambda seen: loopback.Answer({"rewards": [-3.5]}))
    config = ServedJudgeConfig(urls=[server.url], tokenizer=str(chat_tokenizer), **FAST)
    judge = GetRewardJudge(config)
    (rating,) = asyncio.run(judge.rate([REPLY]))
    assert rating.value == -3.5
    assert (server.seen[0].path, list(server.seen[0].body)) == ("/get_reward", ["query"])
    assert server.seen[0].body["query"] == [
        "[user] user: I lost my job.\nassistant: Oh no.\nuser: Yes.[end]"
        "[assistant] I hear you.[end]"
    ]


@pytest.mark.slow
def test_a_recorded_judge_can_be_checked_and_asked_again_without_its_server(
    serve: Callable, loopback: ModuleType, tmp_path: Path
) -> None:
    def handler(seen: Any) -> Any:
        if seen.path == "/v1/models":
            return loopback.Answer(loopback.models("rm", root="v3"))
        return loopback.Answer({"data": [{"probs": [0.9 if seen.body["use_activation"] else 2.2]}]})

    server = serve(handler)
    path = str(tmp_path / "cassette.jsonl")

    async def check_and_rate(judge: RewardModelJudge) -> Any:
        await judge.check()
        return await judge.rate([REPLY])

    settings = {"model": "rm", "revision": "3", **FAST}
    live = RewardModelJudge(ServedJudgeConfig(urls=[server.url], record=path, **settings))
    recorded = asyncio.run(check_and_rate(live))
    server.stop()
    replayed = RewardModelJudge(ServedJudgeConfig(urls=[server.url], replay=path, **settings))
    assert asyncio.run(check_and_rate(replayed)) == recorded
    assert replayed.identity == live.identity
    assert replayed.identity.details["served_as"] == {"rm": "v3/rm"}
    assert replayed.client.counts["sent"] == 0
    assert replayed.probe() == []
    (unknown,) = asyncio.run(replayed.rate([Reply(history=REPLY.history, text="New.")]))
    assert unknown.kind == "not_recorded"
