"""`key=value` command lines for the small entry points, in the form of `mint.train`'s overrides.

Each entry point declares a dataclass; its fields are the keys, the string literal under a field is
its help text, a field without default is required, and a boolean field `skip_bad` may also be
given as the flag `--skip-bad`. Fields of a nested dataclass are set as `judge.kind=served`. One
list field may take the arguments without key: `field(metadata=POSITIONAL)`.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import itertools
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rewards.errors import ConfigError, MintError

T = TypeVar("T")

POSITIONAL = {"positional": True}
"""Metadata of the list field that takes arguments without a key."""


def parse(settings: type[T], argv: Sequence[str]) -> T:
    """An instance of `settings` from key=value arguments and --flags.

    Raises ConfigError for an unknown key (naming the nearest one), a wrong type or a missing key.
    """
    known = {f.name: f for f in fields(settings)}  # type: ignore[arg-type]
    rest = next((name for name, f in known.items() if "positional" in f.metadata), None)
    given: dict[str, Any] = {}
    for argument in argv:
        key, sep, value = argument.partition("=")
        key = key.removeprefix("--").replace("-", "_")
        if rest is not None and not argument.startswith("--") and (not sep or "/" in key):
            given.setdefault(rest, []).append(argument)
            continue
        if not sep and not argument.startswith("--"):
            raise ConfigError(f"expected key=value, got {argument!r}; keys: {', '.join(known)}")
        if key.split(".")[0] not in known:
            raise ConfigError(f"unknown key {key!r}{nearest(key, known)}")
        parsed = OmegaConf.create(f"v: {value}").v if sep and value[:1] in "[{" else value
        _place(given, key, parsed if sep else True)
    missing = [
        f.name
        for f in known.values()
        if f.default is MISSING and f.default_factory is MISSING and f.name not in given
    ]
    if missing:
        raise ConfigError(f"missing {', '.join(f'{name}=...' for name in missing)}")
    try:
        schema = OmegaConf.structured(settings)
        make_writable(schema)
        node = OmegaConf.merge(schema, OmegaConf.create(given))
        return OmegaConf.to_object(node)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error


def _place(given: dict[str, Any], key: str, value: Any) -> None:
    """Set `given[a][b]` for the key "a.b"."""
    *parents, last = key.split(".")
    node = given
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise ConfigError(f"{key} and {parent} cannot both be given")
    if last in node:
        raise ConfigError(f"{key} is given twice")
    node[last] = value


def make_writable(node: Any) -> None:
    """Let values be merged into a node made of frozen dataclasses, which are read-only at first."""
    OmegaConf.set_readonly(node, None)
    for key in node:
        child = node._get_node(key)
        if isinstance(child, DictConfig):
            make_writable(child)


def nearest(key: str, known: Any, cutoff: float = 0.5) -> str:
    """'; did you mean ...?' for the closest known key, else the allowed keys (when few)."""
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=cutoff)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; allowed: {', '.join(known)}" if len(known) <= 12 else ""


def run(
    settings: type[T], main: Callable[[T], int | None], argv: Sequence[str] | None = None
) -> int:
    """Parse, run `main`, turn a MintError into one line on stderr.

    Returns the exit status: 2 for bad input, 1 for what broke although the input was good.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if {"-h", "--help"} & set(arguments):
        print(usage(settings))
        return 0
    try:
        return main(parse(settings, arguments)) or 0
    except MintError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, RuntimeError) else 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def run_parts(
    doc: str,
    parts: Mapping[str, type[T]],
    main: Callable[[T], int | None],
    argv: Sequence[str] | None = None,
) -> int:
    """Like `run`, for a command whose first argument names one of several parts.

    Each part has settings of its own.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"{doc.strip()}\n\nParts: {', '.join(parts)}; `PART --help` lists its keys.")
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in parts:
        print(f"error: unknown part {name!r}{nearest(name, parts)}", file=sys.stderr)
        return 2
    return run(parts[name], main, rest)


def usage(settings: type) -> str:
    """Help text made of the dataclass: docstring, keys, defaults, field documentation."""
    docs = field_docs(settings)
    lines = [inspect.getdoc(settings) or "", "", "Keys (key=value):"]
    for f in fields(settings):
        default = "required"
        if f.default is not MISSING:
            default = f"default {f.default}"
        elif f.default_factory is not MISSING:
            made = f.default_factory()
            default = "see docs/configuration.md" if is_dataclass(made) else f"default {made}"
        text = f"{docs[f.name] if f.name in docs else ''} ({default})"
        lines.append(
            textwrap.fill(text, 96, initial_indent=f"  {f.name:<16} ", subsequent_indent=" " * 19)
        )
    return "\n".join(lines)


def field_docs(settings: type) -> dict[str, str]:
    """Field name -> the string literal written under it, in the class or the one it inherits."""
    docs: dict[str, str] = {}
    for owner in reversed(settings.__mro__):
        if is_dataclass(owner):
            docs |= _own_field_docs(owner)
    return docs


def _own_field_docs(settings: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(settings)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    docs = {}
    for field, literal in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(literal, ast.Expr)
            and isinstance(literal.value, ast.Constant)
        ):
            docs[field.target.id] = " ".join(str(literal.value.value).split())
    return docs
