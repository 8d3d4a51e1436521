"""Plans: arithmetic against measured figures, refusals with the nearest change, the command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import DictConfig, OmegaConf
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

from mint import plan as command
from mint.config import compose, recipes
from mint.config.schema import mint_config
from mint.machine.limits import GIB
from mint.planning import measured, memory
from mint.planning.batch import batch
from mint.planning.disk import checkpoint_bytes, disk_items
from mint.planning.fits import Limits, problems
from mint.planning.hardware import gpu_named, gpu_of_machine
from mint.planning.host import host_items
from mint.planning.items import peak, total
from mint.planning.lengths import Lengths, count_tokens, lengths_of
from mint.planning.models import ModelShape, from_config, shape_of, tiny_shape
from mint.planning.plan import Assumptions, Plan, calibrated, plan_of
from mint.planning.settings import RunSettings, settings_of
from mint.policy.settings import TinySettings

pytestmark = pytest.mark.slow

QWEN3_4B = shape_of("Qwen/Qwen3-4B")


@pytest.fixture(autouse=True)
def _processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with bfloat16, as of most of the figures below."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})


SMOLLM = from_config(
    {
        "num_hidden_layers": 30,
        "hidden_size": 576,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    }
)
TINY = tiny_shape(TinySettings())
OLD_PASS = "algorithm.rollout_correction.bypass_mode=false"
SMOLLM_RUN = (
    "+recipe=mint_tiny",
    "data.train_batch_size=4",
    "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=4096",
)
WHOLE_ROWS = ("actor_rollout_ref.model.override_config.attn_implementation=flash_attention_2",)
"""A prompt is computed once a reply."""
BEFORE = (OLD_PASS, *WHOLE_ROWS)
"""As the figures of whole runs below were measured."""


@cache
def composed(*overrides: str) -> DictConfig:
    recipes.register(recipes.find_recipes())
    return compose.compose_config(overrides)


def settings(*overrides: str) -> RunSettings:
    config = composed(*overrides)
    return settings_of(config, mint_config(config))


def planned(
    overrides: Sequence[str], model: ModelShape, prompt: float, reply: float, **given: object
) -> Plan:
    lengths = Lengths(1543, 1543, prompt, 8000, reply, "")
    return plan_of(settings(*overrides), model, lengths, Assumptions(**given))  # type: ignore[arg-type]


def test_a_critic_takes_16_bytes_a_parameter_more() -> None:
    plain = settings("+recipe=mint_4b")
    critic = replace(plain, critic=True)
    before = {m.name: m.total for m in memory.gpu_moments(plain, QWEN3_4B, 79.1)}
    after = {m.name: m.total for m in memory.gpu_moments(critic, QWEN3_4B, 79.1)}
    billion = QWEN3_4B.parameters / GIB
    for name, gib in before.items():
        assert after[name] - gib == pytest.approx(12 * billion)
    update = memory.gpu_moments(critic, QWEN3_4B, 79.1)[-1]
    assert {i.name: i.value for i in update.items}["critic"] == pytest.approx(16 * billion)
    waiting = replace(critic, critic_offloaded=True)
    assert memory.gpu_moments(waiting, QWEN3_4B, 79.1)[0].total == before["generation"]
    assert checkpoint_bytes(critic, QWEN3_4B) - checkpoint_bytes(plain, QWEN3_4B) == pytest.approx(
        12 * QWEN3_4B.parameters
    )
    tiny = settings("+recipe=mint_tiny")
    more = total(host_items(replace(tiny, critic=True), TINY)) - total(host_items(tiny, TINY))
    assert more == pytest.approx(16 * TINY.parameters / GIB)
    assert settings("+recipe=mint_tiny", "algorithm.adv_estimator=gae").critic
    assert not tiny.critic


def test_parameters_are_counted_from_the_shape() -> None:
    assert QWEN3_4B is not None
    assert QWEN3_4B.parameters == 4_022_468_096
    assert SMOLLM is not None
    assert SMOLLM.parameters == pytest.approx(134_515_008, rel=1e-3)
    assert QWEN3_4B.kv_bytes == 147_456
    assert QWEN3_4B.lora(32) == 66_060_288
    assert shape_of("nobody/nothing") is None


@pytest.mark.parametrize(
    ("tokens", "checkpointing", "held", "seen"),
    [  # one H100, Qwen3-4B in bfloat16: weights, and gradients where they were there at the peak
        (24_000, None, 1, 9.4),
        (6_192, False, 1, 45.6),
    ],
)
def test_activations_are_those_measured_on_a_gpu(
    tokens: int, checkpointing: bool | None, held: int, seen: float
) -> None:
    assert QWEN3_4B is not None
    bytes_held = 2 * QWEN3_4B.parameters * held / GIB
    if checkpointing is None:
        activations = memory.forward_gib(QWEN3_4B, tokens).value
    else:
        activations = total(memory.activation_gib(QWEN3_4B, tokens, checkpointing))
    assert bytes_held + activations == pytest.approx(seen, rel=0.05)


@pytest.mark.parametrize(("tokens", "seen"), [(8_000, 16.6), (24_000, 20.0)])
def test_a_checkpointed_backward_pass_ends_as_measured(tokens: int, seen: float) -> None:
    # Weights, all gradients and the working set of the last layer.
    assert QWEN3_4B is not None
    layer = memory._BACKWARD * memory.layer_bytes(QWEN3_4B) * tokens / GIB
    assert 4 * QWEN3_4B.parameters / GIB + layer == pytest.approx(seen, rel=0.05)


def test_an_update_of_four_billion_parameters() -> None:
    assert QWEN3_4B is not None
    run = settings("+recipe=mint_4b")
    moments = {m.name: m for m in memory.gpu_moments(run, QWEN3_4B, 79.1)}
    held = {item.name: item.value for item in moments["backward pass"].items}
    assert held["weights"] == held["gradients"] == pytest.approx(14.98, abs=0.01)
    assert held["Adam"] == pytest.approx(29.97, abs=0.01)
    assert "Adam's temporary" not in {i.name for i in moments["optimizer step"].items}
    loose = {
        i.name: i.value
        for m in memory.gpu_moments(replace(run, fused_optimizer=False), QWEN3_4B, 79.1)
        for i in m.items
    }
    assert loose["Adam's temporary"] == pytest.approx(14.98, abs=0.01)
    # Offloaded state is not there while replies are generated.
    assert moments["generation"].total == pytest.approx(0.5 * 79.1 + memory.TRAINER_REST_GIB)


def test_memory_is_shared_among_ranks_and_freed_by_lora_and_offload() -> None:
    assert QWEN3_4B is not None
    one = settings("+recipe=mint_4b")

    def most(run: RunSettings) -> float:
        assert QWEN3_4B is not None
        return peak(memory.gpu_moments(run, QWEN3_4B, 139.8)).total

    def backward(run: RunSettings) -> float:
        assert QWEN3_4B is not None
        moments = memory.gpu_moments(run, QWEN3_4B, 79.1)
        return next(m.total for m in moments if m.name == "backward pass")

    assert backward(one) - backward(replace(one, ranks_per_node=8)) == pytest.approx(
        59.93 * 7 / 8, 0.01
    )
    assert backward(replace(one, lora_rank=32)) < backward(one) - 40
    assert backward(replace(one, offload_policy=True)) < backward(one) - 59
    assert backward(replace(one, actor_bytes=2)) < backward(one) - 29
    assert most(replace(one, engine_sleeps=False)) > most(one) + 40


def test_a_cpu_runs_memory_is_as_measured() -> None:
    """Whole machine at the peak, less what was used before: 10.5 GB and about 13 GB."""
    tiny = total(host_items(settings("+recipe=mint_tiny"), TINY))
    assert tiny * GIB / 1e9 == pytest.approx(10.5, rel=0.15)
    assert SMOLLM is not None
    run = replace(settings(*SMOLLM_RUN), bucket_bytes=128 * 2**20)
    assert total(host_items(run, SMOLLM)) * GIB / 1e9 == pytest.approx(13.0, rel=0.15)


TINY_SECONDS = {  # two idle cores, 2026-11-26: medians of the tiny recipe
    "generation": 4.6,
    "old log-probabilities": 1.0,
    "reference": 0.7,
    "update": 3.0,
}
SMOLLM_SECONDS = {  # the same day and machine: 135 M parameters, 32 replies; middle of the range
    "generation": 17.0,
    "old log-probabilities": 9.4,
    "reference": 8.0,
    "update": 32.5,
}


def test_a_measured_run_predicts_one_of_thirty_times_the_size() -> None:
    config = composed("+recipe=mint_tiny", *BEFORE)
    seen = measured.Measured(
        seconds=TINY_SECONDS, step=9.3, reply_tokens=42.4, prompt_tokens=135.0, num_steps=23
    )
    scale = calibrated(config, mint_config(config), seen, Assumptions(cores=2))
    again = planned(["+recipe=mint_tiny", *BEFORE], TINY, 135, 42.4, cores=2, scale=scale)
    assert total(again.step) == pytest.approx(9.4, rel=0.02)
    assert SMOLLM is not None
    other = planned([*SMOLLM_RUN, *BEFORE], SMOLLM, 145, 60, cores=2, scale=scale)
    parts = {item.name: item.value for item in other.step}
    for name, seconds in SMOLLM_SECONDS.items():
        assert parts[name] == pytest.approx(seconds, rel=0.3), name
    assert total(other.step) == pytest.approx(65.0, rel=0.15)


def test_a_processor_without_bfloat16_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps of mint_smol on two cores of a Xeon (AVX-512, no bfloat16), 2026-11-28."""
    assert SMOLLM is not None
    with_it = planned(["+recipe=mint_smol"], SMOLLM, 129, 43.3, cores=2)
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    without = planned(["+recipe=mint_smol"], SMOLLM, 129, 43.3, cores=2)
    parts = {item.name: item.value for item in without.step}
    for name, seconds in {"generation": 19.6, "reference": 4.9, "update": 16.7}.items():
        assert parts[name] == pytest.approx(seconds, rel=0.1), name
    assert total(without.step) > 2 * total(with_it.step)


