"""EQ-Bench v2: published scores from raw answers, odd answers, and a model that is asked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from loopback import Answer, chat

from mint.config.evaluation import EvaluationConfig
from mint.evaluate import main as evaluate_command
from mint.evaluation.eq_bench.questions import read_questions
from mint.evaluation.eq_bench.released import score_file
from mint.evaluation.eq_bench.scoring import (
    Passes,
    penalty,
    read_ratings,
    score_answer,
    score_pass,
    summarise,
)
from mint.evaluation.generation import Generation
from mint.evaluation.options import EvaluateSettings
from mint.evaluation.protocols import eq_bench
from mint.evaluation.sources.requests import Sampling, SubjectError
from mint.shell import cli
from rewards.errors import ConfigError, DataError
from rewards.types import Failure

FEW = EvaluationConfig(resamples=100)
REFERENCE = {"angry": 8.0, "hurt": 5.0, "relieved": 0.0, "proud": 2.0}
RIGHT = "Angry: 8\nHurt: 5\nRelieved: 0\nProud: 2"
BOTH = f"First pass scores:\n{RIGHT}\n\nCritique: fine.\n\nRevised scores:\n{RIGHT}\n"


@pytest.fixture(scope="module")
def published(upstream: Path) -> Path:
    folder = upstream.parent / "eq-bench"
    assert folder.is_dir(), f"{folder}, real data, is missing"
    return folder


@pytest.fixture(scope="module")
def questions_file(published: Path) -> Path:
    return published / "data" / "eq_bench_v2_questions_171.json"


@pytest.fixture(scope="module")
def scored(published, questions_file):
    """(content of the file, its run scored anew) of every published file."""
    questions = read_questions(questions_file)
    files = sorted((published / "results").glob("*.json"))
    assert len(files) >= 13
    return [(json.loads(f.read_text()), *score_file(f, questions, FEW)) for f in files]


def test_every_published_score_comes_out_to_its_last_digit(scored):
    for content, run in scored:
        assert round(run.result.score, 2) == content["benchmark_score"], run.name
        assert run.result.parsed == content["n_questions_parseable"]
        assert run.result.valid is content["benchmark_success"] is True
        assert run.published == content["benchmark_score"]


def test_every_answer_is_read_as_its_file_records(scored):
    count = 0
    for content, run in scored:
        assert run.read_otherwise == ()
        assert run.notes == ()
        [recorded] = content["raw_results"].values()
        for _, number, passes in run.answers:
            row = recorded["individual_scores"][number]
            assert (passes.first is None) is (row["first_pass_score"] is None)
            assert (passes.revised is None) is (row["revised_score"] is None)
            count += 1
    assert count == 13 * 171 - 14 - 1 - 2


def test_a_distance_of_five_costs_five(scored, questions_file):
    # With 6.5 / (1 + exp(-1.2)) = 4.995 in its place one run is 0.012 off.
    assert penalty(5) == 5
    assert penalty(4.999) == pytest.approx(4.9946, abs=1e-3)


@pytest.mark.parametrize(
    ("distance", "cost"), [(0, 0), (1, 0.1729), (2, 0.5406), (3, 1.5046), (4, 3.25), (6, 6)]
)
def test_penalties_of_the_second_version(distance, cost):
    assert penalty(distance) == pytest.approx(cost, abs=5e-5)


def test_scores_at_both_ends():
    assert score_answer(REFERENCE, BOTH, True) == Passes(10.0, 10.0)
    zeros = dict.fromkeys("abcd", 0.0)
    assert score_pass(zeros, dict.fromkeys("ABCD", "10")) == pytest.approx(10 - 0.7477 * 40)


@pytest.mark.parametrize(
    ("text", "revises", "first", "revised"),
    [
        (BOTH.replace("Angry", "**Angry**").replace("First", "## First"), True, 10, 10),
        (BOTH.lower().replace("first", "First").replace("revised", "Revised"), True, 10, 10),
        (f"{RIGHT}\n\nExplanation: Angry at 7, he", False, 10, None),
        (BOTH.replace("Proud: 2\n\nC", "Proud: 2\nSad: 4\n\nC"), True, None, 10),
        (BOTH.replace("Proud: 2\n\nC", "\n\nC"), True, None, 10),
        (BOTH.replace("Angry: 8", "Angry: 8.5"), True, 10, 10),
        (BOTH.partition("Critique")[0], True, None, None),
        (f"{BOTH}\nRevised scores:\nAngry: 7", True, 10, 10 - 0.7477 * penalty(1)),
        ("", True, None, None),
    ],
)
def test_published_rules(text, revises, first, revised):
    found = score_answer(REFERENCE, text, revises)
    assert found == Passes(
        None if first is None else pytest.approx(first),
        None if revised is None else pytest.approx(revised),
    )


@pytest.mark.parametrize(
    "text",
    [
        BOTH.replace(": ", ":"),
        BOTH.replace(": ", " - "),
        BOTH.replace("First pass scores", "First-pass").replace("Revised scores", "Revised"),
        BOTH.upper(),
        BOTH.replace("Proud: 2", "Proud: 2/10\nSad: 9"),
        BOTH.replace("Angry: 8", "- **Angry** = 8.0").replace("scores:", "score"),
    ],
)
def test_other_forms_are_read_where_the_published_rules_read_nothing(text):
    assert score_answer(REFERENCE, text, True, free=True) == Passes(10.0, 10.0)
    assert score_answer(REFERENCE, "Angry a lot", True, free=True) == (None, None)


def test_one_pass_of_the_published_rules_is_not_completed():
    text = BOTH.replace("Revised scores:\nAngry: 8", "Revised scores:\nAngry:8")
    assert score_answer(REFERENCE, text, True, free=True) == Passes(10.0, None)


def test_the_last_rating_of_an_emotion_counts():
    assert read_ratings("Hurt: 1\nHurt: 2", False) == ({"Hurt": "2"}, {})


@pytest.mark.parametrize(
    ("first", "revised", "score", "parsed", "counts"),
    [
        ([5.0] * 20, [6.0] * 20, 60.0, 20, "revised"),
        ([5.0] * 20, [5.0] * 19, 50.0, 19, "revised"),
        ([5.0] * 20, [6.0] * 18, 50.0, 20, "first_pass"),
        ([5.0] * 20, [4.0] * 20, 50.0, 20, "first_pass"),
        ([], [4.0] * 20, 40.0, 20, "revised"),
        ([], [], None, 0, "first_pass"),
    ],
)
def test_which_pass_counts(first, revised, score, parsed, counts):
    size = max(len(first), len(revised))
    first, revised = ([*own, *[None] * (size - len(own))] for own in (first, revised))
    answers = [(str(i), Passes(a, b)) for i, (a, b) in enumerate(zip(first, revised, strict=True))]
    found = summarise(answers, 20, 1, FEW)
    assert (found.score, found.parsed, found.counts) == (score, parsed, counts)
    assert found.valid is (parsed >= 17)


def write_questions(folder: Path) -> Path:
    answer = {f"emotion{i}": name.title() for i, name in enumerate(REFERENCE, 1)}
    answer |= {f"emotion{i}_score": str(value) for i, value in enumerate(REFERENCE.values(), 1)}
    prompt = "How would they feel?\nFirst pass scores:\nRevised scores:\n"
    row = {"prompt": prompt, "reference_answer_fullscale": answer}
    path = folder / "questions.json"
    path.write_text(json.dumps({"1": row, "2": row}))
    return path


def test_several_runs_and_iterations(tmp_path):
    wrong = BOTH.replace("Angry: 8", "Angry: 0")
    iterations = {
        "1": {"raw_inference": {"1": BOTH, "2": wrong, "99": BOTH, "3": None}},
        "2": {"raw_inference": {"1": BOTH}},
        "3": {},
    }
    path = tmp_path / "results.json"
    path.write_text(
        json.dumps({"a": {"iterations": iterations}, "b": {"iterations": {"1": iterations["2"]}}})
    )
    first, second = score_file(path, read_questions(write_questions(tmp_path)), FEW)
    assert first.result.score == pytest.approx(100 - 10 * 0.7477 * 8 / 3)
    assert first.result.parsed == 1.5
    assert second.result.score == 100.0
    assert [note.partition(": a: ")[2] for note in first.notes] == [
        "iteration 1: no question 99",
        "iteration 1: no question 3",
        "iteration 3 has no raw_inference",
    ]


@pytest.mark.parametrize("heading", ["Revised scores:", "Revised Scores:", "**REVISED SCORES:**"])
def test_a_run_that_revises_is_recognised(tmp_path, heading):
    better = BOTH.replace("Angry: 8", "Angry: 0", 1).replace("Revised scores:", heading)
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"raw_results": {"1": {"raw_inference": {"1": better}}}}))
    [run] = score_file(path, read_questions(write_questions(tmp_path)), FEW)
    assert run.result.score == run.result.revised == 100.0
    assert run.result.first_pass == pytest.approx(100 - 10 * 0.7477 * 8)


def test_a_question_named_twice_counts_once(tmp_path):
    answers = f'{{"1": {json.dumps(BOTH)}, "1": {json.dumps(RIGHT)}, "2": {json.dumps(BOTH)}}}'
    path = tmp_path / "r.json"
    path.write_text(
        f'{{"benchmark_score": "n/a", "raw_results": {{"1": {{"raw_inference": {answers}}}}}}}'
    )
    [run] = score_file(path, read_questions(write_questions(tmp_path)), FEW)
    assert len(run.answers) == 2
    assert run.published is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "no result file"),
        ("{}", "no result file"),
        ('{"raw_results": {"1": {"raw_inference": {"77": "x"}}}}', "no answer to any of the 2"),
        ('{"raw_results": 3}', "no answer to any"),
        ("{", "r.json:1:2"),
    ],
)
def test_files_that_are_no_results(tmp_path, content, said):
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(DataError, match=said):
        score_file(path, read_questions(write_questions(tmp_path)), FEW)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "expected an object"),
        ('{"4": {"prompt": "x"}}', "question 4 needs"),
        ('{"4": 1}', "question 4 needs"),
    ],
)
def test_questions_that_are_none(tmp_path, content, said):
    path = tmp_path / "q.json"
    path.write_text(content)
    with pytest.raises(DataError, match=said):
        read_questions(path)


class Scripted:
    """Answers by question and try; a Failure stands for a server that does not answer."""

    def __init__(self, answers: dict[tuple[str, int], str | Failure]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, int, float]] = []
        self.identity = {"kind": "scripted", "model": "m"}

    async def stream(self, requests, sampling):
        for position, request in enumerate(requests):
            key = request.key
            self.asked.append((key.conversation_id, key.sample, round(sampling.temperature, 2)))
            [message] = request.messages
            assert message["role"] == "user"
            answer = self.answers[key.conversation_id, key.sample]
            yield (
                position,
                (answer if isinstance(answer, Failure) else Generation(answer, 9, False)),
            )

    async def close(self) -> None: ...


def ask(source: Scripted, tmp_path: Path) -> dict:
    sampling = Sampling(temperature=0.01, top_p=1.0, max_new_tokens=1000, thinking=False, seed=1)
    questions = write_questions(tmp_path)
    asyncio.run(eq_bench.run(source, questions, tmp_path / "out", sampling, FEW))
    return json.loads((tmp_path / "out" / "eq_bench.json").read_text())


def test_a_model_is_asked_hotter_until_it_can_be_read(tmp_path):
    source = Scripted(
        {
            ("1", 0): f"<think>Angry: 1</think>{BOTH}",
            ("2", 0): "I feel with him.",
            ("2", 1): Failure("timeout", "slow"),
            ("2", 2): BOTH,
        }
    )
    result = ask(source, tmp_path)
    assert source.asked == [("1", 0, 0.01), ("2", 0, 0.01), ("2", 1, 0.16), ("2", 2, 0.31)]
    assert (result["score"], result["parsed"], result["first_pass"]) == (100.0, 2, 100.0)
    assert (result["asked_again"], result["unanswered"], result["asked"]) == (2, 0, 2)
    assert result["sampling"]["temperature"] == 0.01
    again = score_file(
        tmp_path / "out" / "eq_bench_answers.json",
        read_questions(tmp_path / "questions.json"),
        FEW,
    )
    assert [run.result.score for run in again] == [100.0]


def test_five_tries_and_what_is_recorded_is_not_asked_again(tmp_path):
    bad = {("2", attempt): "no" for attempt in range(5)}
    source = Scripted({("1", 0): BOTH, **bad})
    result = ask(source, tmp_path)
    assert len(source.asked) == 6
    assert (result["parsed"], result["valid"], result["asked_again"]) == (1, False, 4)
    source.asked.clear()
    assert ask(source, tmp_path)["score"] == 100.0
    assert source.asked == []


def test_a_server_that_never_answers_is_an_error(tmp_path):
    down = {(q, 0): Failure("timeout", "down") for q in ("1", "2")}
    with pytest.raises(SubjectError, match="none of 2 prompts"):
        ask(Scripted(down), tmp_path)


def test_the_command_scores_a_published_file(published, questions_file, tmp_path, capsys):
    [file] = (published / "results").glob("gpt-3.5*.json")
    arguments = [
        "protocol=eq_bench",
        f"questions={questions_file}",
        f"results={file}",
        f"output={tmp_path}",
        "resamples=100",
    ]
    assert evaluate_command(cli.parse(EvaluateSettings, arguments)) == 0
    result = json.loads((tmp_path / "eq_bench.json").read_text())
    assert result["score"] == pytest.approx(69.32, abs=0.005)
    assert result["parsed"] == 171
    assert result["first_pass"] == result["score"] > result["revised"]
    assert result["published"] == 69.32
    assert "EQ-Bench 69.32" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"results": "r", "protocol": "eq_bench", "output": "o"}, "questions=FILE"),
        ({"results": "r", "questions": "q", "output": "o"}, "needs protocol=eq_bench"),
        (
            {"results": "r", "questions": "q", "output": "o", "protocol": "eq_bench", "model": "m"},
            "got model=m",
        ),
        ({"model": "m", "protocol": "eq_bench"}, "needs questions=FILE"),
        ({"replies": "r", "protocol": "eq_bench", "questions": "q"}, "it must ask"),
    ],
)
def test_what_must_be_given(given, said):
    with pytest.raises(ConfigError, match=said):
        _ = EvaluateSettings(**given).protocols


def test_all_protocols_are_those_without_files_of_their_own():
    assert "eq_bench" not in EvaluateSettings(model="m").protocols


@pytest.mark.slow
def test_the_command_asks_a_server_without_any_grader(tmp_path, serve, monkeypatch):
    monkeypatch.setattr(
        "mint.evaluation.subjects.ready_graders", lambda *_: pytest.fail("needs no grader")
    )
    server = serve(lambda _: Answer(chat(BOTH)))
    arguments = [
        f"endpoint={server.url}/v1",
        "model=m",
        "protocol=eq_bench",
        f"questions={write_questions(tmp_path)}",
        f"output={tmp_path}/out",
        "resamples=100",
    ]
    assert evaluate_command(cli.parse(EvaluateSettings, arguments)) == 0
    bodies = [seen.body for seen in server.posts()]
    assert [body["temperature"] for body in bodies] == [0.01, 0.01]
    assert [body["max_tokens"] for body in bodies] == [1000, 1000]
    result = json.loads((tmp_path / "out" / "eq_bench.json").read_text())
    assert (result["score"], result["subject"]["model"]) == (100.0, "m")
