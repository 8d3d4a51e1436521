"""The MINT reward: a group of sibling replies in, one reward a reply out (arXiv 2604.11742).

For a group of G replies to one prompt, with x' the min-max of x within the group:

    diversity = kl * KL' + entropy * H' + bigram * B' + trigram * T'
    quality   = quality_weight * Q'
    add           R = (quality + diversity_weight * diversity) * len_scale + leak     (MINT)
    multiply      R = (quality * diversity) * len_scale + leak
    diversity_only R = diversity * len_scale + leak
    quality_only  R = quality * len_scale
    len_scale = min(1, length_target_tokens / num_tokens)
    leak      = label_leak_penalty if the reply names its tactics, else 0

| symbol | meaning                          | raw range      | better |
|--------|----------------------------------|----------------|--------|
| Q      | empathy judge, aggregate         | [0, 1]         | high   |
|        | or a reward model's raw logit    | unbounded      | high   |
| KL     | novelty against previous turn    | [0, 5] nats    | high   |
| H      | tactic entropy within the reply  | [0, ln 10] nats| high   |
| B, T   | bigram, trigram surprisal        | >= 0 nats      | high   |

What happens to replies without signals, decided here and nowhere else:

* FAILED (a grader failed): left out of min-max; gets the mean reward of all other members, hence
  zero GRPO advantage, and no gradient at all (`GroupReward.trained_G`).
* A sibling that was asked for and never came back ("missing") counts like a failed one: G is the
  number asked for. If fewer than ceil(min_scored_fraction * G) members could be scored, or fewer
  than two, the whole group is lost: everyone gets 0, no gradient.
* EMPTY or TRUNCATED_THINK: left out of min-max; gets `invalid_margin` less than the worst scored
  sibling and than 0, so saying nothing can never earn.

A component whose range in the group is at most `flat_range` carries no preference: all get 0.5.
Suffix _G: one entry a reply of the group, siblings in their given order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from rewards.diversity import KL_CAP
from rewards.errors import ConfigError
from rewards.normalise import length_scale, normalise_in_group
from rewards.tactics import NUM_TACTICS
from rewards.types import Signals, Status

FEWEST_SCORED = 2
"""A reply is better or worse only beside a sibling: verl makes a lone one's score its advantage."""
COMPONENTS: tuple[str, ...] = ("quality", "kl", "entropy", "bigram", "trigram")
SURPRISALS: tuple[str, ...] = ("bigram", "trigram")
"""Components that `rewards.scorer` leaves out (None) unless they are asked for."""
INVALID = (Status.EMPTY, Status.TRUNCATED_THINK)

_TOPS = (1.0, KL_CAP, math.log(NUM_TACTICS), 5.0, 5.0)
_RAW_SCALE = dict(zip(COMPONENTS, _TOPS, strict=True))
_RULES: tuple[tuple[tuple[str, ...], str, Callable[[float], bool]], ...] = (
    ((*COMPONENTS, "diversity"), "be >= 0 and finite", lambda value: 0 <= value < math.inf),
    (("length_target_tokens", "invalid_margin"), "be > 0", lambda value: value > 0),
    (("label_leak_penalty",), "be <= 0", lambda value: value <= 0),
    (("min_scored_fraction",), "be in (0, 1]", lambda value: 0 < value <= 1),
    (("flat_range",), "be >= 0", lambda value: value >= 0),
)
"""Fields of `RewardWeights`, what their values must be, and whether one is."""


class Mode(StrEnum):
    """How quality and diversity become one number."""

    ADD = "add"
    MULTIPLY = "multiply"
    QUALITY_ONLY = "quality_only"
    DIVERSITY_ONLY = "diversity_only"


