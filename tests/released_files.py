"""Makes a small folder in the form of the official repository's released files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS

SYSTEMS = ("gold", "baseline1_vanilla_Qwen3-1.7B", "mine_new-idea_Llama-8B")
TURNS = (3, 2, 4, 3, 2, 3)
_SENTENCES = (
    "That sounds hard.",
    "I am so sorry to hear that.",
    "What happened next?",
    "You could rest a little.",
    "You're not alone in this.",
    "It took courage to say it.",
)


def make_release(path: Path, systems: tuple[str, ...] = SYSTEMS, seed: int = 0) -> Path:
    """Systems with replies and ratings of the same turns, experts and training conversations."""
    for number, name in enumerate(systems):
        rng = np.random.default_rng(seed + number)
        _write_system(path, name, rng)
    for expert in (1, 2, 3):
        _write_expert(path, expert, np.random.default_rng(100 + expert))
    training = path / "data/training/conversations_322.json"
    training.parent.mkdir(parents=True)
    messages = [
        ("seeker", "Hi."),
        ("supporter", "Oh no."),
        ("seeker", "Yes."),
        ("supporter", "Oh no. Why?"),
    ]
    conversation = [{"role": role, "content": content} for role, content in messages]
    training.write_text(json.dumps([{"model": "gpt-4", "conversation": conversation}]))
    return path


def tagged_file(path: Path, system: str = SYSTEMS[1]) -> Path:
    """A system's file of replies."""
    return path / "evaluation/outputs" / system / "conversations_tagged.json"


def ratings_file(path: Path, system: str = SYSTEMS[1]) -> Path:
    """A system's file of ratings."""
    return path / "evaluation/eval_outputs" / system / "judge_ratings.csv"


def change_entries(path: Path, change: Callable[[list[dict[str, Any]]], Any]) -> Path:
    """Change the list of replies of a system in place; returns the file."""
    file = tagged_file(path)
    entries = json.loads(file.read_text())
    change(entries)
    file.write_text(json.dumps(entries))
    return file


def change_lines(file: Path, change: Callable[[list[str]], Any]) -> Path:
    """Change the lines of a file in place; returns the file."""
    lines = file.read_text().splitlines()
    change(lines)
    file.write_text("\n".join(lines) + "\n")
    return file


def _write_system(path: Path, name: str, rng: np.random.Generator) -> None:
    entries, rows = [], []
    for c, turns in enumerate(TURNS):
        history = []
        for turn in range(turns):
            history.append({"role": "user", "content": f"Line {turn} of person {c}."})
            picked = rng.choice(len(_SENTENCES), size=rng.integers(1, 5))
            tactics = [
                sorted(set(rng.choice(TACTIC_NAMES, size=rng.integers(0, 3)))) for _ in picked
            ]
            entries.append(
                {
                    "conversation_id": f"c{c}",
                    "conversation_history": list(history),
                    "model_response": " ".join(_SENTENCES[i] for i in picked),
                    "sentence_tactics": [[str(t) for t in names] for names in tactics],
                }
            )
            rows.append([f"c{c}", len(history), *rng.integers(1, 6, len(DIMENSIONS))])
            history.append({"role": "assistant", "content": f"Earlier reply {turn}."})
    tagged_file(path, name).parent.mkdir(parents=True)
    tagged_file(path, name).write_text(json.dumps(entries))
    _write_csv(ratings_file(path, name), ["conversation_id", "turn_index", *DIMENSIONS], rows)


def _write_expert(path: Path, expert: int, rng: np.random.Generator) -> None:
    rows = [[f"c{c}", *rng.integers(1, 6, len(DIMENSIONS))] for c in range(len(TURNS))]
    file = path / f"data/lend_an_ear_eval/expert_ratings/expert{expert}_ratings.csv"
    _write_csv(file, ["conversation_id", *DIMENSIONS], rows)


def _write_csv(file: Path, head: list[str], rows: list[list[Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([head, *rows])