@pytest.mark.parametrize(
    ("overrides", "tokens", "update", "forward"),
    [(WHOLE_ROWS, 384_000, 36.8, 9.4), ((), 148_800, 15.3, 3.7)],
)
def test_gpu_times_are_those_measured_on_an_h100(
    overrides: tuple[str, ...], tokens: int, update: float, forward: float
) -> None:
    """192 rows of 2,000 tokens, packed and with prompts shared (by a prototype)."""
    assert QWEN3_4B is not None
    gpu = gpu_named("h100_80")
    run = ["+recipe=mint_4b", OLD_PASS, *overrides]
    plan = planned(run, QWEN3_4B, 1400, 600, gpu=gpu, cores=16)
    parts = {item.name: item.value for item in plan.step}
    assert plan.batch.seen == tokens
    assert parts["update"] == pytest.approx(update, rel=0.07)
    assert parts["old log-probabilities"] == pytest.approx(forward, rel=0.07)
    assert 15 < parts["generation"] < 30


def test_batch_arithmetic() -> None:
    run = settings("+recipe=mint_4b")
    sums = batch(run, Lengths(1550, 1543, 1400.0, 7400, 600.0, ""))
    numbers = {item.name: item.value for item in sums.items}
    assert (sums.steps, sums.steps_an_epoch) == (192, 64)
    assert numbers["replies a step"] == 192
    assert numbers["updates a step"] == 1
    assert numbers["epochs"] == 3
    two = replace(run, mini_batch=12, passes=2, steps=10)
    numbers = {i.name: i.value for i in batch(two, Lengths(None, None, 1.0, None, 1.0, "")).items}
    assert numbers["updates a step"] == 4
    assert "epochs" not in numbers


