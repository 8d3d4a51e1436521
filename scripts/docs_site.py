"""Build the documentation as a site: `make docs`, or python scripts/docs_site.py [--output FOLDER].

The pages lie all over the project (docs/, README.md, recipes/, data/, mint/verl/) and link to each
other and to code as files. They are copied with what they link to, in the same places, to a folder
that mkdocs turns into pages; a link that leads nowhere ends it. The navigation is docs/README.md.
Nothing on the site is loaded from elsewhere.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
INDEX = "docs/README.md"
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "outputs" / "site")
    output = parser.parse_args(argv).output.resolve()
    status = build(ROOT, output)
    if status == 0:
        print(output / "index.html")
    return status


def build(root: Path, output: Path) -> int:
    """Write the site of a project to `output`; returns mkdocs' exit status, which is not 0 when a
    link leads nowhere."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        stage(root, work / "pages")
        settings = work / "mkdocs.yml"
        content = {
            "INHERIT": str(ROOT / "mkdocs.yml"),
            "docs_dir": str(work / "pages"),
            "site_dir": str(output),
            "nav": navigation(root),
        }
        settings.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(settings)]
        quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # advertising of the theme
        return subprocess.run(command, env=quiet, check=False).returncode


def pages(root: Path) -> list[Path]:
    """The Markdown files that become pages."""
    found = [root / "README.md", root / "CONTRIBUTING.md", root / "CHANGELOG.md"]
    found += [root / "recipes/README.md", root / "mint/verl/README.md"]
    found += sorted((root / "docs").rglob("*.md"))
    found += [p for p in sorted((root / "data").rglob("*.md")) if not _built(p)]
    return found


def stage(root: Path, target: Path) -> None:
    """Copy the pages, and the files that they link to, to the same places below `target`."""
    for page in pages(root):
        copy = target / page.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = page.read_text(encoding="utf-8")
        parts = _FENCE.split(text)
        # Every second part is a block of code, in which nothing is a link.
        link = functools.partial(_staged, page=page, root=root, target=target)
        parts[::2] = [_LINK.sub(link, part) for part in parts[::2]]
        copy.write_text("".join(parts), encoding="utf-8")


def navigation(root: Path) -> list[Any]:
    """The sections and links of docs/README.md, in mkdocs' form."""
    text = (root / INDEX).read_text(encoding="utf-8")
    found: list[Any] = [{"Home": "README.md"}, {"All pages": INDEX}]
    known = {page.relative_to(root).as_posix() for page in pages(root)}
    for title, body in re.findall(r"^\*\*(.+?)\*\*\n\n(.*?)(?=^\*\*|\Z)", text, re.DOTALL | re.M):
        links = [(said, _place(root, root / "docs", to)) for _, said, to in _LINK.findall(body)]
        entries = [{_title(said): place} for said, place in links if place in known]
        found.append({title: entries})
    return found


def _staged(match: re.Match[str], page: Path, root: Path, target: Path) -> str:
    """The link as it is on the site; the words alone where it leads to a folder."""
    picture, said, to = match.groups()
    if re.match(r"[a-z]+:|#", to):
        return match[0]
    inner = _LINK.sub(functools.partial(_staged, page=page, root=root, target=target), said)
    path, _, anchor = to.partition("#")
    place = (page.parent / path).resolve()
    if place.is_dir() and (place / "README.md").is_file():
        path, place = f"{path.rstrip('/')}/README.md", place / "README.md"
    if place.is_dir():
        return said
    if place.is_file() and place.suffix != ".md":
        copy = target / place.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place, copy)
    return f"{picture}[{inner}]({path}{f'#{anchor}' if anchor else ''})"


def _place(root: Path, folder: Path, to: str) -> str:
    place = (folder / to.partition("#")[0]).resolve()
    place = place / "README.md" if place.is_dir() else place
    return place.relative_to(root.resolve()).as_posix()


def _title(said: str) -> str:
    """What a page is called in the navigation: "run-directory.md" -> "Run directory"."""
    words = said.removesuffix(".md").replace("-", " ").replace("`", "")
    return words[:1].upper() + words[1:]


def _built(path: Path) -> bool:
    return bool({"raw", "built"} & set(path.parts))


def external(html: str) -> Iterator[str]:
    """Addresses elsewhere that a page would load."""
    loaded = r"<(?:script|img|iframe|source)\b[^>]*>|<link\b[^>]*stylesheet[^>]*>"
    for tag in re.findall(loaded, html):
        yield from re.findall(r'(?:src|href)="(https?:[^"]+|//[^"]+)"', tag)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
