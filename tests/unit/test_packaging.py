"""A built wheel works without the checkout: recipes, demo material and grader weights inside."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("hatchling", reason="requirements/dev.txt brings hatchling")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            str(folder),
            str(root),
        ],
        check=True,
        timeout=300,
    )
    (wheel,) = folder.glob("mint_empathy-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_wheel_holds_what_the_code_reads(unpacked: Path) -> None:
    names = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    expected = {
        "mint/_recipes/base.yaml",
        "mint/_recipes/mint_4b.yaml",
        "mint/_recipes/tuning/prefer_tiny.yaml",
        "mint/_recipes/tuning/sft_tiny.yaml",
        "mint/_data/memory/facts.jsonl",
        "mint/_data/personas/wording.json",
        "mint/_data/supervised/ablations.yaml",
        "mint/_data/supervised/emotions.json",
        "mint/_data/supervised/comments.tsv",
        "mint/config/train.yaml",
        "mint/pages/style.css",
        "mint/pages/explorer.js",
        "mint/watching/live.js",
        "mint/reporting/curves.yaml",
        "mint/reproduction/report/figures.yaml",
        "mint/safety/phrases/crisis.txt",
        "mint/dialogue/prompts/analysis.txt",
        "mint/dialogue/lines.json",
        "mint/_data/persons/deep_empathy.jsonl",
        "mint/_data/sentences/validation.txt",
        "mint/_data/probes/expectations.json",
        "mint/_data/probes/crisis.jsonl",
        "rewards/graders/weights/tagger.npz",
        "rewards/graders/weights/judge.json",
        "rewards/graders/prompts/judge.txt",
        "rewards/graders/prompts/judge_examples.json",
        "rewards/graders/prompts/tagger.txt",
    }
    assert expected <= names
    assert not [name for name in names if name.startswith(("tests/", "outputs/"))]


def test_wheel_works_from_another_folder(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "import mint, mint.shell.paths, pathlib\n"
        f"assert mint.__file__.startswith({str(unpacked)!r}), mint.__file__\n"
        f"assert str(mint.shell.paths.recipes_dir()).startswith({str(unpacked)!r})\n"
        f"assert str(mint.shell.paths.data_dir()).startswith({str(unpacked)!r})\n"
        "from mint.config import compose, recipes\n"
        "recipes.register(recipes.find_recipes())\n"
        "print(compose.compose_config(['+recipe=mint_4b']).actor_rollout_ref.model.path)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "Qwen/Qwen3-4B"
