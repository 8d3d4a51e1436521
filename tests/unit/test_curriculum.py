"""Whom dialogues are spent on, and how hard seekers are when."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mint.config.curriculum import CurriculumConfig, Stage
from mint.dialogue.curriculum import Allocation, Outcome, preset_at
from mint.dialogue.protocol import INTENTIONS, Person
from rewards.errors import ConfigError

TEMPERS = ("passive", "negative", "avoidant")
BY_SUCCESS = CurriculumConfig(people="success")


def person(number: int, intention: str | None = None, temper: str | None = None) -> Person:
    return Person(
        id=f"p{number}",
        persona="",
        scene="",
        goal="",
        intention=intention or INTENTIONS[number % len(INTENTIONS)],
        temper=temper or TEMPERS[number % len(TEMPERS)],
    )


PEOPLE = [person(i) for i in range(60)]
TRUE = np.array([(0.02, 0.5, 0.97)[i % 3] for i in range(60)])
"""Chance of success with each person; tempers go along with it, intentions do not."""


def spend(
    settings: CurriculumConfig, steps: int, seed: int, uniform: bool = False
) -> tuple[Counter[int], float]:
    """Draws of each person, and the share of groups of 8 dialogues that differ within."""
    allocation, world = Allocation(PEOPLE, settings, seed), np.random.default_rng(seed + 1000)
    drawn: Counter[int] = Counter()
    teaching = 0
    for _ in range(steps):
        places = world.choice(60, 8, replace=False).tolist() if uniform else allocation.draw(8)
        for place in places:
            helped = world.random(8) < TRUE[place]
            allocation.note(Outcome(PEOPLE[place].id, 100.0 if h else 20.0) for h in helped)
            teaching += 0 < helped.sum() < 8
        drawn.update(places)
    return drawn, teaching / (8 * steps)


@pytest.mark.parametrize("seed", range(3))
def test_most_is_spent_on_people_helped_about_half_the_time(seed: int) -> None:
    drawn, teaching = spend(BY_SUCCESS, 60, seed)
    _, uniform = spend(BY_SUCCESS, 60, seed, uniform=True)
    near = sum(number for place, number in drawn.items() if TRUE[place] == 0.5)
    assert near / drawn.total() > 0.55  # a third of the people
    assert teaching > 1.2 * uniform
    assert len(drawn) > 50  # epsilon forgets nobody for long


def test_epsilon_one_is_uniform() -> None:
    allocation = Allocation(PEOPLE, replace(BY_SUCCESS, epsilon=1.0), 0)
    allocation.note([Outcome("p0", 100.0)] * 50)
    assert allocation.chances() == pytest.approx(np.full(60, 1 / 60))


def test_scores_are_those_of_the_paper() -> None:
    settings = CurriculumConfig(people="success", prior=2.0, bonus=0.5, epsilon=0.0)
    allocation = Allocation([person(0), person(1)], settings, 0)
    allocation.note([Outcome("p0", 100.0)] * 3 + [Outcome("p0", 99.0)] + [Outcome("?", 100.0)])
    # Of p1 nothing is known: it is as p0, the only other one. p0 has nobody to go by: 0.5.
    first, second = (3 + 2 * 0.5) / 6, 0.75
    assert allocation.estimates() == pytest.approx([first, second])
    scores = [1 - 2 * (first - 0.5) + 0.5 * np.sqrt(np.log(5) / 5), 1 - 2 * (second - 0.5)]
    assert allocation.chances() == pytest.approx(np.array(scores) / sum(scores))


def test_the_prior_leaves_ones_own_intention_out() -> None:
    praise, advice = INTENTIONS[-1], INTENTIONS[-2]
    people = [
        person(0, praise, "passive"),
        person(1, praise, "passive"),
        person(2, advice, "passive"),
        person(3, advice, "negative"),
    ]
    allocation = Allocation(people, BY_SUCCESS, 0)
    allocation.note([Outcome("p1", 100.0)] * 9 + [Outcome("p2", 0.0)] * 9)
    # p0: the same temper with another intention is p2, which never succeeds.
    assert allocation.estimates()[0] == 0.0
    # p3: nobody of its temper, so all others.
    assert allocation.estimates()[3] == pytest.approx(0.5)


def test_when_everybody_is_lost_or_won_it_draws_uniformly() -> None:
    allocation = Allocation(PEOPLE[:4], CurriculumConfig(people="success", bonus=0.0), 0)
    allocation.note([Outcome(f"p{i}", 0.0) for i in range(4)] * 1000)
    assert allocation.chances() == pytest.approx(np.full(4, 0.25), abs=1e-2)


def test_a_batch_has_different_people_while_there_are_enough() -> None:
    allocation = Allocation(PEOPLE[:5], replace(BY_SUCCESS, epsilon=0.0), 0)
    assert sorted(allocation.draw(5)) == [0, 1, 2, 3, 4]
    assert Counter(allocation.draw(12)).most_common(1)[0][1] == 3


def test_a_saved_draw_goes_on_exactly() -> None:
    one = Allocation(PEOPLE, BY_SUCCESS, 3)
    one.note([Outcome("p4", 100.0), Outcome("p5", 10.0)])
    one.draw(8)
    state = json.loads(json.dumps(one.state_dict()))
    two = Allocation(PEOPLE, BY_SUCCESS, 99)
    two.load_state_dict(state)
    assert [two.draw(8) for _ in range(3)] == [one.draw(8) for _ in range(3)]
    fewer = Allocation(PEOPLE[:5], BY_SUCCESS, 0)  # p5 is gone
    fewer.load_state_dict(state)
    assert fewer.metrics()["people/met_frac"] == pytest.approx(1 / 5)


def test_two_people_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="share an id"):
        Allocation([person(1), person(1)], BY_SUCCESS, 0)


STAGES = [
    Stage(presets={"rlver_train": 1.0}),
    Stage(from_step=10, presets={"rlver_train": 3.0, "challenging": 1.0}),
]


def test_seekers_follow_the_stages() -> None:
    def met(step: int) -> list[str]:
        return [preset_at(STAGES, step, f"p{i}", "reserved") for i in range(400)]

    assert set(met(0)) == set(met(9)) == {"rlver_train"}
    assert met(10).count("challenging") / 400 == pytest.approx(0.25, abs=0.07)
    assert met(10) == met(10)
    assert met(10) != met(11)
    assert preset_at([], 5, "p1", "reserved") == "reserved"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"people": "best"}, "mint.curriculum.people must be one of uniform, success"),
        ({"prior": 0.0}, "mint.curriculum.prior must be > 0"),
        ({"epsilon": 1.5}, r"mint.curriculum.epsilon must be in \[0, 1\]"),
        ({"success_emotion": 0.0}, r"success_emotion must be in \(0, 100\]"),
        ({"stages": [STAGES[1]]}, r"must begin with from_step 1 and ascend, got \[10\]"),
        ({"stages": [*STAGES, STAGES[1]]}, r"ascend, got \[1, 10, 10\]"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CurriculumConfig(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("presets", [{}, {"a": 0.0}, {"a": -1.0, "b": 2.0}])
def test_stages_need_shares(presets: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="stages: presets of step 1 must be NAME: SHARE"):
        Stage(presets=presets)