@pytest.mark.parametrize(
    ("rows", "held_out", "most", "said"),
    [
        (1543, None, None, "171 replies each"),  # a tenth of all is held out
        (1543, 176, None, "176 replies each"),
        (1543, 176, 8, "8 replies each"),
        (None, None, 8, "8 replies each"),
        (None, None, None, "one generation each"),
    ],
)
def test_evaluations_ask_the_held_out_prompts(
    rows: int | None, held_out: int | None, most: int | None, said: str
) -> None:
    run = replace(settings("+recipe=mint_4b"), evaluation_prompts=most, steps=9)
    lengths = Lengths(rows, rows, 1400.0, None, 614.0, "", held_out)
    given = Assumptions(gpu=gpu_named("h100_80"))
    (formula,) = [
        i.formula for i in plan_of(run, QWEN3_4B, lengths, given).stages if i.name == "evaluations"
    ]
    assert formula == f"before and after: {said}"


def test_disk_counts_the_checkpoint_being_written() -> None:
    assert QWEN3_4B is not None
    run = settings("+recipe=mint_4b")
    assert checkpoint_bytes(run, QWEN3_4B) / 1e9 == pytest.approx(48.3, abs=0.1)
    items = {item.name: item.value for item in disk_items(run, QWEN3_4B, 192)}
    assert items["checkpoints"] * GIB / 1e9 == pytest.approx(4 * 48.3, abs=0.3)
    short = {item.name: item.value for item in disk_items(run, QWEN3_4B, 40)}
    assert short["checkpoints"] * GIB / 1e9 == pytest.approx(48.3, abs=0.1)


