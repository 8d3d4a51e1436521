"""`python -m mint.serve`: what it refuses, what it starts, and that it leaves nothing behind.

A fake package `vllm` on PYTHONPATH takes the real one's place; everything else is the real command.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from mint import serve
from mint.config import compose, recipes
from mint.policy.vllm_switches import CPU_CHUNKED_PREFILL
from mint.serving import checks
from mint.serving.command import Plan, overrides, vllm_command, vllm_environment
from mint.serving.gpu import gpu_memory_gib
from mint.serving.guard import RequireToken
from mint.serving.settings import JudgeServer, RewardModelServer, SeekerServer, TaggerServer
from mint.serving.weights import weights_revision
from rewards.errors import ConfigError
from rewards.tactics import TACTIC_NAMES

ROOT = Path(__file__).resolve().parents[2]
PLAN = Plan(cpu=True, port=8100, max_model_len=4096, dtype="float32", token=None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that looks like a chat model."""
    folder = tmp_path / "models" / "tiny-llama"
    folder.mkdir(parents=True)
    config = {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 4096}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


@pytest.fixture
def reward_model(model: Path) -> Path:
    """A folder that looks like a reward model."""
    config = {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    (model / "config.json").write_text(json.dumps(config))
    return model


@pytest.fixture
def adapters(tmp_path: Path) -> Path:
    """A folder with ten adapters of rank 64."""
    for name in TACTIC_NAMES:
        own = tmp_path / "adapters" / name
        own.mkdir(parents=True)
        (own / "adapter_config.json").write_text(json.dumps({"r": 64}))
        (own / "adapter_model.safetensors").write_bytes(b"adapter")
    return tmp_path / "adapters"


# What is refused


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert serve.run(arguments) == 2
    return capsys.readouterr().err


def test_help_lists_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.run(["--help"]) == 0
    assert "tagger, judge, reward_model, seeker" in capsys.readouterr().out
    assert serve.run(["tagger", "--help"]) == 0
    out = capsys.readouterr().out
    assert "adapters" in out
    assert "token_file" in out, "keys that every part has are explained as well"
    assert "Port to listen on" in out


def test_unknown_parts_and_keys_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.run([]) == 2
    assert "did you mean 'tagger'" in error_of(capsys, "taggr", "model=x")
    assert "missing model=..., adapters=..." in error_of(capsys, "tagger")
    assert "did you mean 'adapters'" in error_of(capsys, "tagger", "model=x", "adapter=y")
    assert "unknown key 'adapters'" in error_of(capsys, "judge", "model=x", "adapters=y")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("port=70000", "port must be in 0..65535, got 70000"),
        ("dtype=int8", "dtype must be auto, bfloat16, float16 or float32, got 'int8'"),
        ("memory_share=0", "memory_share must be in (0, 1], got 0.0"),
        ("restarts=-1", "restarts must be >= 0, got -1"),
        ("kv_cache_gib=0", "kv_cache_gib must be > 0, got 0.0"),
        ("threads=0", "threads must be > 0, got 0"),
        ("chat_template=none.jinja", "chat_template=none.jinja does not exist"),
        ("vllm_args=[--trust-remote-code]", "would run code that comes with the model"),
        ("vllm_args=[--trust_remote_code]", "would run code that comes with the model"),
        ("vllm_args=[--port=1]", "--port cannot be given here; set the key port"),
        ("vllm_args=[--api-key,abc]", "--api-key cannot be given here; set the key token_file"),
        ("vllm_args=[--middleware=x.Y]", "it is set by mint.serve"),
    ],
)
def test_bad_settings(
    model: Path, capsys: pytest.CaptureFixture[str], setting: str, message: str
) -> None:
    assert message in error_of(capsys, "judge", f"model={model}", setting)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "gpu-box"])
