"""The logic of `make gpu-check`, which itself needs a GPU."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

GPU = Path(__file__).resolve().parents[1] / "gpu"


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    return load("figures")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"gpu_check_{name}", GPU / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(figures: ModuleType, count: int, **changes: Any) -> list[dict[str, Any]]:
    good = {**dict.fromkeys(figures.REQUIRED, 1.0), "val/score": 0.1}
    return [{**good, "step": step, **changes} for step in range(1, count + 1)]


def test_a_good_run_has_no_problem(figures: ModuleType) -> None:
    assert figures.problems(rows(figures, 3), 3, 40.0, 41.0) == []
    assert figures.problems(rows(figures, 2), 2, None, None) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"policy/grad_norm": math.nan}, "no finite policy/grad_norm"),
        ({"policy/grad_norm": 0.0}, "gradient norm is 0"),
        ({"memory/trainer_gb": None}, "no finite memory/trainer_gb"),
        ({"policy/log_prob_pearson": 0.99}, "Pearson 0.9900"),
    ],
)
def test_each_figure_is_looked_at(figures: ModuleType, changes: dict[str, Any], said: str) -> None:
    found = figures.problems(rows(figures, 2, **changes), 2, None, None)
    assert any(said in problem for problem in found), found


def test_steps_validation_and_memory_are_looked_at(figures: ModuleType) -> None:
    made = rows(figures, 2)
    assert "not 1 to 3" in figures.problems(made, 3, None, None)[0]
    assert "mint.plan says 41.0" in figures.problems(made, 2, 42.0, 41.0)[0]
    del made[1]["val/score"]
    assert figures.problems(made, 2, None, None) == ["step 2 was not validated"]
    assert figures.problems([], 2, None, None)


def test_mfu_counts_the_update_alone(figures: ModuleType) -> None:
    row = {"throughput/tokens_per_s": 10_000.0, "time/step_s": 8.0, "time/update_s": 4.0}
    # 80,000 tokens x 6 x 4e9 operations in 4 s, of 989e12 a second.
    assert figures.update_mfu(row, 4_000_000_000, "NVIDIA H100 80GB") == pytest.approx(0.4853, 1e-3)
    assert figures.update_mfu(row, 4_000_000_000, "a CPU") is None


def test_the_report_says_what_is_not_known(figures: ModuleType) -> None:
    facts = {"shape": "4b", "parameters": 4_000_000_000, "peak_gib": 61.25, "planned_gib": 70.0}
    lines = figures.report(rows(figures, 2), gpu="a GPU", **facts)
    assert "MFU of the update unknown for this device" in lines
    assert lines[-1] == "peak memory: trainer 1.00 GB, GPU 61.2 GiB, planned 70.0 GiB"


def test_the_warm_step_is_reported_and_adds_up(figures: ModuleType) -> None:
    made = rows(figures, 3, **{"time/step_s": 10.0})
    made[2]["time/step_s"] = 60.0  # the first step after resuming
    facts = {"shape": "tiny", "parameters": 918_400, "peak_gib": None, "planned_gib": None}
    lines = figures.report(made, gpu="a CPU", **facts)
    assert lines[0] == "tiny (0.9 M parameters) on a CPU"
    assert lines[1].startswith("step 2: 10.00 s = generate 1.00")
    assert lines[1].endswith("push 1.00  rest 4.00")


@pytest.mark.slow
def test_without_a_gpu_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    check = load("check")
    monkeypatch.setattr(check, "device_name", lambda device: None)
    assert check.main([]) == 0
    assert capsys.readouterr().out.startswith("skipped: torch sees no CUDA device")


@pytest.mark.slow
def test_the_random_policy_has_a_text_for_every_token(tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    policy = load("random_policy")
    parameters = policy.build_policy(tmp_path, "tiny", "cpu")
    assert 500_000 < parameters < 5_000_000
    policy.fill_vocabulary(tmp_path / "tokenizer.json", 6_000)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == 6_000
    assert AutoConfig.from_pretrained(tmp_path).vocab_size == 4_096
    assert tokenizer.decode([5_999]).strip() == "word5999"
    # No text is encoded with the made-up ones, not even their own.
    assert max(tokenizer.encode("not word5999 but words")) < 4_096
