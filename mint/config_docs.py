"""docs/configuration.md, made of the dataclasses: `python -m mint.config_docs`."""

from __future__ import annotations

import dataclasses

from mint.cli import field_docs
from mint.config import MintConfig

_INTRO = """# Configuration

`python -m mint.train +recipe=NAME key=value ...`. Keys under `mint` are the project's own and
listed here with their defaults. All other keys (`data`, `actor_rollout_ref`, `algorithm`,
`trainer`, ...) are VERL's, and `recipes/base.yaml` comments on those that matter. `--cfg job`
prints the result; an unknown key is refused with the nearest valid one.
This file is generated from `mint/config.py` by `python -m mint.config_docs`.
"""


def render() -> str:
    """The whole page."""
    parts = [_INTRO]
    for field in dataclasses.fields(MintConfig):
        owner = field.default_factory
        assert isinstance(owner, type)
        summary = (owner.__doc__ or "").strip().splitlines()[0]
        docs = field_docs(owner)
        rows = [
            f"| `mint.{field.name}.{f.name}` | `{_default(f)}` | {docs.get(f.name, '')} |"
            for f in dataclasses.fields(owner)
        ]
        parts.append(
            f"\n## `mint.{field.name}`\n\n{summary}\n\n| Key | Default | Meaning |\n|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return "".join(parts)


def _default(field: dataclasses.Field) -> str:  # type: ignore[type-arg]
    value = field.default
    return "null" if value is None else str(value) if value != "" else '""'


if __name__ == "__main__":
    print(render(), end="")
