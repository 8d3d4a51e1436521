"""The reward of dialogues: RLVER alone, MINT alone, both joined, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rewards.dialogue import MINT, RLVER, emotion_rewards, group_credit, own_signals
from rewards.diversity import kl_divergence
from rewards.errors import ConfigError
from rewards.formula import RewardWeights, group_rewards, raw_reward
from rewards.tactics import NUM_TACTICS, TACTIC_INDEX
from rewards.talks import CREDITS, DialogueWeights, Talk, Turn
from rewards.types import Failure, Signals, Status

NOBODY = Failure("seeker/analysis/timeout", "no answer in 20 s")


def counts(**named: int) -> tuple[int, ...]:
    vector = [0] * NUM_TACTICS
    for name, number in named.items():
        vector[TACTIC_INDEX[name]] = number
    return tuple(vector)


def said(*, quality: float = 0.5, status: Status = Status.OK, **tactics: int) -> Signals:
    if status is not Status.OK:
        return Signals(status=status, reason="judge: timeout: 60 s")
    vector = counts(**tactics)
    return Signals(
        status=status, quality=quality, kl=0.0, entropy=0.0, num_tokens=20, counts=vector
    )


def talk(*emotions: float, start: float = 30.0) -> Talk:
    return Talk(start=start, turns=tuple(Turn(emotion=e) for e in emotions))


def random_talks(seed: int, size: int = 6, same_start: bool = True) -> list[Talk]:
    rng = np.random.default_rng(seed)
    talks = []
    for _ in range(size):
        turns = tuple(
            Turn(
                emotion=float(rng.uniform(0, 100)),
                signals=said(
                    quality=float(rng.uniform()),
                    advice=int(rng.integers(0, 3)),
                    validation=int(rng.integers(0, 3)),
                    questioning=int(rng.integers(0, 2)),
                    self_disclosure=int(rng.integers(0, 2)),
                ),
            )
            for _ in range(rng.integers(1, 6))
        )
        talks.append(Talk(start=30.0 if same_start else float(rng.uniform(0, 100)), turns=turns))
    return talks


def own_kl(talk: Talk) -> list[Signals]:
    """The turns' signals as MINT's scorer makes them: novelty against the turn before."""
    before = [None, *(turn.signals.counts for turn in talk.turns if turn.signals)]
    result, previous = [], None
    for turn, earlier in zip(talk.turns, before, strict=False):
        assert turn.signals is not None
        previous = earlier if earlier and sum(earlier) else previous
        result.append(replace(turn.signals, kl=kl_divergence(previous, turn.signals.counts)))
    return result


@pytest.mark.parametrize("seed", range(10))
def test_without_the_reply_it_is_rlver(seed: int) -> None:
    talks = random_talks(seed)
    final = np.array([t.turns[-1].emotion / 100 for t in talks])
    critic = group_credit(talks, RLVER, critic=True)
    for e, t, credit in zip(final, talks, critic.talks, strict=True):
        assert credit.rewards_T == (*[0.0] * (len(t.turns) - 1), pytest.approx(e))
        assert credit.advantages_T == (0.0,) * len(t.turns)
    plain = group_credit(talks, replace(RLVER, scale="none"))
    others = (final.sum() - final) / (len(final) - 1)
    for e, other, t, credit in zip(final, others, talks, plain.talks, strict=True):
        assert credit.advantages_T == pytest.approx([e - other] * len(t.turns))
    grpo = (final - final.mean()) / (final.std(ddof=1) + 1e-6) * len(final) / (len(final) - 1)
    for a, credit in zip(grpo, group_credit(talks, RLVER).talks, strict=True):
        assert credit.advantages_T == pytest.approx([a] * len(credit.advantages_T))


@pytest.mark.parametrize("seed", range(10))
def test_without_the_emotion_it_is_mint(seed: int) -> None:
    talks = random_talks(seed)
    signals = [own_kl(t) for t in talks]
    joined = group_credit(talks, MINT)
    for turn in range(max(len(t.turns) for t in talks)):
        here = [g for g, t in enumerate(talks) if turn < len(t.turns)]
        scores = group_rewards([signals[g][turn] for g in here]).scores
        assert [joined.talks[g].reply_T[turn] for g in here] == pytest.approx(list(scores))
        turns = [len(talks[g].turns) for g in here]
        shares = [joined.talks[g].rewards_T[turn] for g in here]
        assert shares == pytest.approx([s / n for s, n in zip(scores, turns, strict=True)])
    fixed = group_credit(talks, MINT, critic=True)
    for own, credit in zip(signals, fixed.talks, strict=True):
        assert credit.reply_T == pytest.approx([raw_reward(s) for s in own])


@pytest.mark.parametrize("mode", ["add", "multiply", "quality_only", "diversity_only"])
def test_one_turn_each_is_mints_group(mode: str) -> None:
    talks = [replace(t, turns=t.turns[:1]) for t in random_talks(4)]
    reply = RewardWeights(mode=mode, entropy=0.5)
    scores = np.array(group_rewards([own_kl(t)[0] for t in talks], reply).scores)
    credits = group_credit(talks, MINT, reply)
    assert [c.rewards_T[0] for c in credits.talks] == pytest.approx(scores)
    grpo = (scores - scores.mean()) / (scores.std(ddof=1) + 1e-6)
    size = len(talks)
    assert [c.advantages_T[0] for c in credits.talks] == pytest.approx(grpo * size / (size - 1))


@pytest.mark.parametrize("seed", range(10))
def test_changes_add_up_to_the_final_emotion(seed: int) -> None:
    for t in random_talks(seed, same_start=False):
        final = t.turns[-1].emotion
        assert sum(emotion_rewards(t, "return")) == pytest.approx((final - t.start) / 100)
        assert sum(emotion_rewards(t, "terminal")) == pytest.approx(final / 100)
    talks = random_talks(seed)
    by_return = group_credit(talks, DialogueWeights(scale="none")).talks
    terminal = group_credit(talks, replace(RLVER, scale="none")).talks
    for a, b in zip(by_return, terminal, strict=True):  # the first turn decides about all
        assert a.advantages_T[0] == pytest.approx(b.advantages_T[0])


@pytest.mark.parametrize("credit", CREDITS)
@pytest.mark.parametrize("baseline", ["all", "talking"])
@pytest.mark.parametrize("seed", range(4))
def test_order_and_lost_siblings_do_not_matter(credit: str, baseline: str, seed: int) -> None:
    weights = DialogueWeights(credit=credit, baseline=baseline, reply=0.5)
    talks = random_talks(seed)
    result = group_credit(talks, weights)
    order = np.random.default_rng(seed).permutation(len(talks))
    shuffled = group_credit([talks[g] for g in order], weights)
    for position, g in enumerate(order):
        assert shuffled.talks[position].advantages_T == pytest.approx(result.talks[g].advantages_T)
    lost = Talk(start=30.0, turns=talks[0].turns, lost=NOBODY)
    with_lost = group_credit([lost, *talks[:3], lost, *talks[3:]], weights)
    assert with_lost.trained_G == (False, True, True, True, False, True, True, True)
    kept = [c for c in with_lost.talks if c.left_out is None]
    assert kept == list(result.talks)
    assert with_lost.talks[0].left_out == NOBODY
    assert with_lost.talks[0].rewards_T == with_lost.talks[0].advantages_T == ()


@pytest.mark.parametrize("seed", range(10))
def test_credit_of_a_group_sums_to_zero_where_it_must(seed: int) -> None:
    talks = random_talks(seed)
    for weights in (RLVER, DialogueWeights(credit="immediate", baseline="talking", reply=0.3)):
        credits = group_credit(talks, weights).talks
        if weights.credit == "terminal":
            assert sum(c.advantages_T[0] for c in credits) == pytest.approx(0.0, abs=1e-9)
            continue
        for turn in range(5):
            here = [c.advantages_T[turn] for c in credits if turn < len(c.advantages_T)]
            assert sum(here) == pytest.approx(0.0, abs=1e-9)


def test_one_more_turn_is_worth_what_it_brings() -> None:
    stays, leaves = talk(40, 60), talk(40)
    credits = group_credit([stays, leaves], DialogueWeights(scale="none")).talks
    assert credits[0].advantages_T == pytest.approx([0.2, 0.2])
    assert credits[1].advantages_T == pytest.approx([-0.2])


def test_mixed_is_half_return_half_immediate() -> None:
    talks = random_talks(7)
    mixed, back, now = (
        group_credit(talks, DialogueWeights(credit=name)).talks
        for name in ("mixed", "return", "immediate")
    )
    for m, r, i in zip(mixed, back, now, strict=True):
        assert m.advantages_T == pytest.approx(
            [(a + b) / 2 for a, b in zip(r.advantages_T, i.advantages_T, strict=True)]
        )


def test_talking_longer_earns_nothing_by_itself() -> None:
    turn = Turn(emotion=30.0, signals=said(quality=0.5, validation=1))
    short, long = (Talk(start=30.0, turns=(turn,) * n) for n in (1, 5))
    credits = group_credit([short, long], MINT, RewardWeights(mode="quality_only"), critic=True)
    assert sum(credits.talks[0].rewards_T) == pytest.approx(sum(credits.talks[1].rewards_T))


def novel(*emotions: float, weights: DialogueWeights, **second: int) -> tuple[float, str]:
    """Novelty of the second turn after one of validation, and why it was withheld."""
    turns = tuple(
        Turn(emotion=emotion, signals=signals)
        for emotion, signals in zip(emotions, (said(validation=1), said(**second)), strict=True)
    )
    signals, withheld = own_signals(Talk(start=30.0, turns=turns), weights)
    assert signals[1].kl is not None
    return signals[1].kl, withheld[1]


def test_novelty_counts_only_where_the_emotion_does_not_fall() -> None:
    fresh = pytest.approx(kl_divergence({"validation": 1}, {"questioning": 1}))
    joined = DialogueWeights(reply=1.0)
    assert novel(40, 40, weights=joined, questioning=1) == (fresh, "")
    assert novel(40, 39, weights=joined, questioning=1) == (0.0, "emotion")
    assert novel(40, 39, weights=MINT, questioning=1) == (fresh, "")


def test_self_disclosure_is_never_novel() -> None:
    joined = DialogueWeights(reply=1.0)
    assert novel(40, 50, weights=joined, self_disclosure=2) == (0.0, "unfit")
    same, why = novel(40, 50, weights=joined, validation=1, self_disclosure=3)
    assert (same, why) == (0.0, "unfit")
    assert novel(40, 50, weights=MINT, self_disclosure=2)[0] > 1
    # Nor does having disclosed make the next turn new.
    turns = (
        Turn(emotion=40, signals=said(validation=1, self_disclosure=4)),
        Turn(emotion=50, signals=said(validation=1)),
    )
    signals, _ = own_signals(Talk(start=30.0, turns=turns), joined)
    assert signals[1].kl == 0


def test_an_empty_turn_is_no_previous_turn() -> None:
    turns = (
        Turn(emotion=40, signals=said(validation=1)),
        Turn(emotion=40, signals=Signals(status=Status.EMPTY, reason="nothing said")),
        Turn(emotion=40, signals=said(validation=1)),
    )
    signals, _ = own_signals(Talk(start=30.0, turns=turns), DialogueWeights(reply=1.0))
    assert signals[2].kl == 0


@pytest.mark.parametrize("broken", [{"format_ok": False}, {"vetoes": ("harmful",)}])
def test_a_broken_turn_earns_nothing(broken: dict[str, object]) -> None:
    good = talk(60, 90)
    bad = replace(good, turns=(replace(good.turns[0], **broken), good.turns[1]))
    weights = DialogueWeights(scale="none", broken_penalty=0.5)
    credits = group_credit([bad, talk(20, 20)], weights).talks
    assert credits[0].rewards_T == pytest.approx([-0.5, 0.3])
    assert credits[0].advantages_T == pytest.approx([-0.5, 0.3])
    assert credits[1].advantages_T[0] == pytest.approx(-0.1 - 0.6 + 0.5)
    gated = group_credit([bad, talk(20, 20)], replace(weights, broken_penalty=0.0)).talks
    assert gated[0].advantages_T == pytest.approx([0.0, 0.3])


def test_a_failed_grading_leaves_its_dialogue_out_and_says_why() -> None:
    whole = random_talks(1, size=3)
    failed = Talk(
        start=30.0,
        turns=(Turn(emotion=50, signals=said(status=Status.FAILED)), *whole[0].turns),
    )
    result = group_credit([failed, *whole], DialogueWeights(reply=1.0))
    assert result.talks[0].left_out == Failure("not_graded", "turn 1: judge: timeout: 60 s")
    assert result.trained_G == (False, True, True, True)
    assert not result.lost
    assert group_credit([failed, *whole], DialogueWeights()).trained_G == (True,) * 4


def test_too_few_usable_dialogues_teach_nothing() -> None:
    lost = Talk(start=30.0, turns=(), lost=NOBODY)
    alone = group_credit([talk(50), lost, Talk(start=30.0, turns=())], asked=4)
    assert alone.lost
    assert alone.flat
    assert alone.num_missing == 1
    reasons = [c.left_out for c in alone.talks]
    assert reasons[0] == Failure("group_lost", "1 of 4 dialogues usable, 2 needed")
    assert reasons[1] == NOBODY
    assert reasons[2] is not None
    assert reasons[2].kind == "no_turn"
    single = group_credit([talk(50)], critic=True)
    assert (single.trained_G, single.flat) == ((True,), False)
    assert group_credit([talk(30)], critic=True).flat, "the emotion has not moved"
    assert group_credit([talk(50), talk(60), talk(70)], asked=8).lost  # less than half
    assert group_credit([]).lost


def test_equal_dialogues_are_flat() -> None:
    assert group_credit([talk(50, 60)] * 3).flat
    assert not group_credit([talk(50, 60), talk(50, 61)]).flat


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"emotion must be in \[0, 100\], got 130"):
        group_credit([talk(50), talk(130)])
    with pytest.raises(ValueError, match="turn 1 has no signals"):
        group_credit([talk(50), talk(60)], DialogueWeights(reply=1.0))
    with pytest.raises(ValueError, match="a group of 1 siblings has 2"):
        group_credit([talk(50), talk(60)], asked=1)
    for wrong, message in (
        ({"credit": "gae"}, "mint.credit.credit must be one of terminal, return"),
        ({"emotion": 0.0}, "emotion/reply must not both be 0"),
        ({"reply": -1.0}, "mint.credit.reply must be >= 0"),
        ({"unfit": ("hugging",)}, "mint.credit.unfit must name tactics, got hugging"),
    ):
        with pytest.raises(ConfigError, match=message):
            DialogueWeights(**wrong)  # type: ignore[arg-type]
