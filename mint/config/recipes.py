"""Recipes: top-level YAML files that Hydra sees as the group `recipe`.

Hydra maps a group to a folder of that name; registering the files keeps them at `recipes/*.yaml`.
A file whose first line starts with `# layer:` is shared ground for others and not a recipe itself.
Files of `recipes/hardware/` are the group `hardware`: layers that go on top of any recipe.
`# @package` headers are not supported: recipes are always global.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from mint.config.schema import schema
from mint.shell.cli import nearest
from mint.shell.paths import recipes_dir
from rewards.errors import ConfigError

HARDWARE = "hardware"


class Recipe(NamedTuple):
    """A recipe file: name, one-line description (its first comment line), path."""

    name: str
    summary: str
    path: Path
    is_layer: bool
    group: str = "recipe"


TUNING = "tuning"
"""Folder of the recipes of commands that tune a model without VERL."""


def find_tuning(command: str) -> dict[str, Recipe]:
    """The recipes of `mint COMMAND`, COMMAND_*.yaml, and all layers: the shipped ones, then those
    of ./recipes/tuning."""
    found = {}
    for folder in _folders():
        for path in sorted((folder / TUNING).glob("*.yaml")):
            recipe = _read(path)
            if recipe.is_layer or path.stem.startswith(f"{command}_"):
                found[path.stem] = recipe
    return found


def _folders() -> list[Path]:
    return list(dict.fromkeys([recipes_dir().resolve(), (Path.cwd() / "recipes").resolve()]))


def _read(path: Path) -> Recipe:
    first = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ").strip()
    hardware = path.parent.name == HARDWARE
    summary = first.removeprefix("layer:").strip()
    group = HARDWARE if hardware else "recipe"
    return Recipe(path.stem, summary, path, first.startswith("layer:") or hardware, group)


def find_recipes() -> dict[str, Recipe]:
    """All recipes and layers by name: the shipped ones, then those of ./recipes (which win).

    Those of hardware/ have that folder in their names.
    """
    found = {}
    for folder in _folders():
        for path in [*sorted(folder.glob("*.yaml")), *sorted((folder / HARDWARE).glob("*.yaml"))]:
            recipe = _read(path)
            found[f"{HARDWARE}/{path.stem}" if recipe.group == HARDWARE else path.stem] = recipe
    return found


def check_hardware(overrides: Sequence[str], recipes: dict[str, Recipe]) -> None:
    """Raise ConfigError for a hardware layer that does not exist, or lacks its plus."""
    known = {recipe.name for recipe in recipes.values() if recipe.group == HARDWARE}
    for override in overrides:
        key, _, value = override.partition("=")
        if key == HARDWARE:
            raise ConfigError(f"hardware={value} lacks a plus: write +hardware={value}")
        if key.lstrip("+") != HARDWARE:
            continue
        for name in value.strip("[]").split(","):
            if name.strip() not in known:
                raise ConfigError(f"there is no hardware {name!r}{nearest(name, known)}")


def register(recipes: dict[str, Recipe]) -> None:
    """Make the recipes and the typed `mint` node known to Hydra."""
    store = ConfigStore.instance()
    store.store(group="mint", name="schema", node=schema(), provider="mint")
    store_recipes(recipes)


def store_recipes(recipes: dict[str, Recipe]) -> None:
    """Make the recipes known to Hydra, whatever they are of."""
    store = ConfigStore.instance()
    for recipe in recipes.values():
        store.store(
            group=recipe.group,
            name=recipe.name,
            node=load(recipe.path),
            package="_global_",
            provider=str(recipe.path),
        )


def load(path: Path) -> DictConfig:
    """The recipe file as a node. Raises ConfigError with file and position when it is not YAML."""
    try:
        node = OmegaConf.load(path)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(node, DictConfig):
        raise ConfigError(f"{path}: a recipe is a mapping of keys, got a {type(node).__name__}")
    return node


def check_name(name: str | None, recipes: dict[str, Recipe]) -> Recipe:
    """The recipe called `name`; ConfigError that lists the recipes otherwise."""
    runnable = {key: recipe for key, recipe in recipes.items() if not recipe.is_layer}
    if name in runnable:
        return runnable[name]
    problem = "no recipe given; add +recipe=NAME"
    if name is not None:
        problem = f"there is no recipe {name!r}{nearest(name, runnable)}"
    raise ConfigError(f"{problem}\n\n{listing(recipes)}")


def listing(recipes: dict[str, Recipe]) -> str:
    """The recipes and the hardware layers, a line each."""
    runnable = [recipe for recipe in recipes.values() if not recipe.is_layer]
    layers = [recipe for recipe in recipes.values() if recipe.group == HARDWARE]
    width = max(len(recipe.name) for recipe in (*runnable, *layers))
    parts = [("Recipes:", runnable), ("Hardware, on top of a recipe (+hardware=NAME):", layers)]
    return "\n\n".join(
        "\n".join([title, *(f"  {r.name:<{width}}  {r.summary}" for r in found)])
        for title, found in parts
        if found
    )
