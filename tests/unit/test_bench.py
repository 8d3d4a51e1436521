from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mint.bench import bootstrap, graders, machine, step, table, trl, trl_grpo, work
from mint.bench.__main__ import BenchConfig, as_text
from mint.bench.stats import Spread, spread
from mint.config.schema import mint_config
from mint.data.banks import Banks, Scenario
from mint.rundir.quarantine import turn_request
from mint.shell import cli
from rewards.build import EncoderConfig, JudgeConfig, TaggerConfig
from rewards.errors import ConfigError, DataError
from rewards.formula import RewardWeights, group_rewards
from rewards.types import Signals, Status


def metrics_row(number: int, **changes: float | None) -> dict[str, Any]:
    return {
        "step": number,
        "time/step_s": 10.0,
        "time/generate_s": 4.0,
        "time/old_log_prob_s": 1.0,
        "time/ref_s": 1.5,
        "time/advantage_s": 0.5,
        "time/group_reward_s": 0.2,
        "time/update_s": 2.0,
        "time/push_s": 0.25,
        "time/grade_busy_s": 0.7,
        "reply/num": 64.0,
        "reply/response_tokens/mean": 50.0,
        "reward/raw/mean": 0.6,
        **changes,
    }


def trl_row(number: int, seconds: float = 20.0) -> dict[str, Any]:
    return {
        "step": number,
        "trl": "1.0",
        "seconds": seconds,
        "generation": 12.0,
        "rewards": 2.0,
        "reference": 1.0,
        "update": 5.0,
        "replies": 64,
        "reply_tokens": 50.0,
        "reward": 0.5,
    }


def banks(templates: tuple[str, ...]) -> Banks:
    scenario = Scenario(
        id="a",
        who="someone",
        situation="x",
        event="the move",
        feelings=("sad", "worn"),
        openings=("Hi.",),
        follow_ups=("So.", "And.", "Well.", "Yes."),
    )
    return Banks(sentences={"validation": templates}, scenarios=(scenario,))


