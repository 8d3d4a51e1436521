"""Labelled demo conversations from the authored banks: `python -m mint.synthetic output=FILE`.

The tactics of a supporter turn are drawn first and its sentences are taken from those tactics'
banks, so the labels are exact by construction. Each conversation has a supporter with a habit:
most of them mostly repeat the tactics of their previous turn, as language models do, and some do
not. A policy warm-started on this text repeats itself, and knows the alternatives.

The text serves the demo and the tests. It is no evidence of the quality of a model.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mint.config.prompts import Persona
from mint.data.banks import Banks, Scenario, fill, load_banks, slots_of
from mint.data.conversation import Conversation, SentenceTactics, Turn
from mint.data.prompts import PromptConfig
from mint.shell.files import check_output
from mint.shell.paths import data_dir
from rewards.errors import ConfigError
from rewards.tactics import TACTIC_NAMES
from rewards.types import Message

SOURCE, MODEL = "synthetic", "sentence-banks"

_HELD_OUT = 0.2
"""Share of the scenarios that only validation conversations use."""

DEMO_PROMPTS = PromptConfig(compact=True, max_history_turns=2)
"""Prompts of the demo's data and of the tiny policy's warm start; they must be the same."""

_STICKY_SHARE = 0.75
_REUSE_STICKY, _REUSE_VARIED = 0.6, 0.1
_SENTENCES_WEIGHTS = {1: 0.15, 2: 0.35, 3: 0.35, 4: 0.15}
_MAX_SAME = 2

_FIRST_CHOICE = {
    "information": 0.09,
    "assistance": 0.07,
    "advice": 0.13,
    "validation": 0.15,
    "emotional_expression": 0.12,
    "paraphrasing": 0.13,
    "self_disclosure": 0.06,
    "questioning": 0.10,
    "reappraisal": 0.07,
    "empowerment": 0.08,
}
"""How often a supporter comes up with each tactic unprompted: uneven, as in real conversations."""

_PLACE = {
    "emotional_expression": 0.0,
    "paraphrasing": 0.5,
    "validation": 0.7,
    "self_disclosure": 1.2,
    "empowerment": 1.5,
    "information": 1.7,
    "reappraisal": 1.8,
    "advice": 2.0,
    "assistance": 2.6,
    "questioning": 2.8,
}
"""Where in a message a tactic tends to stand; blurred by up to _BLUR."""
_BLUR = 1.2


def generate(
    num_conversations: int,
    seed: int,
    turns: tuple[int, int] = (2, 5),
    *,
    banks: Banks,
    scenarios: Sequence[Scenario] | None = None,
) -> list[Conversation]:
    """Tagged conversations of `turns[0]` to `turns[1]` supporter turns with 1-4 sentences each.

    Conversation i depends on the seed and i alone. `scenarios` limits the scenarios (default all
    of `banks`). Raises ConfigError for impossible numbers.
    """
    chosen = banks.scenarios if scenarios is None else scenarios
    longest = min((len(s.follow_ups) for s in chosen), default=0) + 1
    if num_conversations < 1 or not chosen:
        raise ConfigError(f"need at least one conversation and scenario, got {num_conversations}")
    if not 1 <= turns[0] <= turns[1] <= longest:
        raise ConfigError(f"turns must be 1 <= min <= max <= {longest}, got {turns}")
    return [_conversation(index, seed, turns, banks, chosen) for index in range(num_conversations)]


def split_scenarios(scenarios: Sequence[Scenario]) -> tuple[list[Scenario], list[Scenario]]:
    """Training and held-out scenarios; at least one of each.

    Decided by a hash of the scenario's id and by no seed: data sets and warm starts made at
    different times with different seeds still agree on what is held out.
    """
    if len(scenarios) < 2:
        raise ConfigError(f"need at least 2 scenarios to hold one out, got {len(scenarios)}")
    order = sorted(scenarios, key=lambda s: hashlib.sha256(s.id.encode()).hexdigest())
    count = min(len(order) - 1, max(1, round(_HELD_OUT * len(order))))
    names = {scenario.id for scenario in order[:count]}
    return [s for s in scenarios if s.id not in names], [s for s in scenarios if s.id in names]


def build_demo_data(
    output_dir: str | Path,
    num_conversations: int,
    seed: int,
    *,
    num_val: int = 60,
    overwrite: bool = False,
    persona: Persona | None = None,
) -> dict[str, Any]:
    """Write train.parquet, val.parquet and card.json of the demo; returns the card.

    `num_conversations` for training and `num_val` from scenarios that training never sees;
    `persona` is the manner that the prompts ask for.
    Raises ConfigError when `output_dir` has files and `overwrite` is off.
    """
    # Imported here: it loads pyarrow, which conversations alone do not need.
    from mint.data.dataset import TRAIN, VAL, write_dataset

    directory = Path(output_dir)
    check_output(directory, overwrite)
    banks = load_banks(data_dir())
    train, val = split_scenarios(banks.scenarios)
    splits = {
        TRAIN: generate(num_conversations, seed, banks=banks, scenarios=train),
        # Another stream of random numbers than training's.
        VAL: generate(num_val, seed + 1_000_003, banks=banks, scenarios=val),
    }
    facts = {
        "input": "mint.synthetic",
        "banks_sha256": banks.sha256,
        "seed": seed,
        "tagger": "exact by construction",
        "turns_tagged": 0,
        "skipped": [],
        "held_out_scenarios": [scenario.id for scenario in val],
    }
    prompts = DEMO_PROMPTS if persona is None else replace(DEMO_PROMPTS, persona=persona)
    return write_dataset(directory, splits, prompts, facts)


def _conversation(
    index: int,
    seed: int,
    turns: tuple[int, int],
    banks: Banks,
    scenarios: Sequence[Scenario],
) -> Conversation:
    rng = random.Random(f"{seed}:{index}")
    scenario = rng.choice(scenarios)
    length = rng.randint(*turns)
    reuse = _REUSE_STICKY if rng.random() < _STICKY_SHARE else _REUSE_VARIED
    later = sorted(rng.sample(range(len(scenario.follow_ups)), length - 1))
    said = [rng.choice(scenario.openings), *(scenario.follow_ups[i] for i in later)]
    made: list[Turn] = []
    previous: list[str] = []
    used: set[str] = set()
    for text in said:
        previous = _draw_tactics(previous, reuse, rng)
        made.append(Turn(message=Message("seeker", text)))
        made.append(_supporter_turn(previous, scenario, banks, used, rng))
    return Conversation(
        conversation_id=f"{scenario.id}-{index:05d}",
        source=SOURCE,
        model=MODEL,
        turns=tuple(made),
        scenario=scenario.id,
    )


def _draw_tactics(previous: Sequence[str], reuse: float, rng: random.Random) -> list[str]:
    """One tactic a sentence, in the order of the message."""
    length = rng.choices(list(_SENTENCES_WEIGHTS), list(_SENTENCES_WEIGHTS.values()))[0]
    drawn: list[str] = []
    while len(drawn) < length:
        if previous and rng.random() < reuse:
            name = rng.choice(sorted(set(previous)))
        else:
            name = rng.choices(TACTIC_NAMES, [_FIRST_CHOICE[k] for k in TACTIC_NAMES])[0]
        if drawn.count(name) < _MAX_SAME:
            drawn.append(name)
    # Not over a set, whose order differs from process to process.
    place = {name: _PLACE[name] + rng.uniform(0, _BLUR) for name in dict.fromkeys(drawn)}
    return sorted(drawn, key=lambda name: place[name])


def _supporter_turn(
    tactics: Sequence[str], scenario: Scenario, banks: Banks, used: set[str], rng: random.Random
) -> Turn:
    slots = {"feeling": rng.choice(scenario.feelings), "event": scenario.event}
    open_slots = set(slots)
    sentences = []
    for name in tactics:
        # A slot is filled once a turn: naming the event in every sentence reads like a form letter.
        bank = [s for s in banks.sentences[name] if slots_of(s) <= open_slots]
        sentence = rng.choice([s for s in bank if s not in used] or bank)
        used.add(sentence)
        open_slots -= slots_of(sentence)
        sentences.append(SentenceTactics(fill(sentence, slots), (name,)))
    text = " ".join(sentence.sentence for sentence in sentences)
    return Turn(message=Message("supporter", text), sentence_tactics=tuple(sentences))
