"""`make size`: what it counts, what it leaves out, and the limit for a file of this project."""

from __future__ import annotations

from pathlib import Path

import pytest
import size


def function(name: str, lines: int) -> str:
    """A function of so many lines."""
    return "\n".join([f"def {name}():", *["    pass"] * (lines - 1), ""])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project of seven files that count: 3, 4, 5, 6, 7, 8 and 12 lines."""
    contents = {
        "mint/train.py": function("main", 3),
        "mint/data/__init__.py": "",
        "mint/data/read.py": "class A:\n    @property\n    def b(self):\n        pass\n",
        "mint/data/auditing/marks.py": function("look", 5),
        "mint/pages/page.py": function("page", 6),
        "mint/pages/style.css": "a {}\nb {}\n",
        "rewards/formula.py": "# one\n" * 7,
        "rewards/graders/judge.py": function("rate", 8),
        "scripts/tool.py": function("outer", 2) + "    def inner():\n" + 9 * "        pass\n",
        "tests/unit/test_x.py": "x = 1\n" * 500,
        ".venv/lib.py": "x = 1\n" * 500,
        "environment/pyvenv.cfg": "",
        "environment/lib.py": "x = 1\n" * 500,
        "outputs/run.py": "x = 1\n" * 500,
        "notes.txt": "x\n" * 500,
    }
    for name, text in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_lines_are_counted_by_room(tree: Path) -> None:
    found = size.measure(tree)
    assert found.rooms() == {
        "mint/data": [5, 4],
        "mint/pages": [6],
        "mint": [3],
        "rewards": [7],
        "rewards/graders": [8],
        "scripts": [12],
    }
    assert (found.total, found.median_file, found.page_kit) == (45, 6, 8)


def test_functions_are_named_in_full(tree: Path) -> None:
    found = {f"{f.path}:{f.name}": f.lines for f in size.measure(tree).functions}
    assert found == {
        "mint/train.py:main": 3,
        "mint/data/read.py:A.b": 2,
        "mint/data/auditing/marks.py:look": 5,
        "mint/pages/page.py:page": 6,
        "rewards/graders/judge.py:rate": 8,
        "scripts/tool.py:outer": 12,
        "scripts/tool.py:outer.inner": 10,
    }


def test_the_table_shows_rooms_and_the_largest(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert size.main([str(tree)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["mint/data", "9", "2", "4", "5"] in lines
    assert ["all", "45", "7", "6", "12"] in lines
    assert ["12", "scripts/tool.py"] in lines
    assert ["12", "scripts/tool.py:outer"] in lines
    assert lines.count(["3", "mint/train.py"]) == 0, "only the five largest"


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({}, []),
        ({"total": 44}, ["the code outside the tests has 45 lines, more than 44"]),
        ({"median_file": 5}, ["the median file has 6 lines, more than 5"]),
        ({"page_kit": 7}, ["the page kit mint/pages has 8 lines, more than 7"]),
        (
            {"file": 7},
            [
                "rewards/graders/judge.py has 8 lines, more than 7",
                "scripts/tool.py has 12 lines, more than 7",
            ],
        ),
    ],
)
def test_broken_limits_are_named(tree: Path, limits: dict[str, int], says: list[str]) -> None:
    assert size.broken(size.measure(tree), size.Limits(**limits)) == says


def test_check_fails_when_a_limit_is_broken(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert size.main([str(tree), "--check"]) == 0
    (tree / "mint" / "long.py").write_text("x = 1\n" * 301)
    assert size.main([str(tree)]) == 0
    assert size.main([str(tree), "--check"]) == 1
    assert capsys.readouterr().err == "error: mint/long.py has 301 lines, more than 300\n"


def test_a_folder_without_code_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        assert size.main([str(folder)]) == 2
        assert f"error: {folder} holds no Python file" in capsys.readouterr().err


@pytest.mark.slow
def test_no_file_is_longer_than_the_limit(root: Path) -> None:
    found = size.measure(root)
    longest = {str(path): n for path, n in found.files.items() if n > size.Limits().file}
    assert longest == {}
