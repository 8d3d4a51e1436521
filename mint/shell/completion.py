"""What can stand next on a command line, and the scripts that ask for it in three shells."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence

from mint.shell.commands import COMMANDS, execute

OPTIONS = ("--help", "--version", "--completion")

SCRIPTS: Mapping[str, str] = {
    "bash": """\
_mint() {
    local line=${COMP_LINE:0:COMP_POINT} word IFS=$'\\n'
    COMPREPLY=($("$1" --complete "$line" 2>/dev/null))
    # Readline takes what follows the last "=" for the word.
    word=${line##*[[:space:]]}
    if [[ $COMP_WORDBREAKS == *=* && $word == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
    fi
    if [[ ${COMPREPLY[0]} == *[=.] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -o default -F _mint mint
""",
    "zsh": """\
_mint() {
    local -a found
    found=(${(f)"$(mint --complete "$LBUFFER" 2>/dev/null)"})
    if (( $#found )); then
        compadd -S '' -- $found
    else
        compset -P '*='
        _files
    fi
}
compdef _mint mint
""",
    "fish": """\
complete -c mint -a '(mint --complete (commandline -cp | string collect) 2>/dev/null)'
""",
}
"""Shell -> what it evaluates at its start."""


def candidates(line: str) -> list[str]:
    """Words that can stand where `line`, a command line up to the cursor, ends."""
    words = line.split()
    current = words.pop() if line[-1:].strip() else ""
    if len(words) < 2:
        offers = [*COMMANDS, *OPTIONS]
    elif words[1] in COMMANDS:
        given = {word.partition("=")[0] for word in words[2:]}
        offers = [o for o in _offers(words[1], words[2:]) if o.partition("=")[0] not in given]
    else:
        offers = ["bash", "zsh", "fish"] if words[1] == "--completion" else []
    fitting = [_until_dot(offer, len(current)) for offer in offers if offer.startswith(current)]
    return list(dict.fromkeys(fitting))


def _offers(name: str, words: Sequence[str]) -> list[str]:
    """What the command itself offers; those of `rewards` cannot say."""
    if not COMMANDS[name].startswith("mint."):
        return ["--help"]
    parts = [word for word in words[:1] if "=" not in word and not word.startswith("-")]
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(SystemExit),
    ):
        execute(name, [*parts, "--print-keys"])
    return [*printed.getvalue().splitlines(), "--help"]


def _until_dot(offer: str, start: int) -> str:
    """A nested key up to its next dot, so that a node is offered before its keys."""
    key = offer.partition("=")[0]
    dot = key.find(".", start)
    return offer if dot < 0 else key[: dot + 1]
