"""Several models evaluated for one page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_graders import FakeJudge, FakeTagger
from small_models import make_small

from mint.evaluate import main
from mint.evaluation.options import EvaluateSettings
from mint.shell import cli
from rewards.build import Graders


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four conversations of one supporter turn."""
    said = [{"role": "seeker", "content": "hello"}, {"role": "supporter", "content": "tell me"}]
    rows = [{"conversation_id": f"c{i}", "conversation": said} for i in range(4)]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(rows))
    return path


def run(*arguments: str) -> int:
    return cli.run(EvaluateSettings, main, ["protocol=lend_an_ear", "resamples=200", *arguments])


@pytest.mark.slow
def test_models_and_runs_are_evaluated_alike_and_shown_on_one_page(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "mint.evaluation.subjects.ready_graders", lambda *_: Graders(FakeTagger(), FakeJudge())
    )
    base = make_small(tmp_path / "base", seed=1, num_hidden_layers=1)
    make_small(tmp_path / "run" / "model", seed=2, num_hidden_layers=1)
    (tmp_path / "run" / "manifest.json").write_text("{}")
    out = tmp_path / "out"
    arguments = (f"data={data}", f"output={out}", "max_new_tokens=8", "style=plain")
    assert run(f"compare=[start:{base},tuned:{tmp_path}/run]", *arguments) == 0
    assert f"comparison: {out}/comparison.html" in capsys.readouterr().out
    page = (out / "comparison.html").read_text()
    assert "start" in page
    assert "tuned" in page
    assert "first system" in page
    asked = [
        {(json.loads(line)["conversation_id"], json.loads(line)["turn"]) for line in file.open()}
        for file in sorted(out.glob("*/lend_an_ear_replies.jsonl"))
    ]
    assert len(asked) == 2
    assert asked[0] == asked[1] == {(f"c{i}", 0) for i in range(4)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare=[a:base]", "output=OUT"], "two models at least, got 1"),
        (["compare=[base]", "output=OUT"], "compare needs different NAME:MODEL"),
        (["compare=[a:base,a:base]", "output=OUT"], "compare needs different NAME:MODEL"),
        (["compare=[a:base,b:none/at/all]", "output=OUT"], "none/at/all is not a model folder"),
        (["compare=[a:base,b:run]", "output=OUT"], "has no model yet"),
        (["compare=[a:base,b:base]"], "output=DIR is needed"),
        (["compare=[a:base,b:base]", "model=base", "output=OUT"], "leave model= out"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_asked(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text("{}")
    assert run(f"data={data}", *arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "OUT").exists()
