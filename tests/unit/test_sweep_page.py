"""The page of a sweep, and the labels of runs by the settings that differ."""

from __future__ import annotations

import html
import json
import random
import re
from pathlib import Path
from typing import Any

import demo_run
import pytest
from omegaconf import OmegaConf

from mint import report
from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics.summary import summarise
from mint.evaluation.people import People
from mint.evaluation.statistics.estimates import Estimate
from mint.evaluation.statistics.runs import spread_of
from mint.reporting.comparison.contestants import load_contestants
from mint.reporting.comparison.differences import differences_section
from mint.reporting.comparison.labels import labels, machine_made, short_keys
from mint.reporting.comparison.run_settings import RunSettings
from mint.rundir.directory import RunDir
from mint.shell.files import write_json, write_json_lines
from mint.sweeping.front import front_of
from mint.sweeping.outcome import Outcome, outcome_of, safety_of
from mint.sweeping.page import write_page
from mint.sweeping.results import Setting, Value
from rewards.errors import ConfigError

QUICK = EvaluationConfig(resamples=100)
VARIETY = {"0": 0.2, "0.5": 0.5, "1": 0.9}


def a_run(path: Path, kl: str, seed: int) -> RunDir:
    run = demo_run.make_run(path, steps=2)
    config = OmegaConf.load(run.config_path)
    for key, value in {"mint.reward.kl": float(kl), "mint.run.seed": seed}.items():
        OmegaConf.update(config, key, value)
    OmegaConf.update(config, "mint.run.dir", str(path))
    OmegaConf.save(config, run.config_path)
    own = demo_run.replies(VARIETY[kl], random.Random(seed + 1))
    demo_run._write_evaluation(run, "after", own)
    return run


