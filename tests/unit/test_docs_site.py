"""The documentation as a site: strict links, nothing from elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import docs_site
import pytest


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, str(root / "scripts/docs_site.py"), "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == str(output / "index.html")
    return output


@pytest.mark.slow
def test_every_page_is_there_and_loads_nothing_from_elsewhere(root: Path, site: Path) -> None:
    for page in docs_site.pages(root):
        place = page.relative_to(root).with_suffix(".html")
        html = (site / (place if place.stem != "README" else place.with_stem("index"))).read_text()
        assert list(docs_site.external(html)) == [], place
    assert (site / "docs/images/report.png").is_file()
    assert (site / "rewards/formula.py").is_file()


@pytest.mark.slow
def test_the_navigation_is_the_index(root: Path, site: Path) -> None:
    nav = docs_site.navigation(root)
    titles = [title for entry in nav for title in entry]
    assert titles[:3] == ["Home", "All pages", "Start"]
    start = next(entry["Start"] for entry in nav if "Start" in entry)
    assert {"Run directory": "docs/run-directory.md"} in start
    html = (site / "docs/publishing.html").read_text(encoding="utf-8")
    assert "Run directory" in html


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of a few pages."""
    for folder in ("docs", "recipes", "mint/verl", "data"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("CONTRIBUTING.md", "CHANGELOG.md", "recipes/README.md", "mint/verl/README.md"):
        (tmp_path / name).write_text("x\n")
    (tmp_path / "code.py").write_text("x = 1\n")
    (tmp_path / "docs/README.md").write_text("**Start**\n\n- [a.md](a.md)\n")
    (tmp_path / "docs/a.md").write_text("# b\n")
    (tmp_path / "README.md").write_text(
        "[the `mint` folder](mint) [verl](mint/verl) [code](code.py) [![a](code.py)](docs/a.md#b)\n"
        "```sh\n[not a link](mint)\n```\n"
    )
    return tmp_path


@pytest.mark.slow
def test_a_link_to_a_folder_becomes_words_and_blocks_stay(project: Path) -> None:
    docs_site.stage(project, project / "out")
    assert (project / "out/README.md").read_text() == (
        "the `mint` folder [verl](mint/verl/README.md) [code](code.py) "
        "[![a](code.py)](docs/a.md#b)\n```sh\n[not a link](mint)\n```\n"
    )
    assert (project / "out/code.py").read_text() == "x = 1\n"


@pytest.mark.slow
@pytest.mark.parametrize("link", ["gone.md", "README.md#gone"])
def test_a_link_that_leads_nowhere_ends_it(
    project: Path, link: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "docs/a.md").write_text(f"# b\n[there]({link})\n")
    assert docs_site.build(project, project / "site") != 0
    assert "gone" in capfd.readouterr().err