@dataclass(frozen=True, kw_only=True)
class RewardWeights:
    """Everything the formula can be told. Defaults are the paper's Q + D_KL."""

    mode: str = "add"
    """add (the paper's MINT), multiply, quality_only or diversity_only."""
    quality: float = 1.0
    """Weight of the normalised judge rating, >= 0."""
    kl: float = 1.0
    """Weight of novelty against the previous supporter turn, >= 0."""
    entropy: float = 0.0
    """Weight of tactic variety within the reply, >= 0."""
    bigram: float = 0.0
    """Weight of bigram surprisal, >= 0 (0 in every configuration of the paper)."""
    trigram: float = 0.0
    """Weight of trigram surprisal, >= 0 (0 in every configuration of the paper)."""
    diversity: float = 1.0
    """Weight of the whole diversity term in mode add, >= 0."""
    length_target_tokens: int = 200
    """Longer replies are scaled down by target/length; tokens of the visible reply."""
    label_leak_penalty: float = -2.0
    """Added when the reply names its tactics, <= 0 (not in quality_only, as in the paper)."""
    invalid_margin: float = 0.5
    """How far an empty or cut-off reply falls below its worst sibling, > 0."""
    min_scored_fraction: float = 0.5
    """Share of the siblings asked for that must be scored for the group to be trained on, in
    (0, 1]; two at least whatever it says."""
    flat_range: float = 1e-8
    """A component varying by no more than this within a group is constant."""

    def __post_init__(self) -> None:
        _require(self.mode in list(Mode), "mode", "be one of " + ", ".join(Mode), self.mode)
        object.__setattr__(self, "mode", Mode(self.mode))
        for names, rule, holds in _RULES:
            for name in names:
                value = getattr(self, name)
                _require(holds(value), name, rule, value)
        used = self.active_components()
        _require(any(used.values()), "/".join(used), "not all be 0 in mode " + self.mode, 0)
        if self.mode == Mode.MULTIPLY:
            _require(self.quality > 0, "quality", "be > 0 in mode multiply", self.quality)
            novelty = {name: used[name] for name in COMPONENTS[1:]}
            _require(any(novelty.values()), "/".join(novelty), "not all be 0 in mode multiply", 0)

    def active_components(self) -> dict[str, float]:
        """Component -> weight for the components this mode looks at."""
        names = COMPONENTS
        if self.mode == Mode.QUALITY_ONLY or (self.mode == Mode.ADD and self.diversity == 0):
            names = ("quality",)
        elif self.mode == Mode.DIVERSITY_ONLY:
            names = COMPONENTS[1:]
        return {name: getattr(self, name) for name in names}

    def used_surprisals(self) -> tuple[str, ...]:
        """Those of `SURPRISALS` that the reward depends on."""
        used = self.active_components().items()
        return tuple(name for name, weight in used if name in SURPRISALS and weight > 0)


@dataclass(frozen=True, kw_only=True)
class RewardBreakdown:
    """Reward of one reply and every number on the way to it; flat, so it is also the log row."""

    score: float
    status: Status
    quality: float | None = None
    kl: float | None = None
    entropy: float | None = None
    bigram: float | None = None
    trigram: float | None = None
    quality_norm: float | None = None
    kl_norm: float | None = None
    entropy_norm: float | None = None
    bigram_norm: float | None = None
    trigram_norm: float | None = None
    length_scale: float | None = None
    penalty: float = 0.0

    def as_row(self) -> dict[str, float | str | None]:
        """Field -> value, ready for JSON."""
        return asdict(self)


class GroupReward(NamedTuple):
    """Rewards of one group, siblings in the given order, and what is worth counting about it."""

    replies: tuple[RewardBreakdown, ...]
    flat: bool
    """All scores are equal: the group teaches nothing."""
    partial: bool
    """Some, not all, members could not be scored or are missing."""
    num_missing: int
    """Siblings that were asked for and never came back."""
    lost: bool
    """Too few members were scored; nobody in the group gets a gradient."""
    flat_components: tuple[str, ...]
    """Active components without variation among the scored members."""

    @property
    def scores(self) -> tuple[float, ...]:
        """One reward a reply."""
        return tuple(reply.score for reply in self.replies)

    @property
    def trained_G(self) -> tuple[bool, ...]:
        """Whether a reply may get a gradient of any kind, that of the KL loss included."""
        return tuple(not self.lost and r.status is not Status.FAILED for r in self.replies)