def test_spread_is_median_and_range() -> None:
    assert spread([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0, 3)
    with pytest.raises(DataError, match="nothing was measured"):
        spread([])
    assert spread([1.0, 2.0, 4.0]).rate(8) == Spread(4.0, 2.0, 8.0, 3)


def test_parts_of_a_step_add_up_and_the_first_is_left_out() -> None:
    rows = [metrics_row(1, **{"time/step_s": 99.0}), metrics_row(2), metrics_row(3)]
    figures = step.summarise([rows], "mint")
    assert figures.step == Spread(10.0, 10.0, 10.0, 2)
    assert sum(part.median for part in figures.parts.values()) == pytest.approx(10.0)
    assert figures.parts["advantages"].median == pytest.approx(0.3)
    assert figures.parts["group rewards"].median == pytest.approx(0.2)
    assert figures.parts["other"].median == pytest.approx(0.75)
    assert figures.replies_per_s.median == pytest.approx(6.4)
    assert figures.tokens_per_s.median == pytest.approx(320.0)


def test_grading_overlaps_generation_and_is_not_added() -> None:
    figures = step.summarise([[metrics_row(1), metrics_row(2)]], "mint")
    assert [part.median for part in figures.overlapping.values()] == [0.7]
    assert figures.step.median == 10.0


def test_saving_a_checkpoint_is_no_part_of_a_step() -> None:
    last = metrics_row(3, **{"time/step_s": 13.0, "time/checkpoint_s": 3.0})
    figures = step.summarise([[metrics_row(1), metrics_row(2), last]], "mint")
    assert figures.step == Spread(10.0, 10.0, 10.0, 2)


@pytest.mark.parametrize("key", ["time/step_s", "reply/response_tokens/mean"])
def test_a_missing_number_is_an_error_not_zero(key: str) -> None:
    with pytest.raises(DataError, match=f"step 2 of the run has no {key}"):
        step.summarise([[metrics_row(1), metrics_row(2, **{key: None})]], "mint")


def test_one_step_is_no_measurement() -> None:
    with pytest.raises(DataError, match="2 steps or more"):
        step.summarise([[metrics_row(1)]], "mint")
    with pytest.raises(DataError, match="2 steps or more"):
        trl.summarise([[trl_row(1)]], "float32")


def test_ratio_compares_steps_and_tokens() -> None:
    mint = step.summarise([[metrics_row(1), metrics_row(2)]], "mint")
    other = trl.summarise([[trl_row(1, 90.0), trl_row(2), trl_row(3)]], "float32")
    assert other.step.median == 20.0
    line = table.ratio_line(mint, other)
    assert line.startswith("TRL step / mint step = 2.00 (per generated token 2.00;")
    text = "\n".join(table.step_table([mint, other]))
    assert "TRL 1.0 (float32)" in text
    assert re.search(r"weight push +0\.250 \(0\.250-0\.250\) +-$", text, re.MULTILINE)
    assert text.index("other") < text.index("whole step")


def test_report_is_json_with_named_fields() -> None:
    figures = step.summarise([[metrics_row(1), metrics_row(2)]], "mint")
    report = json.loads(as_text({"step": figures, "trl": [figures]}))
    assert report["step"]["parts"]["generation"]["median"] == 4.0
    assert report["trl"][0]["system"] == "mint"


@pytest.mark.slow
def test_header_names_machine_and_versions() -> None:
    facts = machine.facts()
    report = {"date": "2026-01-01", "command": "x", "machine": facts, "load_at_start": 0.25}
    lines = table.header(report)
    assert lines[2].endswith("; load 0.2 at the start")
    assert f"{facts['cores']} cores" in lines[2]
    assert f"torch {facts['packages']['torch']}" in lines[3]
    assert set(facts["cpu_flags"]) <= set(machine.CPU_FLAGS)


def test_sentences_are_filled_and_never_repeated() -> None:
    texts = list(graders.sentence_source(banks(("You feel {feeling} about {event}.", "Hm.")), 1))
    assert sorted(texts) == ["Hm.", "You feel sad about the move.", "You feel worn about the move."]


def test_too_few_sentences_are_an_error() -> None:
    with pytest.raises(DataError, match="too small"):
        graders.take(iter(["a", "b"]), 3)


def test_requests_have_the_shape_of_a_step() -> None:
    texts = (f"Sentence {number}." for number in range(1000))
    shape = graders.Shape("tiny", 2, 3, 4)
    requests = graders.make_requests(shape, texts)
    assert len(requests) == shape.replies == 6
    assert shape.sentences == 24
    assert requests[0].history == requests[2].history != requests[3].history
    assert len({request.raw_reply for request in requests}) == 6


def test_demo_and_paper_sizes() -> None:
    assert (graders.DEMO.replies, graders.PAPER.replies) == (64, 192)
    assert 1600 <= graders.PAPER.sentences <= 1800


def ok(quality: float) -> Signals:
    return Signals(
        status=Status.OK,
        quality=quality,
        kl=0.0,
        entropy=0.0,
        bigram=0.0,
        trigram=0.0,
        num_tokens=9,
    )


def test_neighbours_are_one_group() -> None:
    signals = [ok(0.1), ok(0.9), ok(0.5), ok(0.5)]
    weights = RewardWeights()
    scores = trl_grpo.grouped_scores(signals, 2, weights)
    assert scores[:2] == list(group_rewards(signals[:2], weights).scores)
    assert scores[2] == scores[3]
    with pytest.raises(DataError, match="no whole groups of 3"):
        trl_grpo.grouped_scores(signals, 3, weights)


def test_requests_carry_what_the_row_says() -> None:
    row = {
        "history": '[{"role": "seeker", "content": "Hi."}]',
        "previous_counts": [1] + [0] * 9,
        "history_tactics": '[[["information"], []]]',
    }
    request = turn_request(
        row, "<think>no</think> I hear you.", lambda text: len(text.split()), truncated=True
    )
    assert request.history[-1].content == "Hi."
    assert request.previous_counts == (1.0, *[0.0] * 9)
    assert request.history_tactics == ((("information",), ()),)
    assert (request.num_tokens, request.truncated) == (3, True)


def write_rows(path: Path, contents: list[str]) -> None:
    info = {"history": "[]", "previous_counts": [0] * 10, "history_tactics": "[]"}
    rows = [{"prompt": [{"role": "user", "content": c}], "extra_info": info} for c in contents]
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_prompts_are_shuffled_filtered_and_enough(tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    write_rows(file, ["a", "bb", "ccc"])
    rows = trl_grpo.read_prompts(file, 5, 0, lambda prompt: len(prompt[0]["content"]) < 3)
    assert len(rows) == 5
    assert {row["prompt"][0]["content"] for row in rows} == {"a", "bb"}
    assert rows == trl_grpo.read_prompts(file, 5, 0, lambda prompt: len(prompt[0]["content"]) < 3)
    with pytest.raises(DataError, match="no prompt is short enough"):
        trl_grpo.read_prompts(file, 5, 0, lambda prompt: False)


def test_clock_adds_up_until_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 2.0, 5.0, 6.0])
    monkeypatch.setattr(trl_grpo.time, "perf_counter", lambda: next(ticks))
    clock = trl_grpo.Clock()
    work = clock.timed("work", lambda x: x + 1)
    assert (work(1), work(2)) == (2, 3)
    assert clock.take() == {"work": 3.0}
    assert clock.take() == {}


