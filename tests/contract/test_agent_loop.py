"""The reply loop gives what verl's own gives, asks for no text and tokenises a prompt once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from serving_models import make_tokenizer
from verl.experimental.agent_loop import agent_loop as verls
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

import mint.verl.agent_loop as own
from mint.verl.environment import AGENT_LOOPS

pytestmark = pytest.mark.contract

MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "I failed my exam today."},
]


class Server:
    """Answers with the prompt's last tokens and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def generate(self, **request: Any) -> TokenOutput:
        self.asked.append(request)
        ids = list(request["prompt_ids"][-5:])
        return TokenOutput(
            token_ids=ids,
            log_probs=[-0.1 * i for i in range(5)],
            stop_reason="completed",
            extra_fields={"global_steps": 3},
        )


def make(kind: type[Any], server: Server, tokenizer: Any, prompt_length: int = 64) -> Any:
    config = OmegaConf.create(
        {
            "actor_rollout_ref": {
                "rollout": {"prompt_length": prompt_length, "response_length": 4}
            },
            "data": {"apply_chat_template_kwargs": {"enable_thinking": False}},
        }
    )
    return kind(
        trainer_config=verls.DictConfigWrap(config=config),
        server_manager=server,
        tokenizer=tokenizer,
        processor=None,
        dataset_cls=RLHFDataset,
        data_config=verls.DictConfigWrap(config.data),
        hf_model_type="qwen3",
    )


async def answers(
    kind: type[Any], server: Server, tokenizer: Any, prompts: list[Any], length: int = 64
) -> list[Any]:
    params = {"temperature": 1.0, "logprobs": True}
    return await asyncio.gather(
        *(make(kind, server, tokenizer, length).run(params, raw_prompt=p) for p in prompts)
    )


@pytest.mark.parametrize("length", [64, 8])
def test_replies_are_verls(length: int) -> None:
    own._tokens.cache_clear()
    theirs_server, server = Server(), Server()
    prompts = [MESSAGES, MESSAGES, MESSAGES[1:]]
    theirs = asyncio.run(
        answers(SingleTurnAgentLoop, theirs_server, make_tokenizer(), prompts, length)
    )
    ours = asyncio.run(answers(own.ReplyLoop, server, make_tokenizer(), prompts, length))
    for one, other in zip(ours, theirs, strict=True):
        mine, verl = one.as_dict(), other.as_dict()
        assert mine.keys() == verl.keys()
        for key in ("prompts", "responses", "response_mask", "rollout_log_probs"):
            assert mine[key].tolist() == verl[key].tolist()
        assert mine["extra_fields"] == verl["extra_fields"]
    assert [request["sampling_params"]["detokenize"] for request in server.asked] == [False] * 3
    assert "detokenize" not in theirs_server.asked[0]["sampling_params"]


def test_siblings_share_their_prompts_tokens() -> None:
    own._tokens.cache_clear()
    asyncio.run(answers(own.ReplyLoop, Server(), make_tokenizer(), [MESSAGES] * 8 + [MESSAGES[1:]]))
    info = own._tokens.cache_info()
    assert (info.misses, info.hits) == (2, 7)


def test_its_name_is_registered_by_the_file_alone() -> None:
    assert Path(AGENT_LOOPS).is_absolute()
    entries = {entry.name: entry._target_ for entry in OmegaConf.load(AGENT_LOOPS)}
    assert entries["mint_reply"] == "mint.verl.agent_loop.ReplyLoop"
    assert "mint_reply" not in verls._agent_loop_registry