def group_rewards(
    signals_G: Sequence[Signals],
    weights: RewardWeights | None = None,
    asked: int | None = None,
) -> GroupReward:
    """Rewards of one group of sibling replies, in their order. See the module docstring.

    `asked`: how many siblings there should be; None: those given. Raises ValueError when there are
    more.
    """
    weights = weights or RewardWeights()
    size = len(signals_G) if asked is None else asked
    if len(signals_G) > size:
        raise ValueError(f"a group of {size} siblings has {len(signals_G)} replies")
    scored = [i for i, s in enumerate(signals_G) if s.status is Status.OK]
    # An empty reply is judged without a grader, so it counts as known when looking for lost groups.
    num_known = sum(s.status is not Status.FAILED for s in signals_G)
    # Rounded first: 0.55 * 20 is a little more than 11 in floating point.
    needed = math.ceil(round(weights.min_scored_fraction * size, 9))
    lost = num_known < max(needed, FEWEST_SCORED)

    normalised = {
        name: normalise_in_group(values, weights.flat_range)
        for name in COMPONENTS
        if (values := _values([signals_G[i] for i in scored], name, weights)) is not None
    }
    replies: list[RewardBreakdown | None] = [None] * len(signals_G)
    for position, index in enumerate(scored):
        norm = {name: component.values_G[position] for name, component in normalised.items()}
        replies[index] = _combine(signals_G[index], norm, weights)

    floor = min([0.0, *(r.score for r in replies if r is not None)]) - weights.invalid_margin
    for i, s in enumerate(signals_G):
        if s.status in INVALID:
            replies[i] = RewardBreakdown(score=floor, status=s.status)
    known = [r.score for r in replies if r is not None]
    mean = sum(known) / len(known) if known else 0.0
    filled = [r or RewardBreakdown(score=mean, status=Status.FAILED) for r in replies]
    if lost:
        filled = [replace(r, score=0.0) for r in filled]
    scores = [r.score for r in filled]
    active = weights.active_components()
    return GroupReward(
        replies=tuple(filled),
        flat=not scores or max(scores) - min(scores) <= weights.flat_range,
        partial=0 < num_known < size,
        num_missing=size - len(signals_G),
        lost=lost,
        flat_components=tuple(n for n, w in active.items() if w > 0 and normalised[n].flat),
    )


def raw_reward(signals: Signals, weights: RewardWeights | None = None) -> float | None:
    """The same formula with fixed scales instead of the group's range; None when not graded.

    Each component is divided by the top of its range (KL by its cap, entropy by ln 10,
    surprisal by 5 nats), so values compare across prompts and across runs. This is the composite
    reward of validation and of `mint.evaluate`. A reward model's logit has no top: it enters as
    1 / (1 + exp(-logit)), in (0, 1). An empty or cut-off reply scores -invalid_margin.
    """
    return None if signals.status is Status.FAILED else raw_breakdown(signals, weights).score


def raw_breakdown(signals: Signals, weights: RewardWeights | None = None) -> RewardBreakdown:
    """`raw_reward` of a graded or silent reply with every number on the way to it."""
    weights = weights or RewardWeights()
    if signals.status in INVALID:
        return RewardBreakdown(score=-weights.invalid_margin, status=signals.status)
    scaled = {
        name: min(1.0, values[0] / _RAW_SCALE[name])
        for name in COMPONENTS
        if (values := _values([signals], name, weights)) is not None
    }
    if signals.quality_is_logit and signals.quality is not None:
        scaled["quality"] = 0.5 + 0.5 * math.tanh(0.5 * signals.quality)
    return _combine(signals, scaled, weights)


def _combine(signals: Signals, norm: dict[str, float], weights: RewardWeights) -> RewardBreakdown:
    quality = weights.quality * norm["quality"]
    diversity = sum(getattr(weights, name) * norm[name] for name in COMPONENTS[1:] if name in norm)
    combined = {
        Mode.ADD: quality + weights.diversity * diversity,
        Mode.MULTIPLY: quality * diversity,
        Mode.QUALITY_ONLY: quality,
        Mode.DIVERSITY_ONLY: diversity,
    }[Mode(weights.mode)]
    scale = length_scale(signals.num_tokens, weights.length_target_tokens)
    leaks = signals.label_leak and weights.mode != Mode.QUALITY_ONLY
    penalty = weights.label_leak_penalty if leaks else 0.0
    return RewardBreakdown(
        score=combined * scale + penalty,
        status=signals.status,
        length_scale=scale,
        penalty=penalty,
        **{name: getattr(signals, name) for name in norm},
        **{f"{name}_norm": value for name, value in norm.items()},
    )


def _values(signals_G: Sequence[Signals], name: str, weights: RewardWeights) -> list[float] | None:
    """A component of scored replies; None for a surprisal that is unused and was left out."""
    values = [getattr(signals, name) for signals in signals_G]
    if None not in values:
        return values
    if name in SURPRISALS and name not in weights.used_surprisals():
        return None
    raise ValueError(f"a reply with status {Status.OK} needs {name}, got None")


def _require(condition: bool, name: str, rule: str, got: object) -> None:
    if not condition:
        raise ConfigError(f"mint.reward.{name} must {rule}, got {got}")
