"""SAGE's leaderboard from released dialogues: the real files, and what such files may hold."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from mint import reproduce
from mint.config.evaluation import EvaluationConfig
from mint.dialogue.persons import released_person
from mint.dialogue.protocol import INTENTIONS
from mint.evaluation.statistics.multiple_tests import sign_test
from mint.reproduction.sage.measure import curve, estimates, turns_to_success
from mint.reproduction.sage.page import render
from mint.reproduction.sage.published import plain
from mint.reproduction.sage.read import SageDialogue, read_file
from mint.reproduction.sage.results import as_json, keys_of, reproduce_sage
from mint.reproduction.settings import ReproduceSettings
from mint.shell import cli
from rewards.errors import ConfigError, DataError

pytestmark = pytest.mark.slow

PUBLISHED = {
    "gpt-4.1_result": (68.2, 35, 13),
    "gpt-4.5_result": (62.7, 23, 15),
    "claude3.7_result": (54.8, 19, 24),
    "deepseek-v3-0324_result": (54.4, 19, 23),
    "llama3.3-70b_result": (33.3, 7, 47),
    "qwen2.5-72b_result": (19.1, 4, 70),
}
FEW = EvaluationConfig(resamples=500)


@pytest.fixture(scope="module")
def released(upstream: Path) -> Path:
    folder = upstream.parent / "sage"
    assert folder.is_dir(), f"{folder}, real data, is missing"
    return folder


@pytest.fixture(scope="module")
def results(released):
    return reproduce_sage(settings_of(released), lambda *_: None)


def settings_of(folder: Path, **more) -> ReproduceSettings:
    return ReproduceSettings(sage=str(folder), output="unused", resamples=500, **more)


def raw(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def dialogue(profile="p", final=50.0, emotions=(40.0,), intention="advice") -> SageDialogue:
    return SageDialogue(
        profile=profile, intention=intention, character="c", final=final, emotions=emotions
    )


def write(folder: Path, name: str, lines: list, end: str = "\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path = folder / f"{name}_result.jsonl"
    path.write_text("\n".join(texts) + end, encoding="utf-8")
    return path


def test_every_released_file_gives_the_published_numbers(results, released):
    models = as_json(results)["models"]
    assert set(models) == {path.stem for path in released.rglob("*_result.jsonl")}
    for stem, (score, success, failure) in PUBLISHED.items():
        found = models[stem]
        assert list(found) == ["score", "success", "failure"]
        assert found["score"] == pytest.approx(score, abs=0.0501)
        assert (found["success"], found["failure"]) == (success, failure)


def test_the_numbers_are_exact_means_of_emo_point(results, released):
    for path in released.rglob("*_result.jsonl"):
        finals = [row["emo_point"] for row in raw(path)]
        found = as_json(results)["models"][path.stem]
        assert found == {
            "score": fmean(finals),
            "success": 100.0 * sum(e >= 100 for e in finals) / len(finals),
            "failure": 100.0 * sum(e < 10 for e in finals) / len(finals),
        }
    assert results.notes == ()


def test_every_published_cell_is_checked_and_reproduces(results):
    cells = [
        results.leaderboard.reproduces(name, one.estimates[name].mean, value)
        for one in results.models.values()
        for name, value in results.leaderboard.row(one).items()
    ]
    assert len(cells) == 18
    assert all(cells)


def test_intervals_are_those_of_a_plain_bootstrap_over_profiles(results, released):
    [path] = released.rglob("gpt-4.1_result.jsonl")
    finals = np.array([row["emo_point"] for row in raw(path)], float)
    rng = np.random.default_rng(0)
    means = finals[rng.integers(0, 100, (4000, 100))].mean(axis=1)
    found = results.models["gpt-4.1_result"].estimates["score"]
    assert found.ci_low == pytest.approx(np.quantile(means, 0.025), abs=1.2)
    assert found.ci_high == pytest.approx(np.quantile(means, 0.975), abs=1.2)


def test_pairs_of_released_models_by_hand(results, released):
    first, second = (
        {row["id"]: row["emo_point"] for row in raw(next(released.rglob(f"{name}.jsonl")))}
        for name in ("gpt-4.1_result", "qwen2.5-72b_result")
    )
    [pair] = [
        p for p in results.pairs if {p.first, p.second} == {"gpt-4.1_result", "qwen2.5-72b_result"}
    ]
    assert (pair.first, pair.profiles) == ("gpt-4.1_result", 100)
    assert pair.difference == pytest.approx(fmean(second[i] - first[i] for i in first))
    gained = sum(second[i] >= 100 > first[i] for i in first)
    lost = sum(first[i] >= 100 > second[i] for i in first)
    assert (pair.gained, pair.lost) == (gained, lost)
    assert pair.success_p_value == sign_test(gained, lost) < 1e-6
    assert pair.p_value == pytest.approx(2 / 501)
    assert len(results.pairs) == 15
    [near] = [
        p
        for p in results.pairs
        if {p.first, p.second} == {"claude3.7_result", "deepseek-v3-0324_result"}
    ]
    assert near.difference == pytest.approx(-0.4)
    assert near.holm > 0.5


def test_curves_and_intentions_of_released_files(results, released):
    [path] = released.rglob("llama3.3-70b_result.jsonl")
    rows = raw(path)
    own = results.models["llama3.3-70b_result"]
    lists = [[t["emotion-point"] for t in r["history"] if t["role"] == "user"] for r in rows]
    assert own.curve.means[0] == 40.0
    assert own.curve.means[4] == pytest.approx(fmean(e[min(4, len(e) - 1)] for e in lists))
    assert own.curve.means[-1] == pytest.approx(33.25)
    assert own.curve.talking[-1] == sum(len(e) == 10 for e in lists)
    by = defaultdict(list)
    for row in rows:
        by[released_person(row).intention].append(row["emo_point"])
    assert set(by) == set(INTENTIONS)
    assert set(own.characters) == {"passive", "negative", "avoidant"}
    for name, finals in by.items():
        assert own.intentions[name]["score"].mean == pytest.approx(fmean(finals))
    assert own.turns_to_success == tuple(sorted(len(e) - 1 for e in lists if e[-1] >= 100))


def test_the_command_writes_numbers_and_a_page(released, tmp_path, capsys):
    output = tmp_path / "out"
    arguments = [f"sage={released}", f"output={output}", "resamples=200"]
    assert reproduce.main(cli.parse(ReproduceSettings, arguments)) == 0
    assert json.loads((output / "sage.json").read_text())["models"]["gpt-4.5_result"] == {
        "score": 62.7,
        "success": 23.0,
        "failure": 15.0,
    }
    page = (output / "report.html").read_text()
    assert page.count('class="ok"') == 18
    assert "seeker&#x27;s turn" in page
    assert "training step" not in page
    assert "published values reproduced: 18 of 18" in "".join(capsys.readouterr())


def test_numbers_in_every_form_and_other_first_turns(tmp_path):
    path = write(
        tmp_path / "s",
        "odd name, v1.0 (日本)",
        [
            {"id": "a", "emo_point": "100", "history": json.dumps([{"role": "user"}])},
            "",
            {"id": 2, "emo_point": 9.5, "history": [{"role": "assistant", "content": "hi"}]},
            {"id": "c", "emo_point": "[40, 55, 70]"},
            {"id": "d", "emo_point": [40, "12.5"], "main_cha": "passive"},
            "   ",
            {"id": "e", "emo_point": 101, "history": [{"role": "user", "emo_point": "40"}, None]},
        ],
        end="",
    )
    file = read_file(path)
    assert [one.final for one in file.dialogues] == [100.0, 9.5, 70.0, 12.5, 101.0]
    assert [one.profile for one in file.dialogues] == ["a", "2", "c", "d", "e"]
    assert file.dialogues[0].emotions == (None,)
    assert file.dialogues[1].emotions == ()
    assert file.dialogues[4].emotions == (40.0,)
    assert file.dialogues[3].character == "passive"
    assert [one.success for one in file.dialogues] == [True, False, False, False, True]
    assert [one.failure for one in file.dialogues] == [False, True, False, False, False]
    assert (file.model, file.simulator, file.lines) == ("odd name, v1.0 (日本)", "s", 5)
    assert file.notes == ()


def test_bad_lines_are_named_and_the_rest_counts(tmp_path):
    whole = {"id": "a", "emo_point": 60}
    history = [{"role": "user", "emotion-point": 40}, {"role": "user", "emotion-point": 15}]
    path = write(
        tmp_path,
        "resumed",
        [
            whole,
            '{"id": "b", "emo_poi',
            [1],
            whole,
            {"id": "a", "emo_point": 20},
            {"id": "c", "emo_point": None, "history": history},
            {"id": "d", "emo_point": True},
            {"emo_point": 30},
            {"id": "f", "emo_point": float("nan")},
        ],
    )
    file = read_file(path)
    assert [one.final for one in file.dialogues] == [60, 20, 15, 30]
    said = [note.removeprefix(f"{path}:") for note in file.notes]
    assert [int(note.split(":")[0]) for note in said] == [2, 3, 4, 5, 6, 7, 8, 9]
    for note, word in zip(
        said,
        (
            "not JSON",
            "a list",
            "same as line 1",
            "line 1 too; both",
            "15, is used",
            "neither",
            "no id",
            "neither",
        ),
        strict=True,
    ):
        assert word in note


def test_a_line_separator_inside_a_reply_ends_no_line(tmp_path):
    path = tmp_path / "x_result.jsonl"
    row = {"id": "a", "emo_point": 60, "history": [{"role": "user", "content": "a\u2028b\x85c"}]}
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(row, ensure_ascii=False).encode() + b"\r\n")
    assert len(read_file(path).dialogues) == 1


@pytest.mark.parametrize("content", ["", "\n\n", "{}\n", "no\n"])
def test_a_file_without_dialogues_is_refused_by_name(tmp_path, content):
    path = tmp_path / "x_result.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=r"x_result\.jsonl: none of"):
        read_file(path)


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(ConfigError, match="holds no"):
        reproduce_sage(settings_of(tmp_path), lambda *_: None)
    with pytest.raises(ConfigError, match="is not a folder"):
        reproduce_sage(settings_of(tmp_path / "absent"), lambda *_: None)


@pytest.mark.parametrize("given", [{}, {"sage": "a", "upstream": "b"}])
def test_exactly_one_source_is_given(given):
    with pytest.raises(ConfigError, match="exactly one of upstream=PATH and sage=PATH"):
        ReproduceSettings(output="x", **given)


def test_a_profile_met_twice_is_one_cluster():
    twice = [dialogue("a", 100), dialogue("a", 0), dialogue("b", 50), dialogue("c", 50)]
    found = estimates(twice, FEW)["score"]
    assert (found.mean, found.n) == (50.0, 4)
    # Whatever is drawn, the two of profile a come together and average 50.
    assert (found.ci_low, found.ci_high) == (pytest.approx(50), pytest.approx(50))


def test_curve_keeps_those_who_have_left_and_skips_what_is_not_known():
    found = curve(
        [
            dialogue(emotions=(40.0, 0.0)),
            dialogue(emotions=(40.0, 50.0, 60.0)),
            dialogue(emotions=(None, None, 90.0)),
        ]
    )
    assert found.means == (40.0, 25.0, 50.0)
    assert found.talking == (3, 3, 2)


def test_turns_to_success_counts_replies_until_100():
    succeeded = dialogue(final=100, emotions=(90.0, 95.0, 100.0))
    assert turns_to_success([succeeded, dialogue(), dialogue(final=100, emotions=())]) == (2,)


def test_two_simulators_of_one_model_are_compared(tmp_path):
    finals = {"first": [0, 50, 100, 60], "second": [10, 40, 100, 100]}
    for simulator, values in finals.items():
        rows = [{"id": str(i), "emo_point": value} for i, value in enumerate(values)]
        write(tmp_path / simulator, "gpt", [*rows, {"id": simulator, "emo_point": 5}])
    results = reproduce_sage(settings_of(tmp_path), lambda *_: None)
    assert set(as_json(results)["models"]) == {"first/gpt_result", "second/gpt_result"}
    [one] = results.agreement
    assert (one.model, one.first, one.second, one.profiles) == ("gpt", "first", "second", 4)
    assert one.difference == pytest.approx(10.0)
    assert one.spearman == pytest.approx(4.5 / (5 * 4.5) ** 0.5)  # ranks 1 2 4 3 and 1 2 3.5 3.5
    # Outcomes 0 1 2 1 against 1 1 2 2: 1 - (4 * 2) / 16.
    assert one.kappa == pytest.approx(1 - 8 / 16)
    assert results.pairs == ()
    assert "gpt: second" in render(results)


def test_a_page_of_the_least_there_can_be(tmp_path):
    write(tmp_path, "a<b>", [{"emo_point": 50}])
    results = reproduce_sage(settings_of(tmp_path), lambda *_: None)
    page = render(results)
    assert "a&lt;b&gt;" in page
    assert "a<b>" not in page
    assert "record no emotion" in page
    assert "No two files" in page
    assert as_json(results)["details"]["a<b>_result"]["score"]["ci_low"] is None


def test_keys_stay_the_stem_unless_it_repeats(tmp_path):
    paths = [write(tmp_path / s, n, [{"emo_point": 1}]) for s, n in (("x", "a"), ("y", "b"))]
    assert keys_of([read_file(path) for path in paths]) == ["a_result", "b_result"]
    assert keys_of([read_file(paths[0])]) == ["a_result"]


def test_names_match_whatever_their_spelling():
    assert plain("GPT-4o-latest") == plain("gpt4o_latest")
    assert plain("claude3.7") == plain("Claude-3.7") != plain("claude3.7-think")
