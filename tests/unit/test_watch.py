"""`mint watch`: what its pages say of a run that goes on, is half written, cut or finished."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import demo_run
import psutil
import pytest
from omegaconf import OmegaConf
from starlette.testclient import TestClient

from mint import watch
from mint.reporting.data import ReportData
from mint.rundir.cutting import cut_after
from mint.rundir.directory import RunDir
from mint.rundir.manifest import RunFacts, amend_manifest, finish_manifest, start_manifest
from mint.shell.files import append_json_lines, write_json
from mint.shell.tail import JsonLinesFile
from mint.training import watched as beside
from mint.validation.choice import Validation
from mint.watching import activity as activities
from mint.watching.activity import activity_of
from mint.watching.alarms import alarms_of
from mint.watching.app import application
from mint.watching.board import Board
from mint.watching.follow import Followed
from mint.watching.overview import OverviewPage, SweepPage, make_pages
from mint.watching.pages import RunPage
from mint.watching.words import span

BEGAN = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(BEGAN.timestamp() + seconds, UTC).isoformat(timespec="seconds")


def a_run(path: Path, settings: dict[str, Any] | None = None) -> RunDir:
    """A run that has begun at `BEGAN` and has done nothing yet."""
    run = RunDir.create(path)
    config = OmegaConf.create({"trainer": {"total_training_steps": 50}})
    for key, value in (settings or {}).items():
        OmegaConf.update(config, key, value)
    OmegaConf.save(config, run.config_path)
    start_manifest(run, RunFacts(command=["mint", "train"], recipe="mint_tiny"))
    begin(run, 0)
    return run


def begin(run: RunDir, at: float) -> None:
    """Let the last attempt have begun at a time."""
    manifest = json.loads(run.manifest_path.read_text())
    manifest["attempts"][-1]["started"] = iso(at)
    write_json(run.manifest_path, manifest)


def step(run: RunDir, number: int, at: float, **values: Any) -> None:
    row = {"step": number, "time": iso(at), **{k.replace("__", "/"): v for k, v in values.items()}}
    append_json_lines(run.metrics_path, [row])


def now_of(run: RunDir) -> activities.Activity:
    followed = Followed(run)
    followed.refresh()
    return activity_of(followed.data, followed.phases)


def alarms(run: RunDir, at: float = 1000) -> dict[str, Any]:
    followed = Followed(run)
    followed.refresh()
    now = activity_of(followed.data, followed.phases)
    found = alarms_of(followed.data, now, followed.not_yet, BEGAN.timestamp() + at)
    return {alarm.title: alarm for alarm in found}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.42, "0.4 s"), (12.4, "12 s"), (150, "2 min"), (9000, "2.5 h"), (267_840, "3.1 days")],
)
def test_times_are_in_the_unit_that_fits(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_lines_are_read_once_as_they_come(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "rows.jsonl"
    file = JsonLinesFile(path)
    assert (file.update(), file.rows) == (False, [])
    append_json_lines(path, [{"n": i} for i in range(500)])
    assert file.update()
    parsed: list[Any] = []
    real = json.loads
    monkeypatch.setattr("mint.shell.tail.json.loads", lambda s: parsed.append(s) or real(s))
    assert not file.update()
    append_json_lines(path, [{"n": 500}])
    assert file.update()
    assert (len(file.rows), parsed) == (501, [b'{"n": 500}'])


def test_half_a_row_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n"')
    file = JsonLinesFile(path)
    file.update()
    assert (file.rows, file.broken) == ([{"n": 1}], 0)
    assert not file.update()
    with path.open("ab") as end:
        end.write(b": 2}\n[3]\nnonsense\n\n")
    assert file.update()
    assert (file.rows, file.broken) == ([{"n": 1}, {"n": 2}], 2)


def test_a_file_that_was_cut_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_json_lines(path, [{"n": i} for i in range(9)])
    file = JsonLinesFile(path)
    file.update()
    os.truncate(path, 2 * len('{"n": 0}\n'))
    assert file.update()
    assert [row["n"] for row in file.rows] == [0, 1]
    # Cut and grown beyond where it had been, between two looks.
    with path.open("r+b") as inside:
        inside.truncate(9)
        inside.seek(9)
        inside.write(b'{"n": "other"}\n' * 20)
    assert file.update()
    assert [row["n"] for row in file.rows] == [0, *["other"] * 20]
    path.unlink()
    assert file.update()
    assert file.rows == []


def test_what_a_run_does_from_its_start_to_its_end(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    now = now_of(run)
    assert (now.said, now.since) == ("Evaluating the policy before training", BEGAN.timestamp())
    write_json(run.before_path, {"metrics": {}})
    assert now_of(run).said == "Starting to train"
    at = BEGAN.timestamp()
    append_json_lines(run.start_path, [{"phase": "python", "at": at + 5.0}])
    append_json_lines(run.start_path, [{"phase": "ray", "at": at + 9.0}])
    now = now_of(run)
    assert now.said == "Starting, 2 of 12 phases are over; next: transfer queue up"
    assert (now.since, now.left_s) == (at + 9.0, None)
    for number, when in ((1, 60), (2, 70), (3, 80), (4, 110)):
        step(run, number, when)
    now = now_of(run)
    assert (now.said, now.step, now.total) == ("Training step 5 of 50", 4, 50)
    assert now.since == at + 110
    # Gaps of 10, 10 and 30 s: 16.67 s on average for each of the 46 steps that are left.
    assert now.step_s == pytest.approx(50 / 3)
    assert now.usual_s == 10
    assert now.left_s == pytest.approx(46 * 50 / 3)
    step(run, 50, 800)
    assert now_of(run).said == "All steps are over; saving the model"
    amend_manifest(run, {"export": {"step": 50, "warning": ""}, "stopped": None})
    assert now_of(run).said == "Evaluating the trained policy"
    write_json(run.after_path, {"metrics": {}})
    assert now_of(run).said == "Writing the report"
    finish_manifest(run)
    now = now_of(run)
    assert (now.said, now.running, now.left_s) == ("Finished", False, None)


def test_a_run_that_goes_on_starts_anew(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", {"mint.run.evaluate": False})
    for number in range(1, 9):
        step(run, number, 10 * number)
    followed = Followed(run)
    followed.refresh()
    assert activity_of(followed.data, followed.phases).step == 8
    cut_after(run, 5)
    begin(run, 500)
    followed.refresh()
    assert followed.data.steps == [1, 2, 3, 4, 5]
    now = activity_of(followed.data, followed.phases)
    assert (now.said, now.step) == ("Starting to train", 5)
    step(run, 6, 600)
    followed.refresh()
    now = activity_of(followed.data, followed.phases)
    assert (now.said, now.step_s) == ("Training step 7 of 50", None)


def test_a_run_that_failed_is_the_first_alarm(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    step(run, 1, 10, nonfinite=["policy/grad_norm"])
    finish_manifest(run, "TrainingError: <out of memory>")
    assert now_of(run).said == "Ended: failed"
    found = alarms(run)
    assert list(found) == ["The run has failed", "Numbers that are not finite"]
    page = RunPage(run).draw().sections["alarms"]
    assert "TrainingError: &lt;out of memory&gt;" in page


def test_silence_is_measured_by_the_usual_step(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", {"mint.run.step_timeout_s": 900})
    for number in range(1, 6):
        step(run, number, 20 * number)
    # The fifth step ended at 100 s; five usual steps are 100 s.
    assert "No step for long" not in alarms(run, at=199)
    alarm = alarms(run, at=201)["No step for long"]
    assert not alarm.serious
    assert alarm.threshold.startswith("5 usual steps of 20 s, at least 60 s; after 15 min")
    assert alarms(run, at=1001)["No step for long"].serious
    finish_manifest(run)
    assert "No step for long" not in alarms(run, at=1001)


def test_failing_graders_are_told_by_step_and_by_window(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", {"mint.grading.max_failed_fraction": 0.3})
    step(run, 1, 10, grader__failed_frac=0.0, group__frac_lost=0.0)
    assert alarms(run, 11) == {}
    step(run, 2, 20, grader__failed_frac=0.1)
    alarm = alarms(run, 21)["Replies were not graded"]
    assert alarm.value == "10.0% in the last step, 5.0% over the last 2"
    assert alarm.threshold == "30% of a step, 10% over 20 steps end the run (mint.grading)"
    assert not alarm.serious
    step(run, 3, 30, grader__failed_frac=0.29, group__frac_lost=0.6)
    found = alarms(run, 31)  # 13 % on average is more than 10 %
    assert found["Replies were not graded"].serious
    assert found["Groups gave no gradient"].serious
    assert found["Groups gave no gradient"].value == "60.0% in the last step, 30.0% over the last 2"


def test_collapse_gap_servers_and_agreement(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", {"mint.collapse": {"window": 2, "baseline_steps": 1}})
    openings = (0.2, 0.7, 0.7)
    for number, share in enumerate(openings, start=1):
        values = {"policy__entropy": 1.0, "reply__top_opening": share}
        step(run, number, number, policy__log_prob_pearson=0.995, **values)
    row = Validation(step=3, metrics={"learning_the_judge": 1.0}, score=1.0)
    append_json_lines(run.validations_path, [row.as_row()])
    found = alarms(run, 4)
    assert list(found) == ["Collapse: top opening", "The policy is learning the judge"]
    said = "reply/top_opening 0.700 is above 0.600 for 2 steps (mint.collapse.max_top_opening)"
    assert found["Collapse: top opening"].threshold == said
    step(run, 4, 4, reply__top_opening=0.1, policy__log_prob_pearson=0.91)
    step(run, 5, 5, grader__servers_up_frac=0.5, policy__log_prob_pearson=0.91)
    found = alarms(run, 6)
    assert set(found) == {
        "vLLM and the trainer disagree",
        "Grader servers are down",
        "The policy is learning the judge",
    }
    assert found["vLLM and the trainer disagree"].value == "correlation 0.9100 at step 5"


def test_a_browser_is_sent_what_has_changed() -> None:
    board = Board()
    assert board.show({"a": "1", "b": "2"})
    first = board.seen
    assert board.news("") == board.news("nonsense-1") == {"a": "1", "b": "2"}
    assert board.news(first) == {}
    assert not board.show({"a": "1"})
    assert board.show({"b": "3"})
    assert (board.news(first), board.news(board.seen)) == ({"b": "3"}, {})
    assert board.news(first.split("-")[0] + "-" + "9" * 50) == {"a": "1", "b": "3"}
    assert Board().news(first) == {}, "nothing is shown yet"


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
def test_the_page_is_the_report_and_nothing_is_written(tmp_path: Path) -> None:
    run = demo_run.make_run(tmp_path / "run")
    before = snapshot(tmp_path)
    drawn = RunPage(run).draw()
    assert snapshot(tmp_path) == before
    html = "".join(drawn.sections.values())
    for anchor in ("alarms", "now", "outcome", "reward", "newest", "all-replies", "facts", "notes"):
        assert html.count(f'<section id="{anchor}"') == 1, anchor
        assert anchor in drawn.links
    assert demo_run.HOSTILE not in html
    assert "Not yet" not in html
    assert drawn.head.status == "finished"


@pytest.mark.slow
def test_only_what_a_step_changes_is_drawn_again(tmp_path: Path) -> None:
    run = demo_run.make_run(tmp_path / "run")
    page, board = RunPage(run), Board()
    board.show(page.draw().parts)
    seen = board.seen
    board.show(page.draw().parts)
    assert board.seen == seen
    run.append_metrics(25, {"reward/raw/mean": 1.0, "time/step_s": 9.0})
    board.show(page.draw().parts)
    changed = {name.split("-")[0] for name in board.news(seen)}
    assert changed == {"header", "alarms", "now", "training"}
    assert "25 training steps" in board.parts["header"]


@pytest.mark.slow
def test_a_half_written_file_is_not_there_yet(tmp_path: Path) -> None:
    run = demo_run.make_run(tmp_path / "run", steps=3)
    page = RunPage(run)
    whole = run.after_path.read_text()
    outcome = page.draw().sections["outcome-outcome_section"]
    run.after_path.write_text(whole[: len(whole) // 2])
    half = page.draw()
    assert half.sections["outcome-outcome_section"] == outcome
    assert "A file is not there yet" in half.sections["alarms"]
    assert "after.json" in half.sections["alarms"]
    run.after_path.write_text(whole)
    assert "A file is not there yet" not in page.draw().sections["alarms"]


@pytest.mark.slow
@pytest.mark.parametrize("content", ["{}", "[]", "3", '{"status": 7, "graders": {}}', ""])
def test_a_manifest_of_any_content_leaves_a_page(tmp_path: Path, content: str) -> None:
    run = demo_run.make_run(tmp_path / "run", steps=2)
    run.manifest_path.write_text(content)
    drawn = RunPage(run).draw()
    assert "Reward during training" in "".join(drawn.sections.values())


def test_a_run_with_a_hostile_name_and_hostile_replies(tmp_path: Path) -> None:
    run = demo_run.make_run(tmp_path / '"><script>alert(1)<', steps=2, evaluated=False)
    amend_manifest(run, {"recipe": None})
    sample = json.loads(run.samples_path.read_text().splitlines()[-1])
    for key in ("seeker", "reply", "conversation_id", "rank"):
        sample[key] = f"</script><script>alert('{key}')</script>"
    sample |= {"sentences": [], "tactics": [], "tricks": ["<i onclick=x>"], "step": 3}
    append_json_lines(run.samples_path, [sample])
    drawn = RunPage(run).draw()
    other = demo_run.make_run(tmp_path / "&amp;<b>", steps=2, evaluated=False)
    overview = OverviewPage([RunPage(run), RunPage(other)], "Two").draw()
    for html in [*drawn.parts.values(), overview.parts["header"], overview.parts["runs"]]:
        assert "<script>alert" not in html
        assert "<i onclick" not in html
        assert "<b>/" not in html
    assert "alert('reply')" in drawn.sections["newest"]


def test_the_newest_replies_can_be_filtered_by_rating(tmp_path: Path) -> None:
    run = demo_run.make_run(tmp_path / "run", steps=90, evaluated=False)
    html = RunPage(run).draw().sections["newest"]
    data = json.loads(re.search(r'id="newest-data">(.*?)</script>', html).group(1))
    assert len(data["rows"]) == 120
    assert data["rows"][0]["place"].startswith("step 90 ·")
    assert {row["system"] for row in data["rows"]} == {"best", "worst"}
    # Quality 0.8 and 0.3 on a scale from 1 to 5.
    assert {round(row["values"]["rating"], 2) for row in data["rows"]} == {4.2, 2.2}
    assert data["columns"][0] == {"key": "rating", "title": "Empathy", "digits": 2}


def test_dialogues_have_traces_of_emotion(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    turn = {"raw": "r", "visible": "I hear you.", "well_formed": True, "tokens": 3}
    turn |= {"complete": True, "change": 8.0, "reason": "heard", "message": "Thanks", "faults": []}
    talk = {"person": "p1", "intention": "be_heard", "seed": 1, "seeker": "s", "start": 40.0}
    talk |= {"opening": "Hello", "opening_faults": [], "ended": "satisfied", "lost": None}
    talk["turns"] = [{**turn, "emotion": 48.0}, {**turn, "emotion": 71.0}]
    rows = [
        {"step": n, "uid": "u", "rank": rank, "reward": 1.0, "dialogue": talk}
        for n in (1, 2)
        for rank in ("best", "worst")
    ]
    append_json_lines(run.samples_path, rows)
    html = RunPage(run).draw().sections["newest"]
    assert "Emotion, step 2" in html
    assert "Emotion, step 1" not in html
    assert "best, p1: 40 at turn 0, 71 at turn 2, lowest 40, highest 71." in html
    assert "I hear you." in html


def test_several_runs_are_laid_over_each_other(tmp_path: Path) -> None:
    runs = [demo_run.make_run(tmp_path / name, steps=4, evaluated=False) for name in "ab"]
    config = OmegaConf.load(runs[1].config_path)
    OmegaConf.update(config, "actor_rollout_ref.actor.optim.lr", 0.5)
    OmegaConf.save(config, runs[1].config_path)
    page = make_pages([run.path for run in runs])
    assert isinstance(page, OverviewPage)
    drawn = page.draw()
    assert list(drawn.links) == ["runs", "curves", "differences"]
    assert re.findall(r'<a href="(/run/\d/)">', drawn.sections["runs"]) == ["/run/0/", "/run/1/"]
    lines = re.findall(r'<path class="line (c\d)"', drawn.sections["curves"])
    assert {"c0", "c1"} <= set(lines)
    assert "actor_rollout_ref.actor.optim.lr" in drawn.sections["differences"]


@pytest.mark.slow
def test_a_sweep_shows_jobs_as_they_begin(tmp_path: Path) -> None:
    def job(name: str, kl: str) -> dict[str, Any]:
        return {
            "state": "running",
            "attempts": 1,
            "label": f"kl {kl}",
            "setting": f"kl {kl}",
            "choices": {"mint.reward.kl": kl},
            "overrides": [],
            "dir": str(tmp_path / name),
            "trial": None,
            "status": None,
            "error": None,
        }

    demo_run.make_run(tmp_path / "kl-0", steps=3)
    sweep = {"command": "mint sweep x", "fixed": [], "jobs": {"kl-0": job("kl-0", "0")}}
    sweep["jobs"]["kl-1"] = job("kl-1", "1")
    write_json(tmp_path / "sweep.json", sweep)
    page = make_pages([tmp_path])
    assert isinstance(page, SweepPage)
    drawn = page.draw()
    assert [run.followed.run.path.name for run in page.runs] == ["kl-0"]
    assert '<section id="results"' in drawn.sections["sweep-results"]
    assert '<a href="/run/0/">kl 0</a>' in drawn.sections["sweep-jobs"]
    assert not (tmp_path / "sweep.html").exists()
    demo_run.make_run(tmp_path / "kl-1", steps=3, evaluated=False)
    drawn = page.draw()
    assert [run.followed.run.path.name for run in page.runs] == ["kl-0", "kl-1"]
    assert '<a href="/run/1/">kl 1</a>' in drawn.sections["sweep-jobs"]
    (tmp_path / "sweep.json").write_text('{"jobs"')
    assert len(page.draw().sections) == len(drawn.sections)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give run directories or the folder of a sweep, or --demo alone"),
        (["--demo", "{run}"], "give run directories"),
        (["{none}"], "run directory .*none does not exist"),
        (["{empty}"], "is not a run directory"),
        (["{run}", "{run}"], "a run is given twice"),
        (["{run}", "{sweep}"], "is a sweep: watch it alone"),
        (["{run}", "host=0.0.0.0"], "host=0.0.0.0 can be reached .* token_file=FILE"),
        (["{run}", "host=0.0.0.0", "token_file={none}"], "token_file .*none cannot be read"),
        (["{run}", "port=-1"], r"port must be in 0\.\.65535, got -1"),
    ],
)
def test_bad_arguments_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    places = {name: tmp_path / name for name in ("run", "none", "empty", "sweep")}
    for name in ("run", "empty", "sweep"):
        places[name].mkdir()
    (places["run"] / "metrics.jsonl").touch()
    write_json(places["sweep"] / "sweep.json", {"jobs": {}})
    shown = [argument.format(**places) for argument in arguments]
    from mint.shell import cli

    assert cli.run(watch.WatchSettings, watch.main, shown) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(says, line)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    import asyncio

    runs = [demo_run.make_run(tmp_path / "runs" / n, steps=2, evaluated=False) for n in "ab"]
    (tmp_path / "runs" / "secret.json").write_text("a secret beside the runs")
    app = application(make_pages([r.path for r in runs]), None, "mint", asyncio.Event())
    return TestClient(app, "http://127.0.0.1", raise_server_exceptions=False)


@pytest.mark.slow
def test_runs_have_pages_and_nothing_else_has(client: TestClient) -> None:
    home = client.get("/")
    assert home.status_code == 200
    assert "/run/1/" in home.text
    one = client.get("/run/1/")
    assert one.status_code == 200
    assert '<a href="/">All runs</a>' in one.text
    assert 'data-part="alarms"' in one.text
    assert client.get("/scripts/live.js").status_code == 200
    for path in ("/run/2/", "/run/-1/", "/run/x/", "/run/1/secret.json", "/secret.json", "/run//"):
        assert client.get(path).status_code == 404, path
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/run/1/").status_code in (403, 405)


PIECES = (
    *(
        "..",
        "%2e%2e",
        "%2f",
        "..%5c",
        "/",
        "run",
        "0",
        "1",
        "events",
        "scripts",
        "live.js",
        "login",
    ),
    *("secret.json", "etc/passwd", "%00", "%ff", "<script>", "{{7*7}}", "'", ";", "?seen=", "&"),
    *("metrics.jsonl", "a" * 3000, "\u2603", "-1", "1e9", "99999999999999999999", "~", "\\", " "),
)
METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW", "")
HEADERS = ("origin", "cookie", "last-event-id", "content-length", "range", "authorization", "te")


def bad_request(rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return rng.randbytes(rng.randint(1, 300)) + b"\r\n\r\n"
    path = "/" + "/".join(rng.choice(PIECES) for _ in range(rng.randint(1, 5)))
    path = rng.choice([path] * 9 + ["/", "/run/0/"])
    lines = [f"{rng.choice(METHODS)} {path} HTTP/1.1", "Connection: close"]
    lines += rng.choice([["Host: 127.0.0.1"]] * 5 + [["Host: evil.example"], []])
    for name in rng.sample(HEADERS, rng.randint(0, 2)):
        said = "".join(chr(rng.randint(32, 255)) for _ in range(rng.randint(0, 40)))
        lines.append(f"{name}: {said}")
    body = rng.randbytes(rng.randint(0, 200)) if rng.random() < 0.2 else b""
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer_to(port: int, sent: bytes) -> bytes:
    """All that is answered; what is never ended (events) is left after 64 KiB or 2 s."""
    got = b""
    client = socket.create_connection(("127.0.0.1", port), timeout=2)
    with client, contextlib.suppress(OSError):
        client.sendall(sent)
        while len(got) < 65536 and (more := client.recv(65536)):
            got += more
    return got


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A real server of two runs, with a secret beside them."""
    runs = [demo_run.make_run(tmp_path / "runs" / n, steps=2, evaluated=False) for n in "ab"]
    (tmp_path / "runs" / "secret.json").write_text("a secret beside the runs")
    command = [sys.executable, "-m", "mint.watch", *(str(run.path) for run in runs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield int(re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())[1])
        assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_thousand_bad_requests_leave_it_up(port: int, tmp_path: Path) -> None:
    """Seeded garbage: nothing breaks, nothing outside is read, nothing is written."""
    rng, statuses = random.Random(5), set()
    before = snapshot(tmp_path)
    for _ in range(1000):
        sent = bad_request(rng)
        got = answer_to(port, sent)
        assert b"a secret beside the runs" not in got
        assert b"root:" not in got
        if got:
            statuses.add(int(got.split()[1]))
    assert {200, 400, 404, 405, 421} <= statuses
    assert not any(status >= 500 for status in statuses)
    assert b"mint watch" in answer_to(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert snapshot(tmp_path) == before


@pytest.mark.slow
def test_two_thousand_steps_are_watched_for_little(tmp_path: Path) -> None:
    """A look that finds nothing is cheap; a new step is drawn without reading the old ones."""
    run = demo_run.make_run(tmp_path / "run", steps=1, evaluated=False)
    rng = random.Random(1)
    from mint.watching.invented import invented_metrics, invented_samples

    rows = [{"step": n, **finite(invented_metrics(n, 2000, rng))} for n in range(2, 2001)]
    append_json_lines(run.metrics_path, rows)
    append_json_lines(
        run.samples_path, [r for n in range(2, 2001) for r in invented_samples(n, rng)]
    )
    page = RunPage(run)
    page.draw()
    began = time.process_time()
    for _ in range(20):
        page.draw()
    idle = (time.process_time() - began) / 20
    run.append_metrics(2001, invented_metrics(2001, 2000, rng))
    began = time.process_time()
    page.draw()
    step = time.process_time() - began
    assert idle < 0.02, "a look a second: 2 % of a core"
    assert step < 2.0


def finite(values: dict[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in values.items()}


def _command_line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@pytest.mark.slow
def test_a_run_starts_and_ends_its_page(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "_LAST_LOOK_S", 0.0)
    run = demo_run.make_run(tmp_path / "run", steps=2, evaluated=False)
    out = ""
    with beside.watched(run):
        end = time.monotonic() + 60
        while "http://" not in out and time.monotonic() < end:
            time.sleep(0.2)
            out += capfd.readouterr().out
        found = re.search(r"watching .*run: (http://127\.0\.0\.1:\d+)/", out)
        assert found, out
        guards = [p for p in psutil.process_iter() if str(run.path) in _command_line(p)]
        assert guards
    _, alive = psutil.wait_procs(guards, timeout=20)
    assert alive == []


@pytest.mark.slow
def test_nothing_is_known_of_a_run_without_files(tmp_path: Path) -> None:
    followed = Followed(RunDir(tmp_path / "gone"))
    followed.refresh()
    assert isinstance(followed.data, ReportData)
    assert activity_of(followed.data, []).said == "No manifest yet"
