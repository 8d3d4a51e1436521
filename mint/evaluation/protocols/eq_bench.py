"""EQ-Bench v2: how strongly a character feels four emotions, asked as published.

One question a prompt without a system message, almost greedy; an answer of which neither pass can
be read is asked for again, each time a little hotter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.eq_bench.files import NAME, in_words, run_row, write_result
from mint.evaluation.eq_bench.questions import EqQuestion, read_questions
from mint.evaluation.eq_bench.released import ANSWERS, RESULTS, score_file
from mint.evaluation.eq_bench.scoring import Passes, score_answer, summarise
from mint.evaluation.generation import Generation
from mint.evaluation.journal import Journal
from mint.evaluation.runner import Asker
from mint.evaluation.silence import ask_again
from mint.evaluation.silence import in_words as silence_in_words
from mint.evaluation.sources.requests import ReplyKey, ReplyRequest, ReplySource, Sampling
from mint.shell.console import progress_bar
from mint.shell.files import sha256_file, write_json
from rewards.text import visible_reply

TEMPERATURE, STEP, TRIES = 0.01, 0.15, 5
"""Of the first try, what each further one adds, and how many there are, as the authors' script."""
MAX_TOKENS = 1000


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """What was answered: question -> visible text, and its passes."""

    texts: dict[str, str]
    passes: dict[str, Passes]
    tries: int
    """Requests beyond the first of each question."""
    unanswered: int


async def run(
    source: ReplySource,
    questions: Path,
    output: Path,
    sampling: Sampling,
    statistics: EvaluationConfig,
    retry_failed: bool = False,
) -> str:
    """Ask all questions, write eq_bench.json and eq_bench_answers.json; returns the score for
    people. Continues what an interrupted evaluation of the same output has begun.

    `sampling` is that of the first try.
    """
    asked = read_questions(questions)
    about = {
        "protocol": NAME,
        "subject": source.identity,
        "sampling": asdict(sampling),
        "retries": {"step": STEP, "tries": TRIES},
        "questions": _file(questions),
    }
    path = output / f"{NAME}.journal.jsonl"
    with Journal(path, about) as journal, progress_bar(transient=True) as progress:
        if retry_failed:
            ask_again(journal, talks=False)
        asker = Asker(source=source, sampling=sampling, journal=journal, progress=progress)
        answers = await _ask(asker, asked)
    result = summarise(list(answers.passes.items()), len(asked), 1, statistics)
    silent = [name for name, text in answers.texts.items() if not text]
    more = {
        "asked": len(asked),
        "asked_again": answers.tries,
        "unanswered": answers.unanswered,
        "nothing_visible": silent,
        "by_question": {name: one._asdict() for name, one in answers.passes.items()},
    }
    write_result(output, result, about, more)
    # In the form of a published result file, so that results=... can score it anew.
    layout = {"benchmark_score": result.score, RESULTS: {"1": {ANSWERS: answers.texts}}}
    write_json(output / f"{NAME}_answers.json", layout)
    named = [f"question {name}" for name in silent]
    return "\n".join([in_words({_name(source): result}), *silence_in_words(named)])


async def _ask(asker: Asker, questions: Mapping[str, EqQuestion]) -> _Answers:
    task = asker.progress.add_task(f"{NAME}: answers", total=len(questions))
    texts: dict[str, str] = {}
    passes: dict[str, Passes] = {}
    open_ones, tries, unanswered = list(questions), 0, 0
    for attempt in range(TRIES):
        temperature = asker.sampling.temperature + STEP * attempt
        hotter = replace(asker, sampling=replace(asker.sampling, temperature=temperature))
        requests = [_request(name, questions[name].prompt, attempt) for name in open_ones]
        # Later tries are few: that all of them fail says nothing about the model.
        ask = hotter.answer if attempt == 0 else hotter.ask
        replies = await ask(requests, task)
        tries += len(requests) if attempt else 0
        unanswered = sum(not isinstance(reply, Generation) for reply in replies.values())
        for key, reply in replies.items():
            if isinstance(reply, Generation):
                name = key.conversation_id
                texts[name] = visible_reply(reply.raw).text
                passes[name] = _passes(questions[name], texts[name])
        open_ones = [
            name for name in open_ones if name not in passes or passes[name] == (None, None)
        ]
        if not open_ones:
            break
    order = [name for name in questions if name in texts]
    return _Answers(
        texts={name: texts[name] for name in order},
        passes={name: passes[name] for name in order},
        tries=tries,
        unanswered=unanswered,
    )


def rescore(questions: Path, results: Path, output: Path, statistics: EvaluationConfig) -> str:
    """Parse and score the raw answers of a published result file anew; writes eq_bench.json, of the
    first run where a file holds several, with all of them under `runs`."""
    runs = score_file(results, read_questions(questions), statistics)
    first = run_row(runs[0])
    kept = {name: first[name] for name in ("published", "difference", "read_otherwise", "notes")}
    write_result(
        output,
        runs[0].result,
        {"results": _file(results), "questions": _file(questions)},
        {**kept, "runs": [run_row(one) for one in runs]},
    )
    names = {one.name if len(runs) > 1 else results.name: one.result for one in runs}
    text = in_words(names, [one.published for one in runs])
    notes = [note for one in runs for note in one.notes]
    return "\n".join([text, *notes])


def _request(name: str, prompt: str, attempt: int) -> ReplyRequest:
    return ReplyRequest(ReplyKey(NAME, name, 0, attempt), ({"role": "user", "content": prompt},))


def _passes(question: EqQuestion, text: str) -> Passes:
    asks_twice = "Revised scores:" in question.prompt
    return score_answer(question.reference, text, asks_twice)


def _file(path: Path) -> dict[str, Any]:
    return {"file": path.name, "sha256": sha256_file(path)}


def _name(source: ReplySource) -> str:
    identity = source.identity
    return str(identity["model"]) if "model" in identity else NAME
