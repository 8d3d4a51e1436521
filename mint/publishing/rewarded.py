"""Which graders were the reward of a run, and which only measured."""

from __future__ import annotations

from collections.abc import Iterator

from mint.config.schema import MintConfig
from mint.publishing.markdown import code, plain
from mint.reporting.curves import COMPONENTS
from mint.reporting.data import ReportData
from rewards.formula import Mode

DIALOGUES = "dialogues"


def reward_lines(config: MintConfig) -> Iterator[str]:
    """The objective in words, a line a term."""
    weights, credit = config.reward, config.credit
    if config.task == DIALOGUES:
        yield (
            f"The simulated person's emotion (seeker {code(config.seeker.kind)}, preset "
            f"{code(config.seeker.preset)}), weight {credit.emotion:g}; credit by turn: "
            f"{code(credit.credit)}."
        )
        if credit.reply == 0:
            return
        yield f"The reward of each reply as below, weight {credit.reply:g}."
    share = weights.diversity if weights.mode == Mode.ADD else 1.0
    for name, weight in _components(config).items():
        own = weight if name == "quality" else weight * share
        yield f"{COMPONENTS[name].title}: weight {own:g}."
    leaks = weights.label_leak_penalty and weights.mode != Mode.QUALITY_ONLY
    leak = f", naming tactics costs {-weights.label_leak_penalty:g}" if leaks else ""
    yield (
        f"Scaled to 0..1 among the replies to one prompt and joined by mode {code(weights.mode)}; "
        f"replies longer than {weights.length_target_tokens} tokens are scaled down{leak}."
    )


def grader_rows(data: ReportData, config: MintConfig) -> Iterator[list[str]]:
    """Role, name, revision and part in the reward of each grader."""
    used = _components(config)
    if config.task == DIALOGUES:
        yield [
            "seeker",
            plain(f"{config.seeker.kind}, {config.seeker.preset}"),
            "–",
            f"emotion, weight {config.credit.emotion:g}",
        ]
        if config.credit.reply == 0:
            used = {}
    novelty = [COMPONENTS[name].name for name in used if name != "quality"]
    judged = "quality" in used
    parts = {
        "tagger": ", ".join(novelty) if novelty else "no: it only measures",
        "judge": COMPONENTS["quality"].name if judged else "no: it only measures",
    }
    for role, identity in data.graders.items():
        yield [
            role,
            plain(f"{identity['kind']} {identity['name']}"),
            code(str(identity["revision"])[:16]),
            parts.get(role, "no: it only measures"),
        ]
    second = data.after.get("second_judge") if data.after is not None else None
    if second is not None:
        name, revision = plain(second["name"]), code(str(second["revision"])[:16])
        yield ["second judge", name, revision, "no: it is never a reward"]


def _components(config: MintConfig) -> dict[str, float]:
    """Components of the reward of replies with their weights, without those of weight 0."""
    return {name: w for name, w in config.reward.active_components().items() if w > 0}
