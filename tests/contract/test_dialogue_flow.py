"""From a row of people to what the trainer reads: verl's dataset, loop and reward hook in turn."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("verl", reason="needs the cpu or gpu extra")
pytestmark = pytest.mark.contract

from fake_graders import FakeJudge, FakeTagger  # noqa: E402
from fake_seekers import FaultySeeker, RuleSeeker, people  # noqa: E402
from omegaconf import open_dict  # noqa: E402
from verl.experimental.agent_loop.agent_loop import (  # noqa: E402
    AgentLoopWorker,
    DictConfigWrap,
    ToolListWrap,
)
from verl.utils.dataset.rl_dataset import RLHFDataset  # noqa: E402
from verl.workers.rollout.replica import TokenOutput  # noqa: E402

from mint.config import compose, recipes  # noqa: E402
from mint.config.prompts import PromptConfig, PromptStyle  # noqa: E402
from mint.config.schema import mint_config  # noqa: E402
from mint.config.validation import ValidationConfig  # noqa: E402
from mint.dialogue.people import write_people  # noqa: E402
from mint.policy.tokenizer import train_tokenizer  # noqa: E402
from mint.training.dialogues import write_prompts  # noqa: E402
from mint.verl.dialogue_loop import DialogueLoop  # noqa: E402
from mint.verl.dialogue_rewards import DialogueRewardManager  # noqa: E402
from mint.verl.dialogue_step import dialogue_step  # noqa: E402
from mint.verl.dialogue_wire import SPANS, unpack_dialogue  # noqa: E402
from mint.verl.group_reward import Asked  # noqa: E402
from mint.verl.wire import KEY  # noqa: E402

PROMPTS = PromptConfig(style=PromptStyle.PLAIN, compact=True)


class Server:
    """Kind and unkind replies in turn, some cut."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer, self.asked = tokenizer, 0

    async def generate(self, **request: Any) -> TokenOutput:
        self.asked += 1
        text = "I am so sorry. That sounds hard." if self.asked % 3 else "Get up."
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        ids += [self.tokenizer.eos_token_id] if self.asked % 4 else ids * 40
        ids = ids[: request["sampling_params"]["max_tokens"]]
        return TokenOutput(token_ids=ids, log_probs=[-1.0] * len(ids), stop_reason="completed")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [person.scene for person in people(6)] + ["I am so sorry. That sounds hard. Get up."]
    return train_tokenizer(texts * 3, 400, 1024)


def run_config(factory: str) -> Any:
    recipes.register(recipes.find_recipes())
    custom = ("mint.seeker.kind=custom", f"mint.seeker.factory=fake_seekers:{factory}")
    return compose.compose_config(["+recipe=rlver_tiny", *custom, "data.train_batch_size=2"])


def dataset(path: Path, tokenizer: Any, config: Any) -> list[dict[str, Any]]:
    data = config.data.copy()
    with open_dict(data):
        data.filter_overlong_prompts_workers = 1
    read = RLHFDataset(data_files=str(path), tokenizer=tokenizer, config=data, processor=None)
    return [read[i] for i in range(len(read))]


