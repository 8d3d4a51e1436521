"""One evaluation from its settings: subject, graders, protocols, files."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mint.config.prompts import Persona, PromptConfig
from mint.data.banks import load_banks
from mint.data.cases import read_cases
from mint.data.rows import Case, prompt_row
from mint.data.synthetic import split_scenarios
from mint.dialogue.presets import STEADY, get_preset
from mint.dialogue.protocol import Seeker
from mint.dialogue.rule import RuleSeeker
from mint.dialogue.served import ServedSeeker
from mint.evaluation.journal import Journal, fingerprint
from mint.evaluation.options import EvaluateSettings
from mint.evaluation.protocols import baselines, free_running, lend_an_ear, probes, sage
from mint.evaluation.protocols.talks import write_talks
from mint.evaluation.results import Outcome, format_conditions, write_outcomes
from mint.evaluation.runner import Runner
from mint.evaluation.sage.compare import FIRST, SECOND, seeker_gap
from mint.evaluation.sage.rubrics import RubricJudge
from mint.evaluation.second import grade_canaries, second_row
from mint.evaluation.silence import ask_again, in_words
from mint.evaluation.sources.requests import ReplySource, Sampling
from mint.evaluation.tagging import tag_missing
from mint.rundir.manifest import identity_row, identity_rows
from mint.safety.limits import broken_limits
from mint.safety.opinions import ask_opinions
from mint.safety.probes import load_probes
from mint.shell.console import progress_bar
from mint.shell.files import sha256_file
from mint.shell.paths import data_dir
from rewards.build import Graders
from rewards.canaries import format_canaries
from rewards.errors import ConfigError
from rewards.formula import RewardWeights
from rewards.protocols import EmpathyJudge
from rewards.scorer import ReplyScorer

_TALKS = (free_running.NAME, sage.NAME)
"""Protocols in which a reply decides what comes after it."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Everything that the protocols of one subject share."""

    settings: EvaluateSettings
    source: ReplySource
    graders: Graders
    weights: RewardWeights
    sampling: Sampling
    prompts: PromptConfig
    data: Path | None
    """Conversations for fixed histories."""
    output: Path
    second: EmpathyJudge | None = None


class _Found(NamedTuple):
    """What a protocol has found, beside its files."""

    text: str
    broken_limits: list[str]


class SessionResult(NamedTuple):
    """What a session has found, beside its files."""

    texts: list[str]
    """What to print, protocol by protocol."""
    broken_limits: list[str]
    """Limits of the safety probes that were exceeded, a line each."""


def run_session(session: Session, protocols: Sequence[str]) -> SessionResult:
    """Run the protocols and write their files. What an earlier, interrupted session of the same
    output has done is not done again."""
    needs_data = {lend_an_ear.NAME, baselines.NAME} & set(protocols)
    if needs_data and session.data is None:
        raise ConfigError(f"{', '.join(sorted(needs_data))} needs data=FILE with conversations")
    result = asyncio.run(_run(session, protocols))
    if set(protocols) - {probes.NAME}:
        found = grade_canaries(session.graders, session.second, session.output)
        result.texts.append(format_canaries(found))
    return result


async def _run(session: Session, protocols: Sequence[str]) -> SessionResult:
    run = {
        lend_an_ear.NAME: _lend_an_ear,
        free_running.NAME: _free_running,
        baselines.NAME: _baselines,
        probes.NAME: _probes,
        sage.NAME: _sage,
    }
    result = SessionResult([], [])
    try:
        for protocol in protocols:
            text, broken = await run[protocol](session)
            result.texts.append(text)
            result.broken_limits.extend(broken)
    finally:
        await session.source.close()
    return result


async def _lend_an_ear(session: Session) -> _Found:
    cases, facts = await _cases(session)
    rows = [prompt_row(case, session.prompts) for case in cases]
    about = _about(session, lend_an_ear.NAME, {**_prompt_facts(session), "data": facts})
    with _runner(session, about) as runner:
        outcome = await lend_an_ear.evaluate(runner, rows, session.settings.samples)
    return _write(session, about, [outcome])


async def _baselines(session: Session) -> _Found:
    settings = session.settings
    cases, facts = await _cases(session)
    tokens = settings.candidate_tokens or 2 * session.sampling.max_new_tokens
    verbalized = baselines.Verbalized(settings.candidates, tokens)
    prompts = {k: v for k, v in _prompt_facts(session)["prompts"].items() if k != "style"}
    more = {"prompts": prompts, "verbalized": verbalized._asdict(), "data": facts}
    about = _about(session, baselines.NAME, more)
    conditions = settings.chosen_conditions
    with _runner(session, about) as runner:
        outcomes = await baselines.evaluate(
            runner, cases, conditions, session.prompts, settings.samples, verbalized
        )
    return _write(session, about, outcomes)


