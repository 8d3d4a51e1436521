"""How large the code is, by room: lines, files, medians, largest files and functions.

    python scripts/size.py [--check] [FOLDER]

Counts the lines of every Python file outside the tests; empty files count for nothing. With
`--check` the exit status is 1 when one of LIMITS is broken.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

PACKAGES = ("mint", "rewards")
PAGE_KIT = Path("mint/pages")
SKIPPED = {"tests", "outputs", "build", "dist", "shared", "__pycache__"}
SHOWN = 5


class Limits(NamedTuple):
    """What `--check` holds the code to, in lines."""

    total: int = 27_000
    """All Python files together."""
    file: int = 300
    """Any one file."""
    median_file: int = 110
    page_kit: int = 1_500
    """The page kit, its style sheet included."""


class Function(NamedTuple):
    """A function or method, without its decorators."""

    lines: int
    path: Path
    name: str


class Size(NamedTuple):
    """What was counted; paths are relative to the project's folder."""

    files: dict[Path, int]
    """Lines of each file that is not empty."""
    functions: list[Function]
    page_kit: int

    @property
    def total(self) -> int:
        return sum(self.files.values())

    @property
    def median_file(self) -> float:
        return median(self.files.values())

    def rooms(self) -> dict[str, list[int]]:
        """Lines of the files of each room of mint/, package of rewards/ and other folder."""
        found: dict[str, list[int]] = {}
        for path, lines in sorted(self.files.items()):
            found.setdefault(room(path), []).append(lines)
        return found


def room(path: Path) -> str:
    """Where a file belongs: `mint/data`, `mint` for a command, `scripts`."""
    parts = path.parts[:-1]
    return "/".join(parts[: 2 if parts and parts[0] in PACKAGES else 1]) or "."


def measure(root: Path) -> Size:
    """Count below `root`. Raises SyntaxError for a file that is not Python."""
    files, functions = {}, []
    for path in python_files(root):
        text = path.read_text(encoding="utf-8")
        if text:
            own = path.relative_to(root)
            files[own] = len(text.splitlines())
            functions += [Function(n, own, name) for name, n in functions_in(ast.parse(text))]
    sheets = (root / PAGE_KIT).rglob("*.css")
    kit = sum(n for path, n in files.items() if PAGE_KIT in path.parents)
    kit += sum(len(path.read_text(encoding="utf-8").splitlines()) for path in sheets)
    return Size(files, functions, kit)


def python_files(folder: Path) -> Iterator[Path]:
    """Python files below a folder, but none of tests, environments, outputs and hidden folders."""
    for path in sorted(folder.glob("*")):
        if path.is_dir():
            hidden = path.name.startswith(".") or path.name in SKIPPED
            if not (hidden or (path / "pyvenv.cfg").exists()):
                yield from python_files(path)
        elif path.suffix == ".py":
            yield path


def functions_in(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Qualified name and number of lines of every function, nested ones as well."""
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}."
            if not isinstance(child, ast.ClassDef):
                yield name[:-1], (child.end_lineno or child.lineno) - child.lineno + 1
        yield from functions_in(child, name)


def broken(size: Size, limits: Limits) -> list[str]:
    """One line for each limit that is not kept."""
    found = [
        f"{what} has {lines:,.0f} lines, more than {limit:,}"
        for what, lines, limit in (
            ("the code outside the tests", size.total, limits.total),
            ("the median file", size.median_file, limits.median_file),
            (f"the page kit {PAGE_KIT}", size.page_kit, limits.page_kit),
        )
        if lines > limit
    ]
    return found + [
        f"{path} has {lines} lines, more than {limits.file}"
        for path, lines in size.files.items()
        if lines > limits.file
    ]


def table(size: Size, limits: Limits) -> Iterator[str]:
    """The figures for a person, line by line."""
    row = "{:<22}{:>8}{:>8}{:>8}{:>9}".format
    yield row("outside the tests", "lines", "files", "median", "largest")
    for name, lines in size.rooms().items():
        yield row(name, f"{sum(lines):,}", len(lines), f"{median(lines):.0f}", max(lines))
    number, largest = len(size.files), max(size.files.values())
    yield row("all", f"{size.total:,}", number, f"{size.median_file:.0f}", largest)
    yield f"\npage kit {PAGE_KIT} with its style sheet: {size.page_kit:,} lines"
    over = sum(lines > limits.file for lines in size.files.values())
    yield f"files over {limits.file} lines: {over}"
    yield "\nlargest files"
    for path, lines in sorted(size.files.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]:
        yield f"{lines:>6}  {path}"
    yield "\nlargest functions"
    for function in sorted(size.functions, key=lambda f: (-f.lines, f.path, f.name))[:SHOWN]:
        yield f"{function.lines:>6}  {function.path}:{function.name}"


def main(arguments: list[str]) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description="How large the code is, by room.")
    parser.add_argument("--check", action="store_true", help="fail when a limit is broken")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    given = parser.parse_args(arguments)
    size, limits = measure(given.folder), Limits()
    if not size.files:
        print(f"error: {given.folder} holds no Python file outside tests", file=sys.stderr)
        return 2
    print("\n".join(table(size, limits)))
    problems = broken(size, limits) if given.check else []
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
