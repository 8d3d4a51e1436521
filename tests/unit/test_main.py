"""`mint COMMAND`, its help, its completion, and what every command line has in common."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mint import __version__
from mint.__main__ import main
from mint.shell import cli
from mint.shell.commands import COMMANDS, STAGES, summary
from mint.shell.completion import SCRIPTS, candidates
from rewards.errors import ConfigError

MODELS = {
    *("torch", "transformers", "sklearn", "scipy", "sentence_transformers", "tokenizers"),
    *("vllm", "verl", "ray", "peft", "datasets", "huggingface_hub"),
}
READS_TABLES = {"synthetic", "prepare", "audit", "rate", "report", "evaluate", "bench"}
"""Commands that load pyarrow at once."""


def python(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


def loaded_by(arguments: list[str]) -> tuple[int, str, set[str]]:
    """Exit status and output of `mint ARGUMENTS`, and the packages it has imported."""
    done = python(
        "import sys\n"
        "from mint.__main__ import main\n"
        f"sys.argv = ['mint', *{arguments!r}]\n"
        "try:\n    status = main()\n"
        "except SystemExit as end:\n    status = end.code\n"
        "print(status or 0, *{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    status, *names = done.stderr.splitlines()[-1].split()
    return int(status), done.stdout, set(names)


def test_the_list_of_commands_is_complete(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    modules = {path.stem for path in (root / "mint").glob("*.py") if path.stem[0] != "_"}
    assert modules | {"bench", "policy", "fit", "card"} == set(COMMANDS)
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert main([]) == 0
    assert capsys.readouterr().out == text
    for name, module in COMMANDS.items():
        line = re.search(rf"^  {name} +(\S.*)$", text, flags=re.MULTILINE)
        assert line is not None, name
        assert line[1] == summary(module)
        assert len(line[0]) <= 100
        assert "`" not in line[1]


def test_the_page_of_commands_is_complete(root: Path) -> None:
    page = (root / "docs/commands.md").read_text(encoding="utf-8")
    rows = [
        f"| {stage} | `{name}` | `{module}` | {summary(module)} |"
        for stage, commands in STAGES.items()
        for name, module in commands.items()
    ]
    assert "\n".join(rows) in page
    for shell in SCRIPTS:
        assert f"mint --completion {shell}" in page


@pytest.mark.slow
def test_listing_imports_no_library() -> None:
    status, _, packages = loaded_by(["--help"])
    assert status == 0
    assert not packages & (MODELS | {"numpy", "hydra", "omegaconf", "yaml", "rich", "pyarrow"})


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_one_form_and_loads_no_model(name: str) -> None:
    status, text, packages = loaded_by([name, "--help"])
    assert status == 0
    assert text.startswith(f"usage: python -m {COMMANDS[name]} ")
    assert text.splitlines()[1] == ""
    assert len(text.splitlines()) > 4
    assert not packages & (
        MODELS | ({"pyarrow"} - ({"pyarrow"} if name in READS_TABLES else set()))
    )


@pytest.mark.slow
def test_a_command_is_run_as_python_does(tmp_path: Path) -> None:
    """Same output, same exit status, same usage line."""
    for arguments in (["tiny", "--help"], ["tiny", "output="], ["tiny", "seed=x", "output=y"]):
        ways = (["-m", "mint", *arguments], ["-m", f"mint.{arguments[0]}", *arguments[1:]])
        done = [
            subprocess.run([sys.executable, *way], capture_output=True, cwd=tmp_path, check=False)
            for way in ways
        ]
        assert done[0].returncode == done[1].returncode
        assert (done[0].stdout, done[0].stderr) == (done[1].stdout, done[1].stderr)


def test_version_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mint {__version__}\n"
    assert main(["trian"]) == 2
    assert "unknown command 'trian'; did you mean 'train'?" in capsys.readouterr().err
    assert main(["xyzzy"]) == 2
    assert "there are synthetic, persons, prepare" in capsys.readouterr().err
    assert main(["--completion", "tcsh"]) == 2
    assert "--completion needs one of bash, zsh, fish" in capsys.readouterr().err


# ---- completion


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("mint pre", ["prepare", "prefer"]),
        ("mint --ver", ["--version"]),
        ("mint --completion z", ["zsh"]),
        ("mint nothing ", []),
        ("mint train +recipe=mint_4b_k", ["+recipe=mint_4b_kl_entropy"]),
        ("mint train +recipe=mint_tiny +rec", []),
        ("mint train mint.rew", ["mint.reward."]),
        ("mint train mint.reward.ent", ["mint.reward.entropy="]),
        ("mint tag in", ["input="]),
        ("mint rate ex", ["export"]),
        ("mint rate export a", ["a=", "a_name="]),
        ("mint rate export a=1 a", ["a_name="]),
        ("mint probe limits.cri", ["limits.crisis="]),
        ("mint card ", ["--help"]),
    ],
)
def test_what_can_stand_next(line: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["mint"])
    assert candidates(line) == words


@pytest.fixture
def on_path(root: Path, tmp_path: Path) -> dict[str, str]:
    """Environment of a shell that finds `mint`."""
    script = tmp_path / "bin" / "mint"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mint "$@"\n')
    script.chmod(0o755)
    path = f"{script.parent}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(root), "TERM": "dumb", "HISTFILE": "/dev/null"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("mint aud", "audit"),
        ("mint train +recipe=mint_t", "mint_tiny"),
        ("mint judge out", "output="),
        ("mint prepare input=", ""),
    ],
)
def test_bash_completes(line: str, reply: str, on_path: dict[str, str]) -> None:
    """What bash hands to its completion function, and what comes back, word breaks and all."""
    words = re.sub("=", " = ", line).split()
    script = (
        f"{SCRIPTS['bash']}\nCOMP_LINE='{line}' COMP_POINT={len(line)}\n"
        f"COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:' COMP_WORDS=({' '.join(words)})\n"
        "_mint mint; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=on_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (reply, "")


@pytest.mark.slow
def test_the_tab_key_completes_in_bash(on_path: dict[str, str], tmp_path: Path) -> None:
    master, slave = os.openpty()
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=on_path,
        cwd=tmp_path,
        start_new_session=True,
    )
    os.close(slave)
    typed = 'eval "$(mint --completion bash)"\n: ; mint --vers\t> shown\nexit\n'
    os.write(master, typed.encode())
    try:
        while os.read(master, 4096):
            pass
    except OSError:
        pass  # Linux ends a closed terminal with an error
    os.close(master)
    assert shell.wait(timeout=60) == 0
    assert (tmp_path / "shown").read_text() == f"mint {__version__}\n"


# ---- what every command line has in common


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Settings inside settings."""

    crisis: float = 0.8
    """A share."""
    medical: float | None = None
    """Another."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the tests set."""

    output: str
    """Where it goes."""
    share: float = 0.1
    """How much."""
    names: list[str] = field(default_factory=list)
    """Which."""
    compact: bool | None = None
    """Short."""
    limits: Inner = field(default_factory=Inner)
    """Limits."""


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("limits.crises=0.9", "unknown key 'limits.crises'; did you mean 'limits.crisis'?"),
        ("limits={crises: 1}", "unknown key 'limits.crises'; did you mean 'limits.crisis'?"),
        ("limits.xyz=1", "unknown key 'limits.xyz'; allowed: limits.crisis, limits.medical"),
        ("limit.crisis=1", "unknown key 'limit.crisis'; did you mean 'limits'?"),
        ("share=abc", "share must be a number, got 'abc'"),
        ("limits.crisis=high", "limits.crisis must be a number, got 'high'"),
        ("limits.medical=x", "limits.medical must be a number or null, got 'x'"),
        ("names=x", "names must be a list [a,b,...], got 'x'"),
        ("compact=maybe", "compact must be true or false or null, got 'maybe'"),
        ("limits=3", "limits takes no value but has keys of its own, such as limits.crisis="),
        ("share.of=3", "share must be a number"),
        ("--share", "--share needs a value: share=..."),
        ("word", "expected key=value, got 'word'"),
        ("output=b", "output is given twice"),
    ],
)
def test_a_bad_argument_names_the_key_and_what_it_takes(argument: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cli.parse(Settings, ["output=a", argument])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arguments_become_settings() -> None:
    given = ["output=a", "--compact", "names=[x,y]", "limits.medical=0.5", "share=1"]
    assert cli.parse(Settings, given) == Settings(
        output="a", compact=True, names=["x", "y"], limits=Inner(medical=0.5), share=1.0
    )
    assert cli.parse(Settings, ["output=a", "limits={crisis: 1}"]).limits == Inner(crisis=1.0)


def test_help_names_type_default_and_nested_keys() -> None:
    text = " ".join(cli.usage(Settings).split())
    assert "output=... [key=value ...] What the tests set." in text
    for part in (
        "Where it goes. (text, required)",
        "How much. (a number, default 0.1)",
        "Which. (a list [a,b,...], default [])",
        "Short. (true or false or null, default null)",
        "Limits. (keys limits.crisis, limits.medical)",
    ):
        assert part in text


def _rename() -> None:
    raise OSError(errno.EISDIR, "Is a directory", "/x/.a.tmp", None, "/x/a")


def _full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _missing() -> None:
    Path("/no/such/file").read_text(encoding="utf-8")


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("work", "status", "says"),
    [
        (lambda: None, 0, ""),
        (lambda: 3, 3, ""),
        (_missing, 2, "error: /no/such/file: No such file or directory\n"),
        (_rename, 2, "error: /x/a: Is a directory\n"),
        (_full, 1, "error: No space left on device\n"),
        (_interrupt, 130, "interrupted\n"),
    ],
)
def test_what_goes_wrong_is_one_line(
    work: Callable[[], int | None], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.guarded(work) == status
    assert capsys.readouterr().err == says


@pytest.mark.slow
def test_a_reader_that_went_away_ends_a_command_quietly() -> None:
    command = f"{sys.executable} -m mint.probe list=- | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("{")
    assert done.stderr == ""


@pytest.mark.slow
def test_what_the_terminal_cannot_show_is_escaped() -> None:
    code = (
        "import sys; from mint.shell import cli; sys.exit(cli.guarded(lambda: print('caf\\u00e9')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "caf\\xe9\n")
