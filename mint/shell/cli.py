"""`key=value` command lines for the small entry points, in the form of `mint.train`'s overrides.

Each entry point declares a dataclass; its fields are the keys, the string literal under a field is
its help text, a field without default is required, and a boolean field `skip_bad` may also be
given as the flag `--skip-bad`. Fields of a nested dataclass are set as `judge.kind=served`. One
list field may take the arguments without key: `field(metadata=POSITIONAL)`.
"""

from __future__ import annotations

import difflib
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError

from mint.shell.signals import Signalled
from mint.shell.usage import FLAG, key_names, kind_of, program, usage
from rewards.errors import ConfigError, MintError

T = TypeVar("T")

POSITIONAL = {"positional": True}
"""Metadata of the list field that takes arguments without a key."""
PRINT_KEYS = "--print-keys"
"""Prints what can follow on the command line, for the shell's completion."""


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
        if rest is not None and _is_operand(argument, key, known):
            given.setdefault(rest, []).append(expanded(argument))
            continue
        if not sep and not argument.startswith("--"):
            raise ConfigError(f"expected key=value, got {argument!r}; keys: {', '.join(known)}")
        _check_key(settings, key, value)
        if not sep and kind_of(settings, key) and FLAG not in kind_of(settings, key):
            raise ConfigError(f"{argument} needs a value: {key}=...")
        _place(given, key, _value(settings, key, value) if sep else True)
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
        raise ConfigError(_explain(settings, given, error)) from error


def _is_operand(argument: str, key: str, known: Mapping[str, Any]) -> bool:
    """Whether an argument is one of those without key: a file called kl=0.5 is one too."""
    if argument.startswith("--"):
        return False
    if "=" not in argument or "/" in key:
        return True
    return key.split(".")[0] not in known and os.path.exists(argument)


def expanded(value: str) -> str:
    """A path that begins with ~/ as a shell would write it: not all of them expand `key=~/x`."""
    return os.path.expanduser(value) if value == "~" or value.startswith("~/") else value


def _value(settings: type, key: str, value: str) -> Any:
    """What a command line says after `key=`: null, a list or mapping where the key takes one, else
    the text as it is. Raises ConfigError for a list that is none."""
    kind = kind_of(settings, key)
    if not value or (value == "null" and (not kind or kind.endswith("null"))):
        return None
    if value[:1] not in "[{" or kind.startswith("text"):
        return expanded(value)
    try:
        return OmegaConf.create({"v": yaml.safe_load(value)}).v
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(
            f"{key}={value} cannot be read as {kind or 'a list or mapping'}: {reason}; quote texts "
            f'in it, as in {key}=\'["a", "b"]\''
        ) from error


def _check_key(settings: type, key: str, value: str) -> None:
    """Raise ConfigError, naming the nearest key, unless each part of `key` is a field and the last
    one takes a value."""
    owner: Any = settings
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if not is_dataclass(owner):
            return
        hints = get_type_hints(owner)
        if part not in hints:
            prefix = "".join(f"{parent}." for parent in parts[:depth])
            raise ConfigError(f"unknown key {key!r}{nearest(part, hints, prefix=prefix)}")
        owner = hints[part]
    if is_dataclass(owner) and not value.startswith("{"):
        inner = next(key_names(owner))  # type: ignore[arg-type]
        raise ConfigError(f"{key} takes no value but has keys of its own, such as {key}.{inner}=")


def _explain(settings: type, given: Mapping[str, Any], error: OmegaConfBaseException) -> str:
    """One line that names the key and, for a value of a wrong type, what it takes.

    Raises ConfigError itself for an unknown key inside a mapping, {key: value}.
    """
    first, key = str(error).splitlines()[0], error.full_key
    if not key:
        return first
    _check_key(settings, key.split("[")[0], "{")
    value: Any = given
    for part in key.split("."):
        value = value[part] if isinstance(value, Mapping) and part in value else None
    kind = kind_of(settings, key.split("[")[0])
    if isinstance(error, ValidationError) and kind:
        return f"{key} must be {kind}, got {value!r}"
    return f"{key}: {first}"


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


def nearest(key: str, known: Any, cutoff: float = 0.5, prefix: str = "") -> str:
    """'; did you mean ...?' for the closest known key, else the allowed keys (when few).

    `prefix` stands before every key that is shown.
    """
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=cutoff)
    if close:
        return f"; did you mean {prefix + close[0]!r}?"
    return f"; allowed: {', '.join(prefix + name for name in known)}" if len(known) <= 12 else ""


def run(
    settings: type[T],
    main: Callable[[T], int | None],
    argv: Sequence[str] | None = None,
    part: str = "",
    after: str = "",
) -> int:
    """Parse, run `main`, turn an error into one line on stderr; returns the exit status.

    `part` is what the command line names before the keys, `after` what follows them. See `guarded`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if {"-h", "--help"} & set(arguments):
        print(usage(settings, part, after))
        return 0
    if PRINT_KEYS in arguments:
        print("\n".join(f"{name}=" for name in key_names(settings)))
        return 0
    return guarded(lambda: main(parse(settings, arguments)))


def guarded(work: Callable[[], int | None]) -> int:
    """Exit status of `work`, with one line on stderr for what went wrong.

    2 for bad input, 1 for what broke although the input was good, 130 after Ctrl-C, 128 + n after
    signal n where that is raised (`mint.shell.signals`). A file that cannot be read or written
    counts as bad input, and is named. What the terminal's encoding cannot show is printed escaped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return work() or 0
    except MintError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, RuntimeError) else 2
    except BrokenPipeError:
        # Whoever read the output went away (`| head`); the rest of it goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # A rename names two files, and the first one is only temporary.
        name = error.filename2 or error.filename
        where = "" if name is None else f"{name}: "
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 1 if name is None else 2
    except Signalled as ended:
        _last_words(str(ended))
        return ended.status
    except KeyboardInterrupt:
        _last_words("interrupted")
        return 130


def _last_words(line: str) -> None:
    """Print on stderr; where the terminal is gone, whatever is still printed goes nowhere."""
    try:
        print(line, file=sys.stderr, flush=True)
        sys.stdout.flush()
    except OSError:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def run_parts(
    doc: str,
    parts: Mapping[str, type[T]],
    main: Callable[[T], int | None],
    argv: Sequence[str] | None = None,
    after: str = "",
) -> int:
    """Like `run`, for a command whose first argument names one of several parts.

    Each part has settings of its own.
    """
    name, *rest = [*(sys.argv[1:] if argv is None else argv), ""]
    if name in ("", "-h", "--help"):
        usual = (program(), "PART [key=value ...]", after)
        print(f"usage: {' '.join(filter(None, usual))}\n\n{doc.strip()}\n")
        print(f"Parts: {', '.join(parts)}; `PART --help` lists its keys.")
        return 0 if name else 2
    if name == PRINT_KEYS:
        print("\n".join(parts))
        return 0
    if name not in parts:
        print(f"error: unknown part {name!r}{nearest(name, parts)}", file=sys.stderr)
        return 2
    return run(parts[name], main, rest[:-1], name, after)
