"""What `--help` prints, and which keys there are: both read from a command's dataclass."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

FLAG = "true or false"
_KINDS = {str: "text", int: "a whole number", float: "a number", bool: FLAG}
_LISTED_KEYS = 8


def usage(settings: type, part: str = "", after: str = "") -> str:
    """The help of a command, or of one part of it: usage line (`after` ends it), docstring, a
    paragraph a key."""
    docs, hints = field_docs(settings), get_type_hints(settings)
    asked, rest = [], ["[key=value ...]", *([after] if after else [])]
    for field in fields(settings):
        if "positional" in field.metadata:
            asked.append(f"{field.name.upper()}...")
        elif _is_required(field):
            asked.append(f"{field.name}=...")
    lines = [f"usage: {' '.join([program(), *([part] if part else []), *asked, *rest])}", ""]
    lines += [inspect.getdoc(settings) or "", "", "Keys (key=value; --key for key=true):"]
    for field in fields(settings):
        text = f"{docs[field.name] if field.name in docs else ''} ({_facts(field, hints)})"
        lines.append(
            textwrap.fill(
                text, 96, initial_indent=f"  {field.name:<16} ", subsequent_indent=" " * 19
            )
        )
    return "\n".join(lines)


def program() -> str:
    """How the running command is called: `python -m mint.NAME`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else sys.argv[0]


def key_names(settings: type) -> Iterator[str]:
    """Every key, those of nested dataclasses with dots."""
    for name, hint in get_type_hints(settings).items():
        if is_dataclass(hint):
            yield from (f"{name}.{inner}" for inner in key_names(hint))  # type: ignore[arg-type]
        else:
            yield name


def kind_of(settings: type, key: str) -> str:
    """What values the key with dots takes, in words; "" where anything goes."""
    hint: Any = settings
    for part in key.split("."):
        hint = get_type_hints(hint)[part] if is_dataclass(hint) else Any
    return _kind(hint)


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


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _facts(field: Field[Any], hints: Mapping[str, Any]) -> str:
    """Type and default of a field; the keys of a nested one."""
    hint = hints[field.name]
    if is_dataclass(hint):
        names = [f"{field.name}.{inner}" for inner in key_names(hint)]  # type: ignore[arg-type]
        more = ", ..." if len(names) > _LISTED_KEYS else ""
        return f"keys {', '.join(names[:_LISTED_KEYS])}{more}"
    kind = f"{_kind(hint)}, " if _kind(hint) else ""
    if _is_required(field):
        return f"{kind}required"
    value = field.default if field.default_factory is MISSING else field.default_factory()
    if isinstance(value, bool):
        value = str(value).lower()
    shown = "null" if value is None else str(value) or '""'
    return f"{kind}default {shown}"


def _kind(hint: Any) -> str:
    if hint in _KINDS:
        return _KINDS[hint]
    options = get_args(hint)
    if get_origin(hint) is list:
        return "a list [a,b,...]"
    if NoneType in options:
        return " or ".join([*filter(None, map(_kind, options)), "null"])
    return ""