def test_watching_a_trainer_times_it_and_counts_tokens() -> None:
    class Trainer:
        def _generate(self, prompts: list[str]) -> tuple[list[str], list[list[int]]]:
            return prompts, [[1, 2, 3], [4]]

        def _calculate_rewards(self) -> float:
            return 0.5

        def _generate_and_score_completions(self) -> float:
            self._generate(["a", "b"])
            return self._calculate_rewards()

    trainer, clock = Trainer(), trl_grpo.Clock()
    lengths = trl_grpo._watch(trainer, clock)
    assert trainer._generate_and_score_completions() == 0.5
    assert lengths == [3, 1]
    parts = trl_grpo._parts(9.0, {"rollout": 6.0, "generation": 3.0, "rewards": 1.0})
    assert parts["seconds"] == sum(parts[name] for name in trl.PARTS) == 9.0
    assert parts["reference"] == 2.0
    assert set(clock.take()) == {"rollout", "generation", "rewards"}


@pytest.mark.slow
def test_trl_gets_the_work_of_the_demo(tmp_path: Path) -> None:
    config = step.compose_run([], tmp_path / "run", 5)
    spec = json.loads(json.dumps(trl.make_spec(config, mint_config(config), 5)))
    assert (spec["prompts"], spec["replies_per_prompt"], spec["steps"]) == (8, 8, 5)
    assert spec["max_reply_tokens"] == config.data.max_response_length
    assert (spec["learning_rate"], spec["kl"], spec["temperature"]) == (4e-4, 0.01, 1.0)
    assert EncoderConfig(**spec["encoder"]) == mint_config(config).encoder
    assert TaggerConfig(**spec["tagger"]) == TaggerConfig()
    assert JudgeConfig(**spec["judge"]) == JudgeConfig()
    assert RewardWeights(**spec["reward"]) == mint_config(config).reward


@pytest.mark.slow
def test_the_last_step_saves_the_model_that_a_run_exports(tmp_path: Path) -> None:
    config = step.compose_run(["data.train_batch_size=4"], tmp_path / "run", 3)
    assert config.trainer.total_training_steps == config.trainer.save_freq == 3
    assert config.mint.run.dir == str(tmp_path / "run")
    assert not config.mint.run.evaluate
    assert config.data.train_batch_size == 4


