"""docs/configuration.md, made of the dataclasses: `python -m mint.config.docs`."""

from __future__ import annotations

import dataclasses

from mint.config.schema import MintConfig
from mint.shell.usage import field_docs

_INTRO = """# Configuration

`python -m mint.train +recipe=NAME key=value ...`. Keys under `mint` are the project's own and
listed here with their defaults. All other keys (`data`, `actor_rollout_ref`, `algorithm`,
`trainer`, ...) are VERL's, and `recipes/base.yaml` comments on those that matter. `--cfg job`
prints the result; an unknown key is refused with the nearest valid one.
This file is generated from `mint/config/schema.py` by `python -m mint.config.docs`.
"""


def render() -> str:
    """The whole page."""
    return "".join([_INTRO, *_sections("mint", MintConfig)])


def _sections(key: str, owner: type) -> list[str]:
    """The table of a node, then those of the nodes inside it."""
    summary = (owner.__doc__ or "").strip().splitlines()[0]
    docs = field_docs(owner)
    rows: list[str] = []
    inner: list[str] = []
    for f in dataclasses.fields(owner):
        made = f.default_factory
        if isinstance(made, type) and dataclasses.is_dataclass(made):
            inner += _sections(f"{key}.{f.name}", made)
            continue
        rows.append(f"| `{key}.{f.name}` | `{_default(f)}` | {docs.get(f.name, '')} |")
    table = "| Key | Default | Meaning |\n|---|---|---|\n" + "\n".join(rows)
    return [f"\n## `{key}`\n\n{summary}\n\n{table}\n", *inner]


def _default(field: dataclasses.Field) -> str:  # type: ignore[type-arg]
    made = field.default_factory
    value = field.default if made is dataclasses.MISSING else made()
    return "null" if value is None else str(value) if value != "" else '""'


if __name__ == "__main__":
    print(render(), end="")
