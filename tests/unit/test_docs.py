"""Documents that describe code are checked against it."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from omegaconf import OmegaConf

from mint.config import recipes
from mint.config.compose import compose_config
from mint.config.docs import render
from mint.config.schema import schema
from mint.preference.settings import PreferSettings
from mint.supervised.settings import SftSettings
from mint.validation.collapse import ALARM, KEYS
from mint.validation.measure import METRICS, wording_figures
from mint.verl.group_reward import step_rewards
from mint.verl.step_metrics import _VERL_KEYS
from mint.verl.validation import evaluated
from mint.verl.wire import GradedReply
from rewards.card import render as grader_tables
from rewards.fit import FitCommand
from rewards.formula import COMPONENTS, RewardWeights
from rewards.tactics import TACTIC_NAMES
from rewards.types import Signals, Status

pytestmark = pytest.mark.slow


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


class Call(NamedTuple):
    """A command as a page names it."""

    page: str
    module: str
    keys: tuple[str, ...]
    """What stands before each equals sign."""


_CALL = re.compile(
    r"(?:python -m (?P<module>(?:mint|rewards)(?:\.[a-z]\w*)*)"
    r"|(?<![\w./-])(?<!from )mint (?P<name>[a-z_]+))"
    r"(?P<rest>[^|;&`]*)"
)
_OWN_KEYS = {"mint.train", "mint.sweep", "mint.plan", "rewards.card", "mint.config.docs"}
"""Modules without a dataclass of keys."""
_FITS = {"rewards.fit", "rewards.fit_tagger"}
"""Modules with the keys of `FitCommand`."""
_TUNED = {"mint.sft": SftSettings, "mint.prefer": PreferSettings}
"""Modules of `mint.tuning.command` -> their keys."""


def pages(root: Path) -> list[Path]:
    found = [
        root / "README.md",
        root / "CONTRIBUTING.md",
        root / "mint/verl/README.md",
        root / "recipes/README.md",
        *(root / "docs").rglob("*.md"),
        *(root / "data").rglob("*.md"),
    ]
    return [page for page in found if not {"raw", "built"} & set(page.parts)]


def snippets(text: str) -> Iterator[str]:
    """Lines of code blocks, continued ones joined, without comments; then code within prose."""
    text = re.sub(r"\\\n\s*", " ", text)
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for line in [*"\n".join(fenced).splitlines(), *re.findall(r"^    (.*)$", prose, re.MULTILINE)]:
        yield line.partition(" #")[0]
    for code in re.findall(r"`([^`]+)`", prose):
        yield " ".join(code.split())


def calls(root: Path) -> list[Call]:
    found = []
    for page in pages(root):
        for code in snippets(page.read_text(encoding="utf-8")):
            for match in _CALL.finditer(code):
                # Behind " -- " stands what another command takes.
                own = match["rest"].partition(" -- ")[0]
                keys = re.findall(r"(?<!\S)\[?\'?([a-z][\w.]*)=", own)
                name = match["module"] or f"mint.{match['name']}"
                name = {"mint.fit": "rewards.fit", "mint.card": "rewards.card"}.get(name, name)
                found.append(Call(str(page.relative_to(root)), name, tuple(keys)))
    return found


@cache
def command_keys(root: Path, module: str) -> frozenset[str]:
    """The keys of a small command: fields of what it hands to `cli.run` or `cli.run_parts`."""
    if module in _FITS:
        return frozenset(FitCommand.__dataclass_fields__)
    if module in _TUNED:
        return frozenset({*_TUNED[module].__dataclass_fields__, "resume", "recipe"})
    base = root / module.replace(".", "/")
    path = base / "__main__.py" if base.is_dir() else base.with_suffix(".py")
    code = ast.parse(path.read_text(encoding="utf-8"))
    runs = [
        node
        for node in ast.walk(code)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("run", "run_parts")
        and ast.unparse(node.func.value) == "cli"
    ]
    assert runs, f"{module} is not run by mint.shell.cli"
    owner = importlib.import_module(module if path.name != "__main__.py" else f"{module}.__main__")
    if runs[0].func.attr == "run":  # type: ignore[attr-defined]
        settings = [getattr(owner, ast.unparse(runs[0].args[0]))]
    else:
        tables = [value.values() for value in vars(owner).values() if isinstance(value, dict)]
        settings = [
            value
            for value in (*vars(owner).values(), *(part for table in tables for part in table))
            if isinstance(value, type) and dataclasses.is_dataclass(value)
        ]
    return frozenset(field.name for made in settings for field in dataclasses.fields(made))


def test_every_command_that_a_page_names_exists(root: Path) -> None:
    named = calls(root)
    assert {"mint.train", "mint.tag", "mint.prepare", "mint.audit"} <= {c.module for c in named}
    for call in named:
        base = root / call.module.replace(".", "/")
        assert (
            base.with_suffix(".py").is_file()
            or (base / "__main__.py").is_file()
            or (call.module == "mint")
        ), f"{call.page} names {call.module}"


def test_every_key_that_a_page_gives_a_command_is_one_of_its_keys(root: Path) -> None:
    small = [c for c in calls(root) if c.keys and c.module not in _OWN_KEYS]
    assert len(small) > 30
    for call in small:
        known = command_keys(root, call.module)
        wrong = {key.split(".")[0] for key in call.keys} - known
        assert not wrong, f"{call.page}: {call.module} has no key {', '.join(wrong)}"


_TRAINS = {"mint.train", "mint.sweep", "mint.plan", "mint.launch"}
_VERL = "actor_rollout_ref|data|trainer|algorithm|critic"


class Training(NamedTuple):
    """A training as a page names it."""

    page: Path
    recipe: str
    keys: tuple[str, ...]
    """Keys of verl that are set, without those that are added by +."""


def trainings(root: Path) -> list[Training]:
    found = []
    for page in pages(root):
        for code in snippets(page.read_text(encoding="utf-8")):
            for match in _CALL.finditer(code):
                if (match["module"] or f"mint.{match['name']}") not in _TRAINS:
                    continue
                if "--tables" in match["rest"]:
                    continue  # of models that are tuned without VERL
                names = re.findall(r"\+recipe=([a-z]\w*)", match["rest"])
                keys = re.findall(rf"(?<!\S)((?:{_VERL})\.[\w.]+)=", match["rest"])
                found += [Training(page, name, tuple(keys)) for name in names]
    return found


def test_every_recipe_and_setting_of_verl_that_a_page_names_exists(root: Path) -> None:
    recipes.register(recipes.find_recipes())
    named = trainings(root)
    assert {"mint_tiny", "mint_4b"} <= {training.recipe for training in named}
    composed = {name: compose_config([f"+recipe={name}"]) for name in {t.recipe for t in named}}
    for training in named:
        page = training.page.relative_to(root)
        for key in training.keys:
            parent, _, last = key.rpartition(".")
            node = OmegaConf.select(composed[training.recipe], parent)
            assert node is not None, f"{page}: {key}"
            assert last in node, f"{page}: {key}"
        if composed[training.recipe].trainer.device == "cuda":
            assert "GPU" in training.page.read_text(encoding="utf-8"), (
                f"{page} names {training.recipe} without saying that it needs a GPU"
            )


def test_every_setting_that_a_page_names_exists(root: Path) -> None:
    node = OmegaConf.create({"mint": OmegaConf.to_container(schema())})
    for page in pages(root):
        code = " ".join(snippets(page.read_text(encoding="utf-8")))
        for key in re.findall(r"(?<![\w./])(mint\.[a-z_.]+)=", code):
            if key.startswith("mint.validation.choose."):
                continue
            parent, _, last = key.rpartition(".")
            assert last in (OmegaConf.select(node, parent) or ()), (
                f"{page.relative_to(root)}: {key}"
            )


def test_every_link_leads_somewhere(root: Path) -> None:
    for page in [*pages(root), root / "CHANGELOG.md"]:
        text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"https?:", target):
                continue
            path = page.parent / target.partition("#")[0]
            assert path.exists(), f"{page.relative_to(root)} links to {target}"


def test_every_page_is_in_the_index(root: Path) -> None:
    index = (root / "docs/README.md").read_text(encoding="utf-8")
    for page in (root / "docs").rglob("*.md"):
        name = str(page.relative_to(root / "docs"))
        assert name == "README.md" or f"]({name})" in index, f"docs/README.md lacks {name}"


def test_the_rooms_are_listed_in_their_order(root: Path) -> None:
    page = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition("| Room |")[2].partition("\n\n")[0]
    layering = ast.parse((root / "tests/unit/test_layering.py").read_text(encoding="utf-8"))
    (rooms,) = (
        ast.literal_eval(node.value)
        for node in layering.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS"
    )
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == rooms


TARGETS = (
    "demo test install install-gpu docker docker-gpu docs gpu-check soak doctor plan sweep "
    "train train-ray train-slurm train-k8s"
)


@pytest.mark.parametrize("target", TARGETS.split())
def test_make_targets_of_the_pages_exist(root: Path, target: str) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:.*## ", makefile, flags=re.MULTILINE)
