"""All commands under one name: `python -m mint COMMAND ...`, or `mint COMMAND ...`.

`mint train +recipe=mint_tiny` is `python -m mint.train +recipe=mint_tiny`, and so for every one.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence

from mint import __version__
from mint.shell.commands import COMMANDS, docstring, execute, listing


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns, or exits with, its status. 2 for a command that does not exist."""
    first, *rest = [*(sys.argv[1:] if argv is None else argv)] or ["--help"]
    if first in COMMANDS:
        return _command(first, rest)
    if first in ("-h", "--help"):
        print(f"usage: mint COMMAND [key=value ...], or python -m mint.COMMAND\n\n{listing()}")
        print("mint COMMAND --help says more; mint --completion bash, zsh or fish completes words.")
    elif first == "--version":
        print(f"mint {__version__}")
    elif first in ("--completion", "--complete"):
        return _complete(first, rest)
    else:
        close = difflib.get_close_matches(first, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(COMMANDS)}"
        print(f"error: unknown command {first!r}; {hint}", file=sys.stderr)
        return 2
    return 0


def _command(name: str, arguments: Sequence[str]) -> int:
    module = COMMANDS[name]
    if module.startswith("rewards.") and {"-h", "--help"} & set(arguments):
        # What needs no configuration library has no help of the common form either.
        print(f"usage: python -m {module} [key=value ...]\n\n{docstring(module)}")
        return 0
    try:
        execute(name, arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _complete(option: str, arguments: Sequence[str]) -> int:
    from mint.shell.completion import SCRIPTS, candidates

    if option == "--complete":
        print("\n".join(candidates(" ".join(arguments))))
    elif arguments and arguments[0] in SCRIPTS:
        print(SCRIPTS[arguments[0]], end="")
    else:
        print(f"error: --completion needs one of {', '.join(SCRIPTS)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
