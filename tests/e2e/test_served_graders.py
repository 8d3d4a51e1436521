"""Served graders and a seeker against real vLLM servers here, started by `python -m mint.serve`.

Three servers with tiny random-weight models (tests/serving_models.py), about two minutes to start
on two cores; then each grader against numbers computed without it, a server killed in the middle
of a step, and a training run.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import torch
from grader_servers import Serving
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from mint.config.seeker import SeekerEndpoint
from mint.dialogue.persons import authored_persons
from mint.dialogue.presets import get_preset
from mint.dialogue.protocol import Heard, Lost, SeekerTurn, Who
from mint.dialogue.served import ServedSeeker
from rewards.graders.served.judge import RubricJudge
from rewards.graders.served.lora_format import read_formats
from rewards.graders.served.reward_model import RewardModelJudge
from rewards.graders.served.tagger import LoraTagger
from rewards.serving.settings import ServedJudgeConfig, ServedTaggerConfig
from rewards.tactics import TACTIC_NAMES
from rewards.types import (
    DIMENSIONS,
    Failure,
    Message,
    Rating,
    Reply,
    ScalarRating,
    Tagging,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

HISTORY = (
    Message("seeker", "I lost my job last week."),
    Message("supporter", "I am sorry. What happened?"),
    Message("seeker", "They closed the whole office, and I have a family to feed."),
)
REPLIES = (
    Reply(history=HISTORY, text="That sounds frightening. What worries you most right now?"),
    Reply(history=HISTORY[:1], text="You could ask them for a reference. I can help you write."),
)


def tagger_config(servers: dict[str, Serving], models: Path, **settings: Any) -> ServedTaggerConfig:
    facts = servers["tagger"].facts
    return ServedTaggerConfig(
        urls=[facts["url"]],
        model="tagger-base",
        revision=facts["revision"],
        prompts=str(models / "annotations"),
        **settings,
    )


# The tagger


def score_logprobs(url: str, name: str, messages: list[dict[str, str]]) -> dict[str, float]:
    """What the server itself says of 0 and 1 when the chat goes on with <score>."""
    body = {
        "model": name,
        "messages": [*messages, {"role": "assistant", "content": "<score>"}],
        "add_generation_prompt": False,
        "continue_final_message": True,
        "temperature": 0,
        "max_tokens": 1,
        "logprobs": True,
        "top_logprobs": 20,
    }
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60, trust_env=False)
    answer.raise_for_status()
    (token,) = answer.json()["choices"][0]["logprobs"]["content"]
    return {top["token"]: top["logprob"] for top in token["top_logprobs"] if top["token"] in "01"}


def share_of_one(logprobs: dict[str, float]) -> float:
    zero, one = math.exp(logprobs["0"]), math.exp(logprobs["1"])
    return one / (zero + one)


def test_ten_adapters_answer_with_the_servers_own_probabilities(
    servers: dict[str, Serving], models: Path
) -> None:
    tagger = LoraTagger(tagger_config(servers, models))
    asyncio.run(tagger.check())
    assert set(tagger.identity.details["served_as"]) == {"tagger-base", *TACTIC_NAMES}
    formats = read_formats(models / "annotations")
    seen = set()
    for reply, graded in zip(REPLIES, asyncio.run(tagger.tag(REPLIES)), strict=True):
        assert isinstance(graded, Tagging), graded
        assert len(graded.sentences) == 2
        for sentence in graded.sentences:
            assert set(sentence.probabilities) == set(TACTIC_NAMES)
            for name, probability in sentence.probabilities.items():
                messages = formats[name].messages(reply.text, sentence.text)
                said = share_of_one(score_logprobs(servers["tagger"].url, name, messages))
                assert probability == pytest.approx(said, abs=2e-3), (name, sentence.text)
                assert (name in sentence.tactics) == (probability >= 0.5)
                seen.add(round(probability, 4))
    assert len(seen) > 10, "the adapters must not all answer alike"
    assert all(0 < probability < 1 for probability in seen)


def test_adapters_are_applied_as_transformers_applies_them(
    servers: dict[str, Serving], models: Path
) -> None:
    """Base plus scaled B A, merged by hand, gives the probability that the grader reports."""
    tokenizer = AutoTokenizer.from_pretrained(models / "tagger-base")
    reply = REPLIES[0]
    (graded,) = asyncio.run(LoraTagger(tagger_config(servers, models)).tag([reply]))
    assert isinstance(graded, Tagging)
    formats = read_formats(models / "annotations")
    zero, one = (tokenizer(digit)["input_ids"][0] for digit in "01")
    for name in TACTIC_NAMES:
        model = AutoModelForCausalLM.from_pretrained(models / "tagger-base", dtype=torch.float32)
        merge_adapter(model, models / "adapters" / name)
        for sentence in graded.sentences:
            text = tokenizer.apply_chat_template(
                formats[name].messages(reply.text, sentence.text),
                add_generation_prompt=True,
                tokenize=False,
            )
            ids = tokenizer(text + "<score>", return_tensors="pt")["input_ids"]
            with torch.no_grad():
                logits = model(ids).logits[0, -1]
            expected = torch.softmax(logits[[zero, one]], dim=0)[1].item()
            assert sentence.probabilities[name] == pytest.approx(expected, abs=2e-3), name


def merge_adapter(model: Any, folder: Path) -> None:
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")
    weights = dict(model.named_parameters())
    for key, a in tensors.items():
        if not key.endswith("lora_A.weight"):
            continue
        b = tensors[key.replace("lora_A", "lora_B")]
        target = key.removeprefix("base_model.model.").replace("lora_A.weight", "weight")
        with torch.no_grad():
            weights[target] += config["lora_alpha"] / config["r"] * (b @ a)


# The judge


def test_random_weights_rate_on_schema_when_the_server_constrains_them(
    servers: dict[str, Serving],
) -> None:
    config = ServedJudgeConfig(urls=[servers["judge"].url], model="tiny-judge", max_tokens=400)
    judge = RubricJudge(config)
    asyncio.run(judge.check())
    for rating in asyncio.run(judge.rate(REPLIES)):
        assert isinstance(rating, Rating), rating
        assert set(rating.dimensions) == set(DIMENSIONS)
        assert all(value in (1, 2, 3, 4, 5) for value in rating.dimensions.values())
        assert 1 <= rating.aggregate <= 5


def test_expected_ratings_lie_between_the_digits(servers: dict[str, Serving]) -> None:
    config = ServedJudgeConfig(
        urls=[servers["judge"].url], model="tiny-judge", max_tokens=400, expectation=True
    )
    (rating,) = asyncio.run(RubricJudge(config).rate(REPLIES[:1]))
    assert isinstance(rating, Rating), rating
    assert any(value != round(value) for value in rating.dimensions.values())


def test_what_is_off_schema_never_becomes_a_number(servers: dict[str, Serving]) -> None:
    """Free random text, and a model that answers every question with <score>0</score>."""
    babbler = ServedJudgeConfig(
        urls=[servers["judge"].url], model="tiny-judge", constrain=False, max_tokens=48
    )
    for grade in asyncio.run(RubricJudge(babbler).rate(REPLIES)):
        assert isinstance(grade, Failure)
        assert grade.kind in ("off_schema", "truncated")
    scorer = ServedJudgeConfig(
        urls=[servers["tagger"].url], model="tagger-base", constrain=False, max_tokens=48
    )
    for grade in asyncio.run(RubricJudge(scorer).rate(REPLIES)):
        assert isinstance(grade, Failure)
        assert grade.kind == "off_schema"
        assert "<score>" in grade.message


def test_it_plays_people_as_well(servers: dict[str, Serving]) -> None:
    """All at the same time: more tokens than the server reads in a step, each request seeded."""
    server = servers["judge"]
    before = server.facts["pid"]
    settings = SeekerEndpoint(
        urls=[server.url], model="tiny-judge", read_timeout_s=300, max_tokens=600, parse_retries=0
    )
    seeker = ServedSeeker(get_preset("sage_bench"), settings)
    heard = [
        Heard(
            person,
            1,
            (Message("seeker", person.opening or "Hello."), Message("supporter", REPLIES[0].text)),
            40,
            1,
        )
        for person in authored_persons()[:8]
    ]

    async def played() -> list[SeekerTurn | Lost]:
        return list(await asyncio.gather(*map(seeker.turn, heard)))

    turns = asyncio.run(played())
    assert server.facts["pid"] == before, "the server lives"
    for turn in turns:
        if isinstance(turn, Lost):
            assert turn.who is Who.SEEKER, turn
        else:
            assert abs(turn.change) <= 10
            assert turn.reason.strip()
            assert turn.message is None or turn.message.strip()


def test_sigterm_leaves_nothing_of_a_server(servers: dict[str, Serving]) -> None:
    server = servers["judge"]
    port = int(server.url.rpartition(":")[2])
    family = server.family()
    assert len(family) >= 4, "the command, vLLM's server, engine and worker"
    assert server.stop() == 0
    left = [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert left == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "nothing listens any more"
    assert not server.ready_file.exists()
    assert "judge: stopped" in server.output.read_text()


# The reward model


def reward_config(servers: dict[str, Serving], models: Path, **settings: Any) -> ServedJudgeConfig:
    return ServedJudgeConfig(
        urls=[servers["reward_model"].url],
        model="tiny-reward",
        token_file=str(models / "token"),
        **settings,
    )


def test_logits_are_those_of_transformers(servers: dict[str, Serving], models: Path) -> None:
    judge = RewardModelJudge(reward_config(servers, models))
    asyncio.run(judge.check())
    endings = ("Go on.", "I hear you!", "Stop that. Now.", "You are not alone in this.", "Why?")
    replies = [
        Reply(history=HISTORY[:turns], text=f"{text} {number}")
        for turns in (1, 3)
        for text in endings
        for number in range(6)
    ]
    grades = asyncio.run(judge.rate(replies))
    tokenizer = AutoTokenizer.from_pretrained(models / "tiny-reward")
    model = AutoModelForSequenceClassification.from_pretrained(models / "tiny-reward")
    roles = {"seeker": "user", "supporter": "assistant"}
    values = []
    for reply, grade in zip(replies, grades, strict=True):
        assert isinstance(grade, ScalarRating), grade
        messages = [{"role": roles[m.role], "content": m.content} for m in reply.history]
        messages.append({"role": "assistant", "content": reply.text})
        ids = tokenizer.apply_chat_template(messages, return_tensors="pt", return_dict=False)
        with torch.no_grad():
            expected = model(input_ids=ids).logits[0, 0].item()
        assert grade.value == pytest.approx(expected, abs=2e-3)
        values.append(grade.value)
    assert min(values) < 0, "a sigmoid would be above 0"
    assert max(values) > 1, "and below 1"


def test_the_token_guards_every_route(servers: dict[str, Serving], models: Path) -> None:
    url = servers["reward_model"].url
    body = {"model": "tiny-reward", "input": "hello"}
    good = {"Authorization": f"Bearer {(models / 'token').read_text().strip()}"}
    wrong = {"Authorization": "Bearer guess"}
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        for path in ("/classify", "/pooling", "/tokenize", "/v1/models", "/metrics", "/docs"):
            assert client.post(path, json=body).status_code == 401, path
            assert client.get(path, headers=wrong).status_code == 401, path
        assert client.post("/classify", json=body, headers=good).status_code == 200
        assert client.get("/health").status_code == 200
    command = " ".join(psutil.Process(servers["reward_model"].facts["pid"]).cmdline())
    assert "s3cret" not in command
