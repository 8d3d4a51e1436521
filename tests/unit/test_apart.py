"""Other projects use mint: their packages, installed apart from the pinned set, do so here."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import demo_run
import pytest
import serving_models
from conftest import missing

from mint import load_graders
from mint.library.grading import chat_rewards, score_chats
from mint.policy.settings import TinySettings
from mint.policy.tiny import make_model
from mint.publishing.inspect_log import write_logs
from mint.reporting.data import load
from rewards.formula import RewardWeights, raw_reward

pytestmark = pytest.mark.slow

GRPO = """
import json, sys
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl_reward import MintReward
seen = []
class Kept(MintReward):
    def __call__(self, **given):
        seen.append((given["prompts"], [c[-1]["content"] for c in given["completions"]],
                     super().__call__(**given)))
        return seen[-1][-1]
said = ["I lost my job.", "My dog died."]
prompts = [[{"role": "user", "content": text}] for text in said]
settings = GRPOConfig(
    output_dir=sys.argv[2], use_cpu=True, bf16=False, report_to=[], max_steps=1, logging_steps=1,
    per_device_train_batch_size=8, num_generations=4, max_completion_length=12,
    save_strategy="no", disable_tqdm=True,
)
trainer = GRPOTrainer(
    model=sys.argv[1], reward_funcs=Kept(), args=settings,
    train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
)
trainer.train()
log = next(row for row in trainer.state.log_history if "rewards/mint/mean" in row)
print(json.dumps([seen, log["rewards/mint/mean"], log["grad_norm"]]))
"""
READ = """
import json, sys
from inspect_ai.log import list_eval_logs, read_eval_log
found = {}
for info in list_eval_logs(sys.argv[1]):
    log = read_eval_log(info.name)
    found[log.eval.task] = [
        log.status, len(log.samples), log.samples[0].messages[-1].text,
        {s.name: s.metrics["mean"].value for s in log.results.scores},
        log.samples[0].scores["empathy"].value,
    ]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def apart(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of requirements/apart.txt."""
    folder = tmp_path_factory.mktemp("apart")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    done = subprocess.run(
        [*pip, "--target", str(folder), "-r", str(root / "requirements/apart.txt")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        missing(f"requirements/apart.txt cannot be installed: {done.stderr.splitlines()[-1]}")
    return folder


def run(apart: Path, root: Path, code: str, *arguments: object) -> object:
    """The last line that a program prints, as JSON; it sees the packages and the examples."""
    paths = [str(apart), str(root), str(root / "docs/examples")]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_trl_trains_with_the_reward(apart: Path, root: Path, tmp_path: Path) -> None:
    tokenizer = serving_models.make_tokenizer()
    policy = tmp_path / "policy"
    make_model(tokenizer, TinySettings(hidden_size=64, num_layers=1)).save_pretrained(policy)
    tokenizer.save_pretrained(policy)
    seen, mean, grad_norm = run(apart, root, GRPO, policy, tmp_path / "out")  # type: ignore[misc]
    ((prompts, replies, scores),) = seen
    assert len(replies) == len(scores) == 8
    assert prompts[0] == prompts[3] != prompts[4] == prompts[7], "siblings side by side"
    assert mean == pytest.approx(sum(scores) / 8, abs=1e-4)
    assert grad_norm > 0

    lengths = [1] * 8  # random replies of 12 tokens are far below the length target
    expected = chat_rewards(prompts, replies, lengths, graders=load_graders())
    assert scores == pytest.approx(expected, abs=1e-4)


def test_inspect_reads_the_logs(apart: Path, root: Path, tmp_path: Path) -> None:
    made = demo_run.make_run(tmp_path / "run")
    data = load(made)
    write_logs(data, tmp_path / "logs")
    found = run(apart, root, READ, tmp_path / "logs")
    assert isinstance(found, dict)
    assert set(found) == {"run before", "run after"}
    status, number, reply, scores, empathy = found["run after"]
    assert (status, number) == ("success", len(data.after_replies))
    assert reply == data.after_replies[0].reply
    assert empathy == data.after_replies[0].empathy
    assert data.after is not None
    for name in ("composite", "empathy", "kl"):
        assert scores[name] == data.after["metrics"][name]["mean"]


SCORE = """
import asyncio, json
import verifiers.v1 as vf
from verifiers.v1.types import AssistantMessage, SystemMessage, UserMessage
from verifiers_task import MintTask
task = MintTask(vf.TaskData(idx=0, prompt="I lost my job."))
def rollout(reply):
    nodes = [
        vf.MessageNode(message=SystemMessage(content="Be kind.")),
        vf.MessageNode(parent=0, message=UserMessage(content="I lost my job.")),
        vf.MessageNode(parent=1, message=AssistantMessage(content=reply), sampled=True),
    ]
    recorded = vf.TraceTask(type="MintTask", data=task.data)
    return vf.Trace(task=recorded, agent=vf.AgentInfo.model_construct(), nodes=nodes)
found = []
for reply in ("I am so sorry. What happened?", "Whatever."):
    trace = rollout(reply)
    asyncio.run(task.score(trace))
    found.append({name: one.value for name, one in trace.rewards.items()})
print(json.dumps(found))
"""


def test_verifiers_scores_a_rollout(apart: Path, root: Path) -> None:
    kind, cold = run(apart, root, SCORE)  # type: ignore[misc]
    chat = [{"role": "user", "content": "I lost my job."}]
    expected = []
    for reply in ("I am so sorry. What happened?", "Whatever."):
        (signals,) = asyncio.run(score_chats([chat], [reply], [0], load_graders(), RewardWeights()))
        expected.append({"mint": pytest.approx(raw_reward(signals), abs=1e-4)})
    assert [kind, cold] == expected
    assert kind["mint"] > cold["mint"] > 0
