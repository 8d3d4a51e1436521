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

from mint.bench.stats import Step, StepFigures, step_figures
from mint.config.schema import MintConfig
from mint.shell.console import say
from mint.shell.files import write_json, write_text_atomic
from rewards.build import JudgeConfig, TaggerConfig
from rewards.errors import ConfigError, MintError

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


Rows = list[dict[str, Any]]


def run(spec: Mapping[str, Any], python: Path, work: Path) -> dict[str, Rows]:
    """Number format -> TRL's steps. Raises TrlError when a run fails."""
    work.mkdir(parents=True, exist_ok=True)
    return {p: _run({**spec, "precision": p}, python, work) for p in PRECISIONS}


def figures(runs: Sequence[Mapping[str, Rows]]) -> list[StepFigures]:
    """One or more runs of the same work as a column for each number format, the fastest first."""
    columns = [summarise([run[p] for run in runs], p) for p in PRECISIONS]
    return sorted(columns, key=lambda column: column.step.median)


def summarise(runs: Sequence[Rows], precision: str) -> StepFigures:
    """Figures of the steps reported by `mint.bench.trl_grpo`. DataError for fewer than two."""
    version = runs[0][-1]["trl"] if runs[0] else ""
    return step_figures(f"TRL {version} ({precision})", runs, _step)


def _step(row: Mapping[str, Any]) -> Step:
    return Step(
        seconds=float(row["seconds"]),
        parts={name: float(row[name]) for name in PARTS},
        replies=float(row["replies"]),
        reply_tokens=float(row["reply_tokens"]),
        reward=float(row["reward"]),
    )


def _run(spec: Mapping[str, Any], python: Path, work: Path) -> list[dict[str, Any]]:
    name = f"trl-{spec['precision']}"
    spec_path, log_path = work / f"{name}.json", work / f"{name}.log"
    write_json(spec_path, {**spec, "output_dir": str(work / name)})
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
                row = json.loads(line)
                rows.append(row)
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