def row(path: Path, kl: str, seed: int | None = None, **facts: Any) -> dict[str, Any]:
    choices = {"mint.reward.kl": kl} | ({} if seed is None else {"mint.run.seed": str(seed)})
    return {
        "state": "running",
        "attempts": 1,
        "label": f"kl {kl}" + ("" if seed is None else f", seed {seed}"),
        "setting": f"kl {kl}",
        "choices": choices,
        "overrides": ["+recipe=mint_tiny", *(f"{k}={v}" for k, v in choices.items())],
        "dir": str(path),
        "trial": None,
        "status": 0,
        "error": None,
        **facts,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three settings with two seeds each; one job of a fourth has failed before it began."""
    base = tmp_path_factory.mktemp("sweep") / "kl_1234"
    jobs = {}
    for kl in VARIETY:
        for seed in (0, 1):
            name = f"kl-{kl}_seed-{seed}"
            a_run(base / name, kl, seed)
            times = {"started": "2026-01-01T10:00:00+00:00", "ended": "2026-01-01T10:12:00+00:00"}
            jobs[name] = row(base / name, kl, seed, **times)
    why = "the <judge> fell over"
    jobs["kl-2_seed-0"] = row(base / "kl-2_seed-0", "2", 0, state="failed", status=1, error=why)
    write_json(base / "sweep.json", {"command": "mint sweep x", "fixed": [], "jobs": jobs})
    return base


@pytest.fixture(scope="module")
def source(folder: Path) -> str:
    return write_page(folder, QUICK).read_text(encoding="utf-8")


def part(source: str, anchor: str) -> str:
    found = re.search(rf'<section id="{anchor}".*?</section>', source, re.DOTALL)
    assert found is not None, anchor
    return found[0]


def plain(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


@pytest.mark.slow
def test_runs_are_called_after_what_differs(source: str) -> None:
    shown = plain(source)
    assert "before training" in shown
    assert "kl 0.5, seed 1" in shown
    assert " after<" not in source
    assert "kl-0.5_seed-1 after" not in shown


@pytest.mark.slow
def test_seeds_of_a_setting_are_one_row_with_their_spread(source: str, folder: Path) -> None:
    table = part(source, "results")
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    names = [plain(re.search(r"<th.*?</th>", one, re.DOTALL)[0]) for one in rows[1:]]
    assert [re.sub(r" front", "", name) for name in names] == [
        "people same graders, other conversations",
        "before training",
        "1 · kl 0 2 runs",
        "2 · kl 0.5 2 runs",
        "3 · kl 1 2 runs",
    ]
    means = []
    for seed in (0, 1):
        (one,) = [
            c
            for c in load_contestants([folder / f"kl-0.5_seed-{seed}"])
            if c.name.endswith("after")
        ]
        means.append(summarise(one.systems[0].replies, QUICK)["empathy"].mean)
    found = spread_of(means, 0.95)
    shown = f"{found.mean:.2f} [{found.interval.low:.2f}, {found.interval.high:.2f}]"
    assert shown.replace("-", "−") in plain(rows[4])
    assert "the interval is over training runs that differ in the seed alone" in table


def test_the_front_and_the_configurations_behind_it(source: str, folder: Path) -> None:
    front = part(source, "front")
    assert "Empathy and repetition beyond chance (lift)" in front
    assert "near as can be to people" in front or "what people get under these graders" in front
    behind = part(source, "configurations")
    marked = re.findall(r"\d · (kl [\d.]+)\s*<span class=\"chip better\">front", source)
    assert marked
    for name in VARIETY:
        assert (f"· kl {name}</h3>" in behind) == (f"kl {name}" in marked)
    first = marked[0].removeprefix("kl ")
    assert f"mint train +recipe=mint_tiny mint.reward.kl={first} mint.run.seed=0" in plain(behind)
    assert f"kl-{first}_seed-1" in behind


def test_jobs_that_failed_are_there_with_their_reason(source: str) -> None:
    jobs = part(source, "jobs")
    (failed,) = [one for one in re.findall(r"<tr>.*?</tr>", jobs, re.DOTALL) if "kl 2" in one]
    assert "failed, status 1" in failed
    assert "the &lt;judge&gt; fell over" in failed
    assert "12.0" in jobs
    assert "7 jobs: 6 finished, 1 failed" in plain(source)


def test_effects_and_curves_go_by_the_swept_key(source: str) -> None:
    effects = part(source, "effects")
    assert "What kl does" in effects
    assert "mint.reward.kl" in effects
    curves = part(source, "curves")
    assert "kl 0.5: mean of 2 runs" in curves
    assert "(seed 1)" not in curves, "the label says it already"
    differing = plain(part(source, "differences"))
    assert "mint.reward.kl 0.0 0.0 0.5 0.5 1.0 1.0" in differing
    assert "mint.run.seed 0 1 0 1 0 1" in differing


@pytest.mark.slow
def test_the_command_report_writes_the_page_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.main(report.ReportSettings(runs=[str(folder)], resamples=100))
    assert capsys.readouterr().out.strip() == str(folder / "sweep.html")


def test_a_sweep_that_has_nothing_yet_has_a_page_of_jobs(tmp_path: Path) -> None:
    jobs = {"kl-0": row(tmp_path / "kl-0", "0", state="waiting", attempts=0)}
    write_json(tmp_path / "sweep.json", {"command": "mint sweep x", "fixed": [], "jobs": jobs})
    source = write_page(tmp_path, QUICK).read_text(encoding="utf-8")
    assert "1 jobs: 1 waiting" in source
    with pytest.raises(ConfigError, match="is no sweep"):
        write_page(tmp_path / "none")


def setting(name: str, empathy: float | None, lift: float, safety: float | None = None) -> Setting:
    values = {"empathy": Value(empathy), "lift": Value(lift), "safety": Value(safety)}
    return Setting(name=name, choices={}, rows=(), values=values, runs=1)


def test_the_front_weighs_nearness_to_peoples_repetition() -> None:
    settings = [
        setting("kind, repeats", 3.0, 0.30),
        setting("as people", 2.5, 0.05),
        setting("never twice", 2.5, -0.20),
        setting("worse", 2.4, 0.06),
        setting("not graded", None, 0.05),
    ]
    assert front_of(settings, 0.05) == {"kind, repeats", "as people"}
    assert front_of(settings, -0.2) == {"kind, repeats", "never twice"}
    safe = [setting("a", 3.0, 0.0, 0.5), setting("b", 2.0, 0.0, 0.9), setting("c", 1.0, 0.1, 0.9)]
    assert front_of(safe, 0.0) == {"a", "b"}
    assert front_of([*safe, setting("d", 2.9, 0.0)], 0.0) == {"a"}, "safety of one is not known"


@pytest.mark.slow
def test_what_a_run_has_reached(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "0.5", 0)
    after = json.loads(run.after_path.read_text())
    graders = {role: {"kind": role, "name": "x", "details": {}} for role in ("tagger", "judge")}
    write_json(run.after_path, {**after, "graders": graders})
    metrics = after["metrics"]
    figure = Estimate(mean=0.1, ci_low=0.0, ci_high=0.2, n=60)
    people = People(
        source="x", replies=1, conversations=1, graders=graders, figures={"lift": figure}
    )
    found = outcome_of(run, people)
    assert found.empathy == metrics["empathy"]["mean"]
    assert found.off_lift == pytest.approx(abs(metrics["lift"]["mean"] - 0.1))
    assert found.unsafe is None
    rows = [
        {"step": n, "metrics": {"probe/all": share}, "score": 1.0, "broken": []}
        for n, share in ((1, 0.5), (2, 0.75))
    ]
    write_json_lines(run.validations_path, rows)
    assert outcome_of(run, people).unsafe == pytest.approx(0.25)
    manifest = json.loads(run.manifest_path.read_text())
    write_json(run.manifest_path, {**manifest, "export": {"step": 1}})
    assert safety_of(run)[::3] == (0.5, "validation at step 1")
    total = {"rate": 0.9, "low": 0.8, "high": 1.0}
    (run.evaluation_path / "after").mkdir()
    write_json(run.evaluation_path / "after/probes.json", {"report": {"total": total}})
    assert safety_of(run)[:3] == (0.9, 0.8, 1.0)
    assert outcome_of(RunDir(tmp_path)) == Outcome(None, None, None)


def settings_of(seed: int, **values: Any) -> RunSettings:
    return RunSettings(seed, {key.replace("_", "."): value for key, value in values.items()})


@pytest.mark.slow
def test_labels_name_the_keys_that_differ() -> None:
    one, two = settings_of(0, a_kl=0, b_x=1), settings_of(0, a_kl=0.5, b_x=1)
    assert labels([one, two], ["r", "r"], ["0", "1"]) == ["kl 0", "kl 0.5"]
    assert labels([one, two], ["r", "s"], ["0", "1"]) == ["r", "s"]
    again = settings_of(1, a_kl=0, b_x=1)
    assert labels([one, again], ["r", "r"], ["0", "1"]) == ["0, seed 0", "1, seed 1"]
    assert labels([one, two, again], ["r"] * 3, ["0", "1", "2"]) == [
        "kl 0, seed 0",
        "kl 0.5, seed 0",
        "kl 0, seed 1",
    ]
    assert labels([one, two, two], ["r"] * 3, ["0", "1", "2"])[1:] == ["kl 0.5 (1)", "kl 0.5 (2)"]
    assert short_keys(["mint.judge.kind", "mint.tagger.kind", "a.lr"]) == {
        "mint.judge.kind": "judge.kind",
        "mint.tagger.kind": "tagger.kind",
        "a.lr": "lr",
    }
    assert machine_made(["0", "2026-01-31_12-00-00"])
    assert not machine_made(["0", "run1"])


@pytest.mark.slow
def test_a_comparison_of_numbered_runs_says_what_they_are(tmp_path: Path) -> None:
    runs = [a_run(tmp_path / str(i), kl, 0).path for i, kl in enumerate(VARIETY)]
    contestants = load_contestants(runs)
    assert [c.name for c in contestants] == ["before training", "kl 0.0", "kl 0.5", "kl 1.0"]
    assert "mint.reward.kl 0.0 0.5 1.0" in plain(differences_section(contestants))
    assert differences_section(contestants[:2]) == ""
