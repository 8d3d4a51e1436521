"""Several runs of a recipe: the spread between them in one table."""

from __future__ import annotations

import random
import re
from pathlib import Path

import evaluation_folders as folders
import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy import stats

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics.summary import summarise
from mint.evaluation.statistics.runs import spread_of
from mint.report import ReportSettings, main
from mint.reporting.comparison.contestants import load_contestants
from mint.reporting.comparison.seeds import same_but_for_the_seed, seeds_section
from mint.rundir.directory import RunDir
from rewards.errors import DataError

demo_run = folders.demo_run
QUICK = EvaluationConfig(resamples=100)


def a_run(path: Path, seed: int, **settings: object) -> RunDir:
    """A run that ended elsewhere because of its seed; `settings` by dotted key."""
    run = demo_run.make_run(path, steps=2)
    config = OmegaConf.load(run.config_path)
    made = {"mint.run.seed": seed, "mint.run.dir": str(path), "data.seed": seed}
    made |= {"trainer.default_local_dir": f"{path}/checkpoints", "mint.run.name": path.name}
    for key, value in {**made, **settings}.items():
        OmegaConf.update(config, key, value)
    OmegaConf.save(config, run.config_path)
    replies = demo_run.replies(0.5 + 0.1 * seed, random.Random(seed))
    demo_run._write_evaluation(run, "after", replies)
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[RunDir]:
    base = tmp_path_factory.mktemp("seeds")
    return [a_run(base / f"run{seed}", seed) for seed in (1, 2, 3)]


def page_of(runs: list[RunDir]) -> str:
    return seeds_section(load_contestants([run.path for run in runs]), QUICK)


def test_spread_is_the_t_interval():
    values = [0.739, 0.704, 0.72, 0.731]
    found = spread_of(values, 0.95)
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert found.interval == pytest.approx(expected)
    assert (found.runs, found.deviation) == (4, pytest.approx(np.std(values, ddof=1)))
    with pytest.raises(DataError, match="needs two runs or more, got 1"):
        spread_of([0.7], 0.95)


def test_the_interval_over_runs_covers_what_it_says():
    rng = np.random.default_rng(0)
    inside = sum(
        low <= 0.0 <= high
        for low, high in (spread_of(rng.normal(size=3), 0.95).interval for _ in range(2000))
    )
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
def test_runs_that_differ_in_the_seed_alone_are_one_group(runs, tmp_path):
    other = a_run(tmp_path / "other", 4, **{"mint.reward.kl": 9.0})
    elsewhere = a_run(tmp_path / "data", 5, **{"mint.data.seed": 1})
    paths = [run.path for run in (*runs, other, elsewhere)]
    groups = same_but_for_the_seed(load_contestants(paths))
    assert [[one.name for one in group] for group in groups] == [
        ["run1 after", "run2 after", "run3 after"],
        ["other after"],
        ["data after"],
    ]
    page = page_of([*runs, other])
    assert re.search(r"<b>other</b>: only one run of these settings \(run1 differs in mint", page)


@pytest.mark.slow
def test_the_table_holds_each_run_mean_deviation_and_interval(runs):
    page = page_of(runs)
    means = []
    for run in runs:
        (one,) = [c for c in load_contestants([run.path]) if c.name.endswith("after")]
        means.append(summarise(one.systems[0].replies, QUICK)["empathy"].mean)
    found = spread_of(means, QUICK.confidence)
    row = re.search(r"<tr>(?:(?!</tr>).)*Empathy<.*?</tr>", page, re.DOTALL).group(0)
    cells = re.findall(r"<td>(.*?)</td>", row)
    assert cells[:3] == [f"{value:.2f}" for value in means]
    assert cells[3] == f"<b>{found.mean:.2f}</b>"
    assert cells[4] == f"{found.deviation:.3f}"
    assert cells[5] == f"[{found.interval.low:.2f}, {found.interval.high:.2f}]"
    assert "Intervals (95%) are over training runs that differ in the seed alone" in page
    assert "seed 2</span>" in page


@pytest.mark.slow
def test_one_run_is_told_that_its_spread_is_not_known(runs, tmp_path, capsys):
    output = tmp_path / "page.html"
    folder = folders.make_evaluation(tmp_path / "plain", 0.15, 1, graders=demo_graders(runs[0]))
    main(ReportSettings(runs=[str(runs[0].path), str(folder)], output=str(output), resamples=100))
    page = output.read_text(encoding="utf-8")
    assert "only one run of these settings, so the spread between runs is not known" in page
    assert "another mint.run.seed" in page


def demo_graders(run: RunDir) -> dict:
    (one,) = [c for c in load_contestants([run.path]) if c.name.endswith("after")]
    return dict(one.systems[0].graders)


@pytest.mark.slow
def test_folders_that_are_no_runs_have_no_seeds(tmp_path):
    paths = [folders.make_evaluation(tmp_path / name, 0.3, 1) for name in ("a", "b")]
    assert seeds_section(load_contestants(paths), QUICK) == ""