def held(config: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> list[tuple[str, dict]]:
    """Two dialogues of each row, all at the same time, as verl holds and sends them."""

    async def one(row: dict[str, Any], server: Server) -> dict[str, Any]:
        loop = DialogueLoop(
            trainer_config=DictConfigWrap(config),
            server_manager=server,
            tokenizer=tokenizer,
            processor=None,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(config.data),
            hf_model_type="qwen3",
            tools=ToolListWrap([]),
        )
        given = {**row, "global_steps": 3, "uid": "u", "session_id": 0}
        return (await loop.run({"temperature": 1.0}, **given)).as_dict()

    async def everything() -> list[dict[str, Any]]:
        server = Server(tokenizer)
        return await asyncio.gather(*(one(row, server) for row in rows for _ in range(2)))

    names = [row["extra_info"]["conversation_id"] for row in rows for _ in range(2)]
    return list(zip(names, asyncio.run(everything()), strict=True))


def graded(config: Any, tokenizer: Any, row: dict[str, Any], output: dict[str, Any]) -> Any:
    from tensordict import TensorDict
    from verl import DataProto

    manager = DialogueRewardManager(config, tokenizer)
    manager._scorer._tagger, manager._scorer._judge = FakeTagger(), FakeJudge()
    batch = TensorDict(
        {name: output[name][None] for name in ("prompts", "responses")}, batch_size=1
    )
    more = {
        "data_source": np.array([row["data_source"]], dtype=object),
        "extra_info": np.array([row["extra_info"]], dtype=object),
        "tool_extra_fields": np.array([output["extra_fields"]], dtype=object),
        "prompt_len": np.array([len(output["prompts"])]),
        "response_len": np.array([len(output["responses"])]),
    }
    return asyncio.run(manager.run_single(DataProto(batch=batch, non_tensor_batch=more)))


@pytest.mark.parametrize("seeker", [RuleSeeker, FaultySeeker])
def test_a_row_becomes_credit_of_turns(
    tmp_path: Path, tokenizer: Any, seeker: type[RuleSeeker]
) -> None:
    config = run_config(seeker.__name__)
    everybody = people(12)
    write_people(tmp_path, {"train": everybody[2:], "val": everybody[:2]}, PROMPTS, 0)
    rows = dataset(tmp_path / "train.parquet", tokenizer, config)
    assert len(rows) == 10
    assert rows[0]["index"] == 0
    found = held(config, tokenizer, rows)
    dialogues = []
    for row, (_, output) in zip([r for r in rows for _ in range(2)], found, strict=True):
        answer = graded(config, tokenizer, row, output)
        dialogue = unpack_dialogue(answer[KEY])
        dialogues.append(dialogue)
        assert dialogue.record is not None
        spans = output["extra_fields"][SPANS]
        mask = output["response_mask"]
        if dialogue.usable:
            assert answer["reward_score"] == dialogue.record.emotion / 100
            assert len(spans) == len(dialogue.turns) == len(dialogue.record.turns)
            own = torch.zeros_like(mask)
            for first, end in spans:
                own[first:end] = 1
            assert mask.equal(own)
            assert spans[-1][1] == len(mask)
        else:
            assert np.isnan(answer["reward_score"])
            assert not mask.any()
    uids = [name for name, _ in found]
    mint = mint_config(config)
    step = dialogue_step(dialogues, uids, mint.credit, mint.reward, Asked(10, 2))
    assert any(step.trained)
    lost = [not dialogue.usable for dialogue in dialogues]
    assert any(lost) == (seeker is FaultySeeker)
    assert step.num_lost == sum(lost)


def test_probes_pass_through_loop_and_rewards(tmp_path: Path, tokenizer: Any) -> None:
    config = run_config("RuleSeeker")
    write_people(tmp_path, {"train": people(4)[2:], "val": people(4)[:2]}, PROMPTS, 0)
    settings = ValidationConfig(every_steps=1, probes_per_category=1)
    path = tmp_path / "prompts.parquet"
    write_prompts(path, tmp_path / "val.parquet", settings, PROMPTS, FakeTagger())
    rows = dataset(path, tokenizer, config)
    probes = [row for row in rows if row["data_source"] == "probe"]
    assert probes
    (_, output), _ = held(config, tokenizer, probes[:1])
    answer = graded(config, tokenizer, probes[0], output)
    dialogue = unpack_dialogue(answer[KEY])
    assert dialogue.record is None
    assert dialogue.turns[0].reply
    assert dialogue.turns[0].conversation_id == probes[0]["extra_info"]["conversation_id"]


def test_the_worker_sends_what_the_reward_hook_reads() -> None:
    import inspect

    source = inspect.getsource(AgentLoopWorker._compute_score)
    for name in ('"tool_extra_fields"', '"prompt_len"', '"response_len"'):
        assert name in source
