"""The live page of a real training run, watched in a real browser from its start to its end."""

from __future__ import annotations

import re
from typing import Any

import pytest
from training_queue import Trained

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3000)]

# Of what lasts a second, one of two neighbours is enough: the page looks at files now and then.
COURSE = (
    "Evaluating the policy before training|Starting to train",
    r"Starting, \d+ of \d+ phases are over",
    "Training step 2 of 2|All steps are over",
    "Evaluating the trained policy|Writing the report",
    "Finished",
)


def test_a_real_run_is_watched_from_start_to_end(
    trained: Trained, watched: list[dict[str, Any]]
) -> None:
    *seen, end, last = watched
    assert last == {"trouble": [], "server": 0}
    assert {line["status"] for line in seen} == {"running", "finished"}
    doing = [line["doing"] for line in seen]
    at = [[i for i, said in enumerate(doing) if re.match(what, said)][:1] for what in COURSE]
    assert all(at), f"the page has said {doing}"
    assert at == sorted(at)
    steps = [line["steps"] for line in seen]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, 2)
    assert seen[0]["replies"] == 0
    assert seen[-1]["replies"] == len(trained.run.read_samples())
    # The page is the report: it was never loaded again, and ends with all that the report has.
    assert end["opened_once"]
    assert end["outcome"][0] == "Composite reward"
    report = trained.run.report_path.read_text(encoding="utf-8")
    of_report = re.findall(r'<section id="([^"]+)"', report)
    assert of_report
    assert set(of_report) <= set(end["sections"])
