"""TRL doing the demo's training steps, in an environment of its own (verl breaks beside trl)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mint.bench.stats import StepFigures, rates, spread
from mint.config.schema import MintConfig
from mint.shell.console import say
from mint.shell.files import write_text_atomic
from rewards.build import JudgeConfig, TaggerConfig
from rewards.errors import ConfigError, DataError, MintError

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements" / "trl.txt"
PRECISIONS = ("bfloat16", "float32")
"""Number formats tried; the faster one counts."""
PARTS = ("generation", "rewards", "reference", "update")
_STAMP = ".requirements.sha256"


class TrlError(MintError, RuntimeError):
    """TRL could not be installed or its run failed."""


def ensure_environment(folder: Path) -> Path:
    """The interpreter of an environment that holds exactly requirements/trl.txt.

    Made when it is not there or was made from other requirements (about 1.5 minutes). Raises
    ConfigError without a checkout, TrlError when the installation fails.
    """
    if not REQUIREMENTS.is_file():
        raise ConfigError(f"part=trl needs a checkout of mint: there is no {REQUIREMENTS}")
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp, python = folder / _STAMP, folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == wanted:
        return python
    if folder.exists() and not (folder / "pyvenv.cfg").is_file():
        raise ConfigError(f"{folder} is in the way: it is not a Python environment")
    say(f"installing TRL in {folder} (a minute or two)")
    _install([sys.executable, "-m", "venv", "--clear", str(folder)])
    _install([str(python), str(ROOT / "scripts" / "install.py"), str(REQUIREMENTS)])
    write_text_atomic(stamp, wanted + "\n")
    return python


def _install(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TrlError(f"`{' '.join(command)}` failed: {_last_line(done.stderr or done.stdout)}")


def make_spec(config: DictConfig, mint: MintConfig, steps: int) -> dict[str, Any]:
    """The work of a training run in plain values, for `mint.bench.trl_grpo`."""
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    return {
        "policy": str(Path(str(config.actor_rollout_ref.model.path)).resolve()),
        "train_file": str(Path(str(config.data.train_files)).resolve()),
        "steps": steps,
        "prompts": int(config.data.train_batch_size),
        "replies_per_prompt": int(rollout.n),
        "max_prompt_tokens": int(config.data.max_prompt_length),
        "max_reply_tokens": int(config.data.max_response_length),
        "chat_template_kwargs": OmegaConf.to_container(config.data.apply_chat_template_kwargs),
        "temperature": float(rollout.temperature),
        "learning_rate": float(actor.optim.lr),
        "weight_decay": float(actor.optim.weight_decay),
        "max_grad_norm": float(actor.optim.clip_grad),
        "clip": float(actor.clip_ratio),
        "kl": float(actor.kl_loss_coef),
        "seed": mint.run.seed,
        "encoder": asdict(mint.encoder),
        "tagger": _in_process(mint.tagger),
        "judge": _in_process(mint.judge),
        "reward": asdict(mint.reward),
    }


def _in_process(grader: TaggerConfig | JudgeConfig) -> dict[str, Any]:
    """The settings without those of a server: TRL's process grades by itself."""
    plain = asdict(grader)
    del plain["served"]
    return plain


def measure(spec: Mapping[str, Any], python: Path, work: Path) -> list[StepFigures]:
    """TRL's steps in each number format, the fastest first. Raises TrlError when a run fails."""
    work.mkdir(parents=True, exist_ok=True)
    figures = []
    for precision in PRECISIONS:
        rows = _run({**spec, "precision": precision}, python, work)
        figures.append(summarise(rows, precision))
    return sorted(figures, key=lambda f: f.step.median)


def summarise(rows: Sequence[Mapping[str, Any]], precision: str) -> StepFigures:
    """Figures of the steps reported by `mint.bench.trl_grpo`, the first left out."""
    if len(rows) < 2:
        raise DataError(f"a measurement needs 2 steps or more, TRL reported {len(rows)}")
    measured = rows[1:]
    steps = [float(row["seconds"]) for row in measured]
    both = [rates(r["replies"], r["reply_tokens"], r["seconds"]) for r in measured]
    return StepFigures(
        system=f"TRL {measured[0]['trl']} ({precision})",
        parts={name: spread([float(row[name]) for row in measured]) for name in PARTS},
        overlapping={},
        step=spread(steps),
        replies_per_s=spread([rate[0] for rate in both]),
        tokens_per_s=spread([rate[1] for rate in both]),
        reply_tokens=spread([float(row["reply_tokens"]) for row in measured]),
        reward=spread([float(row["reward"]) for row in measured]),
    )


def _run(spec: Mapping[str, Any], python: Path, work: Path) -> list[dict[str, Any]]:
    name = f"trl-{spec['precision']}"
    spec_path, log_path = work / f"{name}.json", work / f"{name}.log"
    output = {"output_dir": str(work / name)}
    write_text_atomic(spec_path, json.dumps({**spec, **output}, indent=2) + "\n")
    say(f"TRL, {spec['precision']}: {spec['steps']} steps (log: {log_path})")
    rows = []
    with (
        log_path.open("wb") as log,
        subprocess.Popen(
            [str(python), "-m", "mint.bench.trl_grpo", str(spec_path)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=work,
            env=_environment(),
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                rows.append(json.loads(line))
                row = rows[-1]
                say(
                    f"step {row['step']:>3}/{spec['steps']}  {row['seconds']:.1f} s  "
                    f"reward {row['reward']:.3f}  tokens {row['reply_tokens']:.0f}"
                )
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        cause = _last_line(log_path.read_text(encoding="utf-8", errors="replace"))
        raise TrlError(f"TRL ended with status {process.returncode}: {cause} (log: {log_path})")
    shutil.rmtree(work / name, ignore_errors=True)
    return rows


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
    }


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"