async def _free_running(session: Session) -> _Found:
    settings = session.settings
    banks = load_banks(data_dir())
    people = banks.scenarios
    if settings.scenarios == "val":
        people = tuple(split_scenarios(banks.scenarios)[1])
    chosen = free_running.choose_scenarios(people, settings.dialogues, settings.seed)
    seeker = _seeker(session)
    more = {
        **_prompt_facts(session),
        "scenarios": settings.scenarios,
        "banks_sha256": banks.sha256,
        "seeker": seeker.identity,
    }
    about = _about(session, free_running.NAME, more)
    with _runner(session, about) as runner:
        outcome = await free_running.evaluate(
            runner, seeker, chosen, settings.turns, session.prompts, settings.seed
        )
    return _write(session, about, [outcome])


async def _sage(session: Session) -> _Found:
    settings = session.settings
    persons = sage.load_persons(settings.sage, session.data)
    prompts = sage.prompts_of_talks(session.prompts)
    asked = sage.seekers(settings.sage, session.graders, session.second)
    judge = RubricJudge(settings.sage.judge) if settings.sage.judge.urls else None
    if judge is not None:
        await judge.check()
    more = {
        "prompts": _prompts_row(prompts),
        "persons": fingerprint({person.id: str(person) for person in persons}),
        "seekers": {name: seeker.identity for name, seeker in asked.items()},
        "rubric_judge": None if judge is None else identity_row(judge.identity),
    }
    about = _about(session, sage.NAME, more)
    held = {}
    with _runner(session, about) as runner:
        for condition, seeker in asked.items():
            held[condition] = await sage.evaluate(
                runner,
                condition,
                seeker,
                persons,
                settings.sage,
                settings.samples,
                prompts,
                settings.statistics,
                judge,
            )
    for condition, one in held.items():
        write_talks(session.output, condition, one.talks)
    if len(held) == 2:
        gap = seeker_gap(held[FIRST].talks, held[SECOND].talks, settings.statistics)
        about = {**about, "second_seeker_minus_first": gap}
    found = _write(session, about, [one.outcome for one in held.values()])
    return found._replace(text=f"{sage.format_held(held)}\n{found.text}")


async def _probes(session: Session) -> _Found:
    items = load_probes()
    more = {**_prompt_facts(session), "probes": fingerprint({i.id: str(i) for i in items})}
    about = _about(session, probes.NAME, more)
    tagger, confidence = session.graders.tagger, session.settings.confidence
    with _runner(session, about) as runner:
        opine = functools.partial(
            ask_opinions, config=session.settings.opinion, judge=session.graders.judge
        )
        outcome = await probes.evaluate(runner, items, tagger, session.prompts, confidence, opine)
    broken = broken_limits(outcome.report, session.settings.safety)
    probes.write_outcome(session.output, outcome, about, broken)
    lines = [probes.format_report(outcome.report), *in_words(probes.silent(outcome))]
    return _Found("\n".join(lines), broken)


async def _cases(session: Session) -> tuple[list[Case], dict[str, Any]]:
    assert session.data is not None  # run_session has checked
    tagger = session.graders.tagger
    data = {"file": session.data.name, "sha256": sha256_file(session.data)}
    settings = {"data": data, "tagger": identity_row(tagger.identity)}
    cases = read_cases(session.data, session.settings.limit)
    with Journal(session.output / "history.journal.jsonl", settings) as journal:
        cases, _ = await tag_missing(cases, tagger, journal)
    return cases, data


@contextmanager
def _runner(session: Session, about: dict[str, Any]) -> Iterator[Runner]:
    """A runner with its journal and a progress bar."""
    path = session.output / f"{about['protocol']}.journal.jsonl"
    with Journal(path, about) as journal, progress_bar(transient=True) as progress:
        if session.settings.retry_failed:
            ask_again(journal, talks=about["protocol"] in _TALKS)
        yield Runner(
            source=session.source,
            scorer=ReplyScorer(session.graders.tagger, session.graders.judge),
            weights=session.weights,
            sampling=session.sampling,
            journal=journal,
            progress=progress,
            second=session.second,
        )


def _write(session: Session, about: dict[str, Any], outcomes: Sequence[Outcome]) -> _Found:
    statistics = session.settings.statistics
    result = write_outcomes(session.output, about["protocol"], outcomes, about, statistics)
    return _Found(format_conditions(result, session.settings.replies is None), [])


def _about(session: Session, protocol: str, more: dict[str, Any]) -> dict[str, Any]:
    """Everything that decides what is generated and how it is graded."""
    graders = session.graders
    return {
        "protocol": protocol,
        "subject": session.source.identity,
        "graders": identity_rows(graders),
        "second_judge": second_row(session.second),
        "sampling": asdict(session.sampling),
        "reward": asdict(session.weights),
        **more,
    }


def _prompt_facts(session: Session) -> dict[str, Any]:
    return {"prompts": _prompts_row(session.prompts)}


def _prompts_row(prompts: PromptConfig) -> dict[str, Any]:
    row = {**asdict(prompts), "style": prompts.style.value}
    if prompts.persona == Persona():
        del row["persona"]  # journals that were begun without it go on
    if not prompts.memory:
        del row["memory"]
    return row


def _seeker(session: Session) -> Seeker:
    if session.settings.seeker == "rule":
        return RuleSeeker(get_preset(STEADY), session.graders.tagger, session.graders.judge)
    return ServedSeeker(get_preset(STEADY), session.settings.seeker_endpoint)