@pytest.mark.parametrize(
    ("overrides", "limits", "expected"),
    [
        (["+hardware=h100_1"], Limits(79.1, 79.1, 128, 250, 16), None),
        (["+hardware=h200_1"], Limits(139.8, 139.8, 128, 250, 16), None),
        (["+hardware=gpus_8"], Limits(79.1, 79.1, 250, 250, 64), None),
        (["+hardware=nodes_2x8"], Limits(79.1, 79.1, 250, 250, 64), None),
        (["+hardware=[h100_1,lora]"], Limits(44.4, 44.4, 128, 250, 16), None),
        (
            ["actor_rollout_ref.actor.optim.override_optimizer_config.fused=false"],
            Limits(79.1),
            "set actor_rollout_ref.actor.optim.override_optimizer_config={fused: true}",
        ),
        ([], Limits(76.0), "set actor_rollout_ref.actor.ppo_max_token_len_per_gpu="),
        ([], Limits(44.4), "use 2 GPUs: trainer.n_gpus_per_node=2"),
        (
            ["actor_rollout_ref.rollout.gpu_memory_utilization=0.1"],
            Limits(79.1),
            "GiB for keys and values, one sequence of 10,240 tokens needs 1.4",
        ),
        ([], Limits(disk=160.0), "set trainer.max_actor_ckpt_to_keep=1"),
        ([], Limits(disk=20.0), "choose another mint.run.dir"),
        (
            ["actor_rollout_ref.ref.fsdp_config.model_dtype=fp32"],
            Limits(host=95.0),
            "set actor_rollout_ref.ref.fsdp_config.model_dtype=bf16",
        ),
        ([], Limits(host=20.0), "use a smaller model"),
        ([], Limits(cores=5), "num_data_storage_units=1"),
        ([], Limits(cores=2), "set ray_kwargs.ray_init.num_cpus=6"),
        (["ray_kwargs.ray_init.address=auto"], Limits(cores=2), None),
    ],
)
def test_what_does_not_fit_is_refused_with_the_nearest_change(
    overrides: list[str], limits: Limits, expected: str | None
) -> None:
    found = problems(settings("+recipe=mint_4b", *overrides), QWEN3_4B, 192, limits)
    lines = [problem.line() for problem in found]
    if expected is None:
        assert not lines
    else:
        assert len(lines) == 1
        assert expected in lines[0]


def test_the_proposed_change_fits() -> None:
    run = settings("+recipe=mint_4b")
    (problem,) = problems(run, QWEN3_4B, 192, Limits(76.0))
    override = problem.remedy.removeprefix("set ")
    assert not problems(settings("+recipe=mint_4b", override), QWEN3_4B, 192, Limits(76.0))


def test_gpus_are_known_by_name_and_by_what_nvidia_smi_says() -> None:
    found = gpu_of_machine("NVIDIA H100 80GB HBM3", 79.6)
    assert found is not None
    assert (found.name, found.gib) == ("h100_80", 79.6)
    assert gpu_of_machine("Matrox", 1.0) is None


def test_tokens_are_counted_with_the_models_own_tokenizer(
    tmp_path: Path, chat_tokenizer: Path
) -> None:
    model = Path(shutil.copytree(chat_tokenizer, tmp_path / "model"))
    (model / "config.json").write_text("{}")
    prompts = [[{"role": "user", "content": "one two"}], [{"role": "user", "content": "one"}]]
    counts, how = count_tokens(prompts, str(model), {})
    assert how == "counted"
    assert counts[0] > 0
    counts, how = count_tokens(prompts, "nobody/nothing", {})
    assert (counts, how) == ([7, 6], "estimated from their characters")


@pytest.fixture
def word_tokenizer(tmp_path: Path, chat_tokenizer: Path) -> Path:
    """As `chat_tokenizer`, with a token a word."""
    tokenizer = AutoTokenizer.from_pretrained(chat_tokenizer)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save_pretrained(tmp_path / "words")
    (tmp_path / "words" / "config.json").write_text("{}")
    return tmp_path / "words"


def test_what_is_counted_and_fits_is_not_filtered_again(
    tmp_path: Path, word_tokenizer: Path
) -> None:
    run = settings("+recipe=mint_tiny", "data.max_prompt_length=30")
    short, long = ([{"role": "user", "content": "well " * n}] for n in (2, 60))
    train, held_out = tmp_path / "train.parquet", tmp_path / "val.parquet"

    def lengths(model: str) -> Lengths:
        return lengths_of(train, held_out, model, run, {})

    assert lengths(str(word_tokenizer)).rows is None
    pq.write_table(pa.table({"prompt": [short] * 3}), train)
    assert not lengths(str(word_tokenizer)).all_fit, "the held-out ones are not there"
    pq.write_table(pa.table({"prompt": [short] * 2}), held_out)
    found = lengths(str(word_tokenizer))
    assert (found.rows, found.kept, found.held_out, found.all_fit) == (3, 3, 2, True)
    assert not lengths("nobody/nothing").all_fit, "estimated"
    pq.write_table(pa.table({"prompt": [short, long]}), held_out)
    found = lengths(str(word_tokenizer))
    assert (found.kept, found.held_out, found.all_fit) == (3, 2, False)


