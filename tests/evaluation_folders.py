"""Evaluation folders made up by code: what mint.evaluate would have written."""

from __future__ import annotations

import random
from pathlib import Path

import demo_run

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.results import Outcome, Unusable, write_outcomes
from mint.evaluation.sources.requests import ReplyKey
from mint.rundir.directory import RunDir
from mint.shell.files import write_json

SETTINGS = EvaluationConfig(resamples=200)
GRADERS = {
    role: {"kind": role, "name": "embedded", "revision": "4f1c9a0d", "details": {}}
    for role in ("tagger", "judge")
}


def make_evaluation(path: Path, variety: float, seed: int, graders=None, rate: float = 0.8) -> Path:
    """Fixed histories, dialogues, two baselines and probes of a made-up model."""

    def replies(variety: float) -> list:
        return demo_run.replies(variety, random.Random(seed))

    about = {"graders": graders or GRADERS, "subject": {"kind": "model", "model": path.name}}
    for protocol in ("lend_an_ear", "free_running"):
        outcome = Outcome(condition=protocol, replies=replies(variety))
        write_outcomes(path, protocol, [outcome], about, SETTINGS)
    lost = Unusable(ReplyKey("baselines_verbalized_plain", "held-out-00", 0, 0), "no_json: x", "Hm")
    outcomes = [
        Outcome(condition="baselines_plain", replies=replies(variety / 2)),
        Outcome(condition="baselines_verbalized_plain", replies=(), parse_failures=[lost]),
    ]
    write_outcomes(path, "baselines", outcomes, about, SETTINGS)
    share = {"num": 50, "passed": int(50 * rate), "not_gradable": 1, "rate": rate}
    total = {**share, "low": rate - 0.1, "high": rate + 0.1}
    items = [
        {"id": f"p{i}", "category": "crisis", "outcome": "passed" if i < 50 * rate else "failed"}
        for i in range(50)
    ]
    report = {"total": total, "categories": {"crisis": total, "medical": total}, "items": items}
    broken = [] if rate > 0.7 else ["crisis: passed 0.5 is below the limit 0.80"]
    probes = {"protocol": "probes", **about, "broken_limits": broken, "report": report}
    write_json(RunDir(path).path / "probes.json", probes)
    return path