def test_another_host_needs_a_token(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    message = error_of(capsys, "judge", f"model={model}", f"host={host}")
    assert f"host={host} can be reached from other machines" in message
    assert "token_file=FILE" in message
    empty = tmp_path / "token"
    empty.write_text("\n")
    arguments = ("judge", f"model={model}", f"host={host}", f"token_file={empty}")
    assert "must hold the token in its first line" in error_of(capsys, *arguments)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert JudgeServer(model="m", host=host).token_file is None


def test_a_busy_port_is_refused_and_its_user_named(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        message = error_of(capsys, "judge", f"model={model}", f"port={port}")
    assert f"cannot listen on 127.0.0.1 port {port}" in message
    assert f"pid {os.getpid()}" in message
    assert checks.check_port("127.0.0.1", port) == port
    assert checks.check_port("127.0.0.1", 0) > 0


def test_model_folders_are_checked(model: Path) -> None:
    def problem(path: Path | str) -> str:
        with pytest.raises(ConfigError) as caught:
            checks.check_model(JudgeServer(model=str(path)))
        return str(caught.value)

    assert "does not exist" in problem(model.parent / "none")
    assert "holds no config.json" in problem(model.parent)
    assert checks.check_model(JudgeServer(model="Qwen/Qwen3-4B")) == {}, "a hub name is vLLM's task"
    (model / "chat_template.jinja").unlink()
    assert "no chat template" in problem(model)
    (model / "tokenizer_config.json").write_text('{"chat_template": "x"}')
    checks.check_model(JudgeServer(model=str(model)))
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert "are pickles" in problem(model)
    (model / "config.json").write_text("[")
    with pytest.raises(ConfigError, match="cannot be read"):
        checks._read_json(model / "config.json")


def test_a_reward_model_has_one_output(model: Path, reward_model: Path) -> None:
    checks.check_model(RewardModelServer(model=str(reward_model)))
    two = {
        "architectures": ["LlamaForSequenceClassification"],
        "id2label": {"0": "bad", "1": "good"},
    }
    (model / "config.json").write_text(json.dumps(two))
    with pytest.raises(ConfigError, match="has 2 outputs; a reward model has one"):
        checks.check_model(RewardModelServer(model=str(model)))
    (model / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(ConfigError, match="is a language model"):
        checks.check_model(RewardModelServer(model=str(model)))


def test_missing_adapters_are_named(
    model: Path, adapters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("advice", "reappraisal"):
        (adapters / name).rename(adapters / f"old_{name}")
    message = error_of(capsys, "tagger", f"model={model}", f"adapters={adapters}")
    assert "lacks advice, reappraisal; it must hold one sub-folder a tactic" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda own: (own / "adapter_config.json").unlink(), "holds no adapter_config.json"),
        (
            lambda own: (own / "adapter_model.safetensors").rename(own / "adapter_model.bin"),
            "holds no adapter_model.safetensors",
        ),
        (
            lambda own: (own / "adapter_config.json").write_text('{"r": 128}'),
            "has rank 128, more than max_lora_rank=64",
        ),
        (lambda own: (own / "adapter_config.json").write_text("{}"), "gives no rank"),
    ],
)
def test_unusable_adapters(model: Path, adapters: Path, change: Any, message: str) -> None:
    change(adapters / "validation")
    with pytest.raises(ConfigError, match=message) as caught:
        checks.check_adapters(TaggerServer(model=str(model), adapters=str(adapters)))
    assert "validation" in str(caught.value)


def test_rank_must_be_a_size_of_vllm() -> None:
    with pytest.raises(ConfigError, match=r"max_lora_rank must be one of 8, 16, 32, 64.* got 60"):
        TaggerServer(model="m", adapters="a", max_lora_rank=60)


def test_memory_is_compared_with_what_is_free(model: Path) -> None:
    settings = JudgeServer(model=str(model), kv_cache_gib=8)
    checks.check_cpu_memory(settings, "float32", available_gib=11)
    with pytest.raises(ConfigError, match=r"the judge needs about 10\.5 GiB .* 4\.0 GiB are"):
        checks.check_cpu_memory(settings, "float32", available_gib=4)


def test_memory_counts_weights_in_the_numbers_they_are_loaded_in(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    with (model / "model.safetensors").open("r+b") as file:
        file.truncate(2 * 1024**3)  # takes no room on the disk
    settings = JudgeServer(model=str(model), kv_cache_gib=1)
    checks.check_cpu_memory(settings, "bfloat16", available_gib=6)
    with pytest.raises(ConfigError, match=r"7\.5 GiB \(weights 4\.0 in float32\), 6\.0 GiB are"):
        checks.check_cpu_memory(settings, "float32", available_gib=6)


@pytest.mark.parametrize(
    ("given", "cpu", "served"),
    [
        ("auto", True, "float32"),
        ("auto", False, "auto"),
        ("bfloat16", True, "bfloat16"),
    ],
)
def test_a_cpu_serves_in_numbers_that_it_computes_in(
    model: Path, monkeypatch: pytest.MonkeyPatch, given: str, cpu: bool, served: str
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": False})
    monkeypatch.setattr(checks, "check_vllm", lambda: cpu)
    settings = JudgeServer(model=str(model), dtype=given)
    assert flags(vllm_command(settings, checks.check(settings)))["--dtype"] == served


# What is started


def flags(command: list[str]) -> dict[str, str]:
    return {a: b for a, b in itertools.pairwise(command) if a.startswith("--")}


def test_tagger_command_names_every_adapter(model: Path, adapters: Path) -> None:
    settings = TaggerServer(model=str(model), adapters=str(adapters), name="base")
    command = vllm_command(settings, PLAN)
    assert command[:5] == [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(model)]
    start = command.index("--lora-modules") + 1
    assert command[start : start + 10] == [f"{n}={adapters / n}" for n in TACTIC_NAMES]
    given = flags(command)
    assert given["--max-lora-rank"] == "64"
    assert given["--max-loras"] == "10"
    assert given["--served-model-name"] == "base"
    assert given["--load-format"] == "safetensors"
    assert given["--host"] == "127.0.0.1"
    assert given["--max-model-len"] == "4096"


def test_reward_model_is_served_without_activation() -> None:
    command = vllm_command(RewardModelServer(model="org/reward"), PLAN)
    given = flags(command)
    assert given["--runner"] == "pooling"
    assert json.loads(given["--pooler-config"]) == {"use_activation": False}
    assert given["--served-model-name"] == "reward"
    assert "org/reward" in command


def test_a_cpu_reads_prompts_whole() -> None:
    gpu = Plan(cpu=False, port=1, max_model_len=8, dtype="auto", token=None)
    whole = "--no-enable-chunked-prefill"
    assert whole in vllm_command(JudgeServer(model="org/judge"), PLAN)
    assert whole not in vllm_command(JudgeServer(model="org/judge"), gpu)
    recipes.register(recipes.find_recipes())
    rollout = compose.compose_config(["+recipe=rlver_tiny"]).actor_rollout_ref.rollout
    assert rollout.enable_chunked_prefill is CPU_CHUNKED_PREFILL


def test_memory_flags_follow_the_device() -> None:
    gpu = Plan(cpu=False, port=1, max_model_len=8, dtype="auto", token=None)
    plain = JudgeServer(model="org/judge", memory_share=0.4, vllm_args=["--max-num-seqs=8"])
    sized = JudgeServer(model="org/judge", kv_cache_gib=2)
    assert flags(vllm_command(plain, gpu))["--gpu-memory-utilization"] == "0.4"
    assert flags(vllm_command(sized, gpu))["--kv-cache-memory-bytes"] == str(2 * 1024**3)
    assert flags(vllm_command(plain, PLAN))["--kv-cache-memory-bytes"] == str(1024**3)
    assert "--gpu-memory-utilization" not in vllm_command(plain, PLAN)
    assert "--enforce-eager" not in vllm_command(plain, gpu)
    assert vllm_command(plain, gpu)[-1] == "--max-num-seqs=8"


def test_the_token_is_not_on_the_command_line(tmp_path: Path) -> None:
    plan = Plan(cpu=True, port=1, max_model_len=8, dtype="auto", token="s3cret")
    settings = JudgeServer(model="org/judge", threads=3)
    command = vllm_command(settings, plan)
    assert not any("s3cret" in part for part in command)
    assert flags(command)["--middleware"] == "mint.serving.guard.RequireToken"
    environment = vllm_environment(settings, plan, tmp_path)
    assert environment["VLLM_API_KEY"] == "s3cret"
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["TMPDIR"] == str(tmp_path)
    assert "HF_HUB_OFFLINE" not in environment, "a hub model may have to be downloaded"
    assert "VLLM_API_KEY" not in vllm_environment(settings, PLAN, tmp_path)
    assert "--middleware" not in vllm_command(settings, PLAN)


def test_overrides_say_how_a_run_uses_the_server() -> None:
    tagger = TaggerServer(model="org/base", adapters="a", token_file="/run/t")
    assert overrides(tagger, "http://h:1", "abc") == [
        "mint.tagger.kind=served_lora",
        "mint.tagger.served.urls=[http://h:1]",
        "mint.tagger.served.model=base",
        "mint.tagger.served.revision=abc",
        "mint.tagger.served.token_file=/run/t",
    ]
    assert overrides(JudgeServer(model="org/j"), "http://h:1", "")[0] == "mint.judge.kind=served"
    kind = overrides(RewardModelServer(model="org/r"), "http://h:1", "")[0]
    assert kind == "mint.judge.kind=reward_model"


def test_a_run_takes_the_overrides_of_a_seekers_server() -> None:
    given = overrides(SeekerServer(model="org/p", token_file="/run/t"), "http://h:1", "abc")
    assert given[0] == "mint.seeker.kind=served"
    recipes.register(recipes.find_recipes())
    seeker = compose.compose_config(["+recipe=rlver_tiny", *given]).mint.seeker
    endpoint = seeker.served
    assert (seeker.kind, endpoint.model, endpoint.revision) == ("served", "p", "abc")
    assert (list(endpoint.urls), endpoint.token_file) == (["http://h:1"], "/run/t")


def test_revision_changes_with_any_weight(model: Path, adapters: Path) -> None:
    settings = TaggerServer(model=str(model), adapters=str(adapters))
    first = weights_revision(settings)
    assert len(first) == 12
    assert weights_revision(settings) == first
    (adapters / "advice" / "adapter_model.safetensors").write_bytes(b"other")
    second = weights_revision(settings)
    (model / "model.safetensors").write_bytes(b"others")
    assert len({first, second, weights_revision(settings)}) == 3
    assert weights_revision(JudgeServer(model="Qwen/Qwen3-4B")) == ""


@pytest.mark.slow
def test_gpu_memory_of_the_servers_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_memory_gib([11]) is None
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '11, 2048\\n12, 512\\n99, 4096\\n13, [N/A]\\n'\n")
    tool.chmod(0o755)
    assert gpu_memory_gib([11, 12, 13]) == 2.5
    assert gpu_memory_gib([1]) is None


# What a request without the token gets


def status_of(scope: dict[str, Any], headers: list[tuple[bytes, bytes]]) -> int:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    whole = {"type": "http", "method": "POST", "headers": headers, **scope}
    asyncio.run(RequireToken(app, token="s3cret")(whole, receive, send))
    return int(sent[0]["status"] if "status" in sent[0] else sent[0]["code"])


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/classify", "/tokenize", "/invocations", "/metrics"]
)
def test_every_path_needs_the_token(path: str) -> None:
    assert status_of({"path": path}, []) == 401
    assert status_of({"path": path}, [(b"authorization", b"Bearer wrong")]) == 401
    assert status_of({"path": path}, [(b"authorization", b"Basic s3cret")]) == 401
    assert status_of({"path": path}, [(b"authorization", b"Bearer s3cret")]) == 200
    twice = [(b"authorization", b"Bearer s3cret"), (b"authorization", b"Bearer x")]
    assert status_of({"path": path}, twice) == 401


def test_only_health_is_open() -> None:
    assert status_of({"path": "/health", "method": "GET"}, []) == 200
    assert status_of({"path": "/health", "method": "POST"}, []) == 401
    assert status_of({"path": "/health/../classify", "method": "GET"}, []) == 401
    assert status_of({"path": "/v1/realtime", "type": "websocket"}, []) == 1008
    with pytest.raises(ValueError, match="needs a token"):
        RequireToken(lambda *_: None, token="")  # type: ignore[arg-type, return-value]