def times(step: float, generation: float, tokens: float) -> dict[str, float]:
    names = ("time/step_s", "time/generate_s", "reply/response_tokens/mean")
    return dict(zip(names, (step, generation, tokens), strict=True))


def test_rates_are_read_from_metrics() -> None:
    rows = [
        {"step": 1, **times(30.0, 20.0, 50.0)},
        {"step": 2, **times(9.0, 5.0, 42.0)},
        {"step": 3, **times(40.0, 25.0, 60.0)},
        {"step": 4, **times(11.0, 7.0, 44.0)},
    ]
    found = measured.read_measured(rows, {0, 2})
    assert found is not None
    assert (found.step, found.seconds["generation"], found.reply_tokens) == (10.0, 6.0, 43.0)
    warm = measured.read_measured(rows, {0})
    assert warm is not None
    assert warm.step == 11.0, "the first step after resuming would count"
    assert measured.read_measured(rows[:1], {0}) is None


def test_the_command_plans_without_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["+recipe=mint_4b", "gpu=h100_80", "price_per_hour=2.5", "+hardware=h100_1"]
    assert command.main(arguments) == 0
    text = capsys.readouterr().out
    for title in ("Batches", "Memory of each GPU", "vLLM's share", "Disk", "Cores", "One step"):
        assert title in text
    assert "GPU-hours" in text
    assert "at 2.5 a GPU-hour" in text
    assert command.main([*arguments, "json=true"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["cost"] == pytest.approx(2.5 * row["gpu_hours"])
    assert row["gpu_memory_peak_gib"] < 79.1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["gpu=h100"], "gpu=h100 is not known; did you mean 'h100_80'?"),
        (["gpu=a100_40"], "not enough GPU memory: the backward pass needs"),
        (["gpu=h100_80", "cores=4"], "not enough cores: verl books 6"),
        (["gpu=h100_80", "disk_gib=100"], "not enough disk: this run fills up to 196 GiB"),
        (["gpu=h100_80", "host_gib=64"], "not enough memory: this run needs about"),
        (["gpu=h100_80", "price_per_hour=much"], "price_per_hour must be a number or null"),
        (["gpu=h100_80", "+hardware=h100"], "there is no hardware 'h100'; did you mean 'h100_1'?"),
        (["gpu=h100_80", "hardware=h100_1"], "lacks a plus: write +hardware=h100_1"),
        (["gpu=h100_80", "-m", "mint.reward.kl=0,1"], "mint.plan plans one run"),
        (["gpu=h100_80", "mint.rewards.kl=1"], "unknown key 'mint.rewards.kl'"),
    ],
)
def test_the_command_refuses_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert command.main(["+recipe=mint_4b", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert expected in lines[0]


def test_a_run_corrects_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = composed("+recipe=mint_tiny", f"mint.run.dir={tmp_path}")
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
    row = {"time/generate_s": 40.0, "time/update_s": 20.0, "time/step_s": 61.0}
    row |= {"reply/response_tokens/mean": 40.0, "prompt/num_tokens/mean": 140.0}
    (tmp_path / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": step, **row}) + "\n" for step in (1, 2, 3))
    )
    (tmp_path / "manifest.json").write_text(
        json.dumps({"start_s": {"ray": 30.0, "rollout": 41.5}, "attempts": [{"from_step": 0}]})
    )
    arguments = ["+recipe=mint_tiny", f"run={tmp_path}", "rows=2000", "json=true"]
    assert command.main(arguments) == 0
    plan = json.loads(capsys.readouterr().out)
    parts = {item["name"]: item["value"] for item in plan["step_s"]}
    stages = {item["name"]: item["value"] for item in plan["run_s"]}
    assert stages["start"] == 71.5
    assert parts["generation"] == pytest.approx(40.0, rel=0.05)
    assert parts["update"] == pytest.approx(20.0, rel=0.1)
    (tmp_path / "metrics.jsonl").write_text("")
    assert command.main(arguments) == 2
    assert "has no two steps of one start with times" in capsys.readouterr().err