def test_bad_settings_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main(settings: BenchConfig) -> int:
        raise AssertionError("must not start")

    assert cli.run(BenchConfig, main, ["part=tpu"]) == 2
    assert cli.run(BenchConfig, main, ["steps=1"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert (
        errors[0] == "error: part must be one of all, step, graders, bootstrap, trl, gpu, got 'tpu'"
    )
    assert errors[1].startswith("error: steps must be >= 2")


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []
    monkeypatch.setattr(trl, "_install", commands.append)
    return commands


def test_environment_is_made_once(tmp_path: Path, installer: list[list[str]]) -> None:
    folder = tmp_path / "env"
    assert trl.ensure_environment(folder) == folder / "bin" / "python"
    assert len(installer) == 2
    script, requirements = installer[1][1:]
    assert (Path(script).name, Path(requirements).name) == ("install.py", "trl.txt")
    assert Path(script).is_file()
    trl.ensure_environment(folder)
    assert len(installer) == 2


def test_changed_requirements_make_it_anew(
    tmp_path: Path, installer: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "env"
    trl.ensure_environment(folder)
    (folder / "pyvenv.cfg").write_text("")
    changed = tmp_path / "trl.txt"
    changed.write_text("trl==2\n")
    monkeypatch.setattr(trl, "REQUIREMENTS", changed)
    trl.ensure_environment(folder)
    assert len(installer) == 4
    stamp = (folder / ".requirements.sha256").read_text().strip()
    assert stamp == hashlib.sha256(b"trl==2\n").hexdigest()


def test_other_folders_are_left_alone(tmp_path: Path, installer: list[list[str]]) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(ConfigError, match="in the way"):
        trl.ensure_environment(tmp_path)
    assert installer == []


@pytest.mark.slow
def test_a_failed_installation_says_why(tmp_path: Path) -> None:
    with pytest.raises(trl.TrlError, match="no such option"):
        trl._install(["sh", "-c", "echo 'no such option' >&2; exit 1"])


def fake_python(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.slow
def test_steps_of_the_other_process_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "\n".join(json.dumps(trl_row(number, 10.0 * number)) for number in (1, 2, 3))
    (tmp_path / "rows").write_text(lines + "\n")
    python = fake_python(tmp_path / "python", f"cat {tmp_path / 'rows'}")
    figures = trl.figures([trl.run({"steps": 3}, python, tmp_path)])
    assert [f.step.median for f in figures] == [25.0, 25.0]
    assert "step   3/3  30.0 s  reward 0.500  tokens 50" in capsys.readouterr().out
    assert json.loads((tmp_path / "trl-float32.json").read_text())["precision"] == "float32"


@pytest.mark.slow
def test_a_failed_run_is_one_line_with_its_log(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "python", "echo 'MemoryError: full' >&2; exit 3")
    with pytest.raises(trl.TrlError, match=r"status 3: MemoryError: full \(log: .*bfloat16.log\)"):
        trl.run({"steps": 3}, python, tmp_path)


def test_requirements_are_pinned_like_the_cpu_set(root: Path) -> None:
    def pins(name: str) -> dict[str, str]:
        lines = (root / "requirements" / name).read_text(encoding="utf-8").splitlines()
        wanted = [line.split("==") for line in lines if line and not line.startswith("#")]
        return {package.lower(): version for package, version in wanted}

    ours, cpu = pins("trl.txt"), pins("cpu.txt")
    assert set(ours) - set(cpu) == {"trl"}
    assert all(ours[name] == cpu[name] for name in ours if name != "trl")
    assert "verl" not in ours


def test_table_of_the_graders() -> None:
    one = Spread(1.0, 0.5, 2.0, 5)
    shape = graders.ShapeFigures(graders.PAPER, one, one, one)
    text = "\n".join(table.grader_table(graders.GraderFigures(one, one, one, [shape], 2)))
    assert "paper step: 192 x 9" in text
    assert "1.000 (0.500-2.000)" in text


@pytest.mark.parametrize(("load", "says"), [(0.1, ""), (5.0, "busy (load 5.0 on 2 cores)")])
def test_a_busy_machine_is_noted(monkeypatch: pytest.MonkeyPatch, load: float, says: str) -> None:

    monkeypatch.setattr(machine, "load", lambda: load)
    assert says in machine.busy_note(2)
    assert bool(machine.busy_note(2)) == bool(says)


def test_loop_and_matrix_products_agree_on_made_up_systems() -> None:
    panel = bootstrap._made_up()
    pair = panel.systems[1:]
    drawn = bootstrap.resample_counts(50, 8, seed=5)
    plain = bootstrap.loop([bootstrap._plain_turns(panel, one) for one in pair], drawn)
    quick = bootstrap.matrix(panel, pair, drawn)
    assert set(plain) == set(quick) == set(bootstrap.HEADLINE)
    for name, values in plain.items():
        assert values == pytest.approx(quick[name]), name
    quick["lift"][3] += 0.01
    with pytest.raises(DataError, match="lift: the loop gives"):
        bootstrap._check_equal(plain, quick)


@pytest.mark.slow
def test_bootstrap_is_much_faster_than_the_loop() -> None:
    figures = bootstrap.measure("")
    assert figures.ratio > 30
    lines = table.bootstrap_table(figures)
    assert "10,000 resamples" in lines[0]
    assert lines[-1] == f"loop / matrix products = {figures.ratio:.0f}"


def test_bootstrap_needs_systems(tmp_path: Path) -> None:
    folder = tmp_path / "evaluation/outputs/gold"
    folder.mkdir(parents=True)
    (folder / "conversations_tagged.json").write_text("[]")
    with pytest.raises(ConfigError, match="needs the folder gold and two other systems"):
        bootstrap.measure(str(tmp_path))


@pytest.mark.slow
def test_the_engine_is_measured_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole of part=gpu with few tokens: shared prompts compute less, with the same results."""
    from mint.bench import gpu
    from mint.policy.settings import TinySettings

    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "LENGTHS", {"cuda": (1400, 600), "cpu": (40, 8)})
    monkeypatch.setattr(gpu, "TinySettings", lambda: TinySettings(hidden_size=64, vocab_size=512))
    found = gpu.measure("Qwen/Qwen3-4B")
    assert "says nothing of GPUs" in capsys.readouterr().out
    assert (found.device, found.shape) == ("processor", "mint_tiny")
    assert found.log_prob_difference < 0.05
    tokens = {each.name: (each.replies, each.tokens, each.plain_tokens) for each in found.passes}
    assert tokens["12 rows, replies scored"] == (12, 576, 576)
    assert tokens["shared, 4 groups of 8"] == (32, 4 * (40 + 8 * 7), 32 * 48)
    assert all(each.seconds > 0 and each.mfu is None for each in found.passes)
    lines = gpu.table(found)
    assert len(lines) == 3 + len(gpu.WORK)
    assert lines[6].startswith("shared, 4 groups of 8")


@pytest.mark.slow
def test_the_shape_of_a_measurement(tmp_path: Path) -> None:
    from mint.bench import gpu

    name, sizes, config = gpu.described("Qwen/Qwen3-4B")
    assert (name, sizes.layers, config.hidden_size) == ("Qwen/Qwen3-4B", 36, 2560)
    content = {**config.to_dict(), "num_hidden_layers": 3, "layer_types": None}
    (tmp_path / "config.json").write_text(json.dumps(content))
    for given in (tmp_path, tmp_path / "config.json"):
        _, sizes, config = gpu.described(str(given))
        assert sizes.layers == config.num_hidden_layers == 3
    with pytest.raises(ConfigError, match="shape=nothing is no model folder"):
        gpu.described("nothing")


def test_runs_in_turn_count_together_without_their_first_steps() -> None:
    rows = [[metrics_row(1), metrics_row(2)], [metrics_row(1), metrics_row(2, **{"time/ref_s": 3})]]
    figures = step.summarise(rows, "mint")
    assert figures.step.repeats == 2
    assert (figures.parts["reference"].low, figures.parts["reference"].high) == (1.5, 3.0)
    with pytest.raises(DataError, match="2 steps or more"):
        step.summarise([rows[0], [metrics_row(1)]], "mint")
    theirs = [
        {"bfloat16": [trl_row(1), trl_row(2, 30.0)], "float32": [trl_row(1), trl_row(2)]}
        for _ in range(2)
    ]
    fastest, other = trl.figures(theirs)
    assert (fastest.system, fastest.step.median) == ("TRL 1.0 (float32)", 20.0)
    assert (other.step.median, other.step.repeats) == (30.0, 2)


@pytest.mark.slow
def test_work_counts_a_groups_prompt_once(tmp_path: Path) -> None:
    shape = {
        "model_type": "qwen3",
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "intermediate_size": 128,
        "vocab_size": 500,
        "tie_word_embeddings": True,
    }
    (tmp_path / "config.json").write_text(json.dumps(shape))
    config = step.compose_run([f"actor_rollout_ref.model.path={tmp_path}"], tmp_path / "run", 3)
    rows = [metrics_row(2, **{"prompt/num_tokens/mean": 100.0})]
    found = work.work_of(rows, config, 100.0)
    assert found is not None
    assert (found.tokens, found.distinct_tokens) == (64 * 150, 8 * 100 + 64 * 50)
    # Five passes of 2 FLOP a parameter and token, the vocabulary at reply tokens; then attention.
    body = 2 * (64 * 128 + 64 * 64 + 3 * 64 * 128)
    products = 5 * 2 * (body * 4000 + 500 * 64 * 3200) / 1e9
    assert products < found.gflop < 1.1 * products
    assert found.floor_s == pytest.approx(found.gflop / 100)
    recompute = ["algorithm.rollout_correction.bypass_mode=false"]
    config = step.compose_run(
        [f"actor_rollout_ref.model.path={tmp_path}", *recompute], tmp_path / "run", 3
    )
    again = work.work_of(rows, config, 100.0)
    assert again is not None
    assert again.gflop == pytest.approx(found.gflop * 6 / 5)


@pytest.mark.slow
def test_work_and_processor_time_are_told() -> None:
    figures = step.summarise([[metrics_row(1), metrics_row(2)]], "mint")
    ours = [
        step.MeasuredRun([], {"vLLM": 2.0, "trainer": 4.0}, 40.0),
        step.MeasuredRun([], {"vLLM": 1.0}, None),
    ]
    seconds = step.processor_seconds(ours)
    assert seconds == {"trainer": 2.0, "vLLM": 1.5}
    some = work.Work(tokens=11159, distinct_tokens=3794, gflop=120.0, gflop_per_s=400.0)
    lines = table.work_lines(figures, seconds, some, [40.0, None])
    assert lines[1] == "processor seconds a step of mint: trainer 2.00, vLLM 1.50; together 3.50"
    cores = machine.facts()["cores"]
    assert lines[2].startswith(f"  {100 * (1 - 3.5 / (10 * cores)):.0f} % of {cores} cores")
    assert lines[3].startswith("tokens a step: 3,794 distinct of 11,159; their matrix products are")
    assert "0.30 s at 400 GFLOP/s" in lines[3]
    assert lines[4] == "seconds from the start to the end of the first step: 40"
    assert table.work_lines(figures, {}, None, [None]) == []


@pytest.mark.slow
def test_matrices_are_multiplied_at_some_rate() -> None:
    assert 1 < work.matrix_rate() < 1e6
