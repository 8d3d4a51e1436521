"""Documents that describe code are checked against it."""

from __future__ import annotations

import re
from pathlib import Path

from mint.config.docs import render
from mint.validation.collapse import ALARM, KEYS
from mint.validation.measure import METRICS, wording_figures
from mint.verl.group_reward import step_rewards
from mint.verl.step_metrics import _VERL_KEYS
from mint.verl.validation import evaluated
from mint.verl.wire import GradedReply
from rewards.card import render as grader_tables
from rewards.formula import COMPONENTS, RewardWeights
from rewards.tactics import TACTIC_NAMES
from rewards.types import Signals, Status


def test_configuration_page_is_up_to_date(root: Path) -> None:
    assert (root / "docs/configuration.md").read_text(encoding="utf-8") == render()


def test_grader_figures_are_those_of_the_shipped_cards(root: Path) -> None:
    page = (root / "docs/graders.md").read_text(encoding="utf-8")
    assert page.endswith(grader_tables())


def test_every_field_has_documentation() -> None:
    empty = [line for line in render().splitlines() if re.match(r"\| `mint\..*\|  \|$", line)]
    assert not empty


def test_every_metric_is_documented(root: Path) -> None:
    page = (root / "docs/metrics.md").read_text(encoding="utf-8")
    row = GradedReply(
        Signals(status=Status.OK, quality=0.5, kl=1.0, entropy=0.0, bigram=0.0, trigram=0.0),
        "",
        "",
        "",
        0,
        (0.0,) * 10,
        (),
        (),
        {},
        0.0,
        tagger_repeat_std=0.1,
        judge_repeat_std=0.1,
    )
    keys = {*step_rewards([row, row], ["a", "a"], RewardWeights()).metrics, *_VERL_KEYS}
    keys -= {"train/epoch"}
    documented = set()
    for cell in re.findall(r"^\| (.*?) \|", page, flags=re.MULTILINE):
        names = re.findall(r"`([^`]+)`", cell)
        for name in names:
            full = name if not name.startswith("/") else names[0].rsplit("/", 1)[0] + name
            for component in COMPONENTS:
                documented.add(full.replace("<component>", component))
            for tactic in TACTIC_NAMES:
                documented.add(full.replace("<name>", tactic))
    keys |= {f"val/{name}" for name in METRICS} | {f"{ALARM}{name}" for name in KEYS.values()}
    keys |= {"val/score", "val/num_broken_limits", "val/num_replies", "val/best_step"}
    keys |= set(wording_figures([evaluated(row, RewardWeights())]))
    missing = {key for key in keys if key not in documented and not key.endswith("/std")}
    assert not missing
