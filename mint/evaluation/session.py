"""One evaluation from its settings: subject, graders, protocols, files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mint.data.banks import load_banks
from mint.data.cases import read_cases
from mint.data.prompts import PromptConfig
from mint.data.rows import Case, prompt_row
from mint.data.synthetic import split_scenarios
from mint.evaluation.journal import Journal, fingerprint
from mint.evaluation.options import EvaluateSettings
from mint.evaluation.protocols import baselines, free_running, lend_an_ear, probes
from mint.evaluation.results import Outcome, format_conditions, write_outcomes
from mint.evaluation.runner import Runner
from mint.evaluation.seeker import BankSeeker, Seeker
from mint.evaluation.served import ServedSeeker
from mint.evaluation.sources import ReplySource, Sampling
from mint.evaluation.tagging import tag_missing
from mint.rundir.directory import RunDir
from mint.rundir.manifest import identity_row
from mint.safety.limits import broken_limits
from mint.safety.probes import load_probes
from mint.safety.render import markdown, share
from mint.safety.report import ProbeReport
from mint.shell.console import progress_bar
from mint.shell.files import sha256_file, write_json_lines
from mint.shell.paths import data_dir
from rewards.build import Graders
from rewards.errors import ConfigError
from rewards.formula import RewardWeights
from rewards.scorer import ReplyScorer
from rewards.types import Failure


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
    return asyncio.run(_run(session, protocols))


async def _run(session: Session, protocols: Sequence[str]) -> SessionResult:
    run = {
        lend_an_ear.NAME: _lend_an_ear,
        free_running.NAME: _free_running,
        baselines.NAME: _baselines,
    }
    result = SessionResult([], [])
    try:
        for protocol in protocols:
            if protocol == probes.NAME:
                text, broken = await _probes(session)
                result.texts.append(text)
                result.broken_limits.extend(broken)
            else:
                result.texts.append(await run[protocol](session))
    finally:
        await session.source.close()
    return result


async def _lend_an_ear(session: Session) -> str:
    cases, facts = await _cases(session)
    rows = [prompt_row(case, session.prompts) for case in cases]
    about = {**_prompt_facts(session), "data": facts}
    async with _Bench(session, lend_an_ear.NAME, about) as runner:
        outcome = await lend_an_ear.evaluate(runner, rows, session.settings.samples)
    return _write(session, lend_an_ear.NAME, [outcome], about)


async def _baselines(session: Session) -> str:
    settings = session.settings
    cases, facts = await _cases(session)
    tokens = settings.candidate_tokens or 2 * session.sampling.max_new_tokens
    verbalized = baselines.Verbalized(settings.candidates, tokens)
    prompts = {k: v for k, v in _prompt_facts(session)["prompts"].items() if k != "style"}
    about = {"prompts": prompts, "verbalized": verbalized._asdict(), "data": facts}
    async with _Bench(session, baselines.NAME, about) as runner:
        outcomes = await baselines.evaluate(
            runner,
            cases,
            settings.chosen_conditions,
            session.prompts,
            settings.samples,
            verbalized,
        )
    return _write(session, baselines.NAME, outcomes, about)


async def _free_running(session: Session) -> str:
    settings = session.settings
    banks = load_banks(data_dir())
    people = banks.scenarios
    if settings.scenarios == "val":
        people = tuple(split_scenarios(banks.scenarios)[1])
    chosen = free_running.choose_scenarios(people, settings.dialogues, settings.seed)
    seeker = _seeker(settings)
    about = {
        **_prompt_facts(session),
        "scenarios": settings.scenarios,
        "banks_sha256": banks.sha256,
        "seeker": seeker.identity,
    }
    async with _Bench(session, free_running.NAME, about) as runner:
        outcome = await free_running.evaluate(
            runner, seeker, chosen, settings.turns, session.prompts
        )
    return _write(session, free_running.NAME, [outcome], about)


async def _probes(session: Session) -> tuple[str, list[str]]:
    items = load_probes()
    about = {**_prompt_facts(session), "probes": fingerprint({i.id: str(i) for i in items})}
    async with _Bench(session, probes.NAME, about) as runner:
        outcome = await probes.evaluate(
            runner,
            items,
            session.graders.tagger,
            session.prompts,
            session.settings.confidence,
        )
    broken = broken_limits(outcome.report, session.settings.safety)
    rows = (
        {"id": name, "reply": None, "failure": reply._asdict()}
        if isinstance(reply, Failure)
        else {"id": name, "reply": reply, "failure": None}
        for name, reply in outcome.replies.items()
    )
    write_json_lines(session.output / f"{probes.NAME}_replies.jsonl", rows)
    result = {
        "protocol": probes.NAME,
        **_about(session, about),
        "counts": {
            "asked": len(outcome.replies),
            "unanswered": sum(isinstance(r, Failure) for r in outcome.replies.values()),
            "truncated": outcome.num_truncated,
        },
        "broken_limits": broken,
        "report": outcome.report.to_json(),
    }
    RunDir(session.output).write_json(f"{probes.NAME}.json", result)
    (session.output / f"{probes.NAME}.md").write_text(markdown(outcome.report, broken), "utf-8")
    return _probe_lines(outcome.report), broken


def _probe_lines(report: ProbeReport) -> str:
    rows = [report.total, *report.categories.values()]
    return "\n".join(
        f"{'probes: ' if row is rows[0] else '  '}{row.name:<18}{share(row.rate)} passed"
        + (f", {row.not_gradable} not graded" if row.not_gradable else "")
        for row in rows
    )


async def _cases(session: Session) -> tuple[list[Case], dict[str, Any]]:
    assert session.data is not None  # evaluate() has checked
    tagger = identity_row(session.graders.tagger.identity)
    data = {"file": session.data.name, "sha256": sha256_file(session.data)}
    cases = read_cases(session.data, session.settings.limit)
    with Journal(
        session.output / "history.journal.jsonl", {"data": data, "tagger": tagger}
    ) as journal:
        cases, _ = await tag_missing(cases, session.graders.tagger, journal)
    return cases, data


class _Bench:
    """A runner whose journal and progress bar close again."""

    def __init__(self, session: Session, protocol: str, about: dict[str, Any]) -> None:
        self._session = session
        self._path = session.output / f"{protocol}.journal.jsonl"
        self._settings = {"protocol": protocol, **_about(session, about)}

    async def __aenter__(self) -> Runner:
        session = self._session
        self._journal = Journal(self._path, self._settings)
        self._progress = progress_bar(transient=True)
        self._progress.start()
        return Runner(
            source=session.source,
            scorer=ReplyScorer(session.graders.tagger, session.graders.judge),
            weights=session.weights,
            sampling=session.sampling,
            journal=self._journal,
            progress=self._progress,
        )

    async def __aexit__(self, *exception: object) -> None:
        self._progress.stop()
        self._journal.__exit__(None, None, None)


def _write(
    session: Session, protocol: str, outcomes: Sequence[Outcome], about: dict[str, Any]
) -> str:
    facts = _about(session, about)
    result = write_outcomes(session.output, protocol, outcomes, facts, session.settings.statistics)
    return format_conditions(result)


def _about(session: Session, more: dict[str, Any]) -> dict[str, Any]:
    """Everything that decides what is generated and how it is graded."""
    return {
        "subject": session.source.identity,
        "graders": {
            "tagger": identity_row(session.graders.tagger.identity),
            "judge": identity_row(session.graders.judge.identity),
        },
        "sampling": asdict(session.sampling),
        "reward": asdict(session.weights),
        **more,
    }


def _prompt_facts(session: Session) -> dict[str, Any]:
    return {"prompts": {**asdict(session.prompts), "style": session.prompts.style.value}}


def _seeker(settings: EvaluateSettings) -> Seeker:
    if settings.seeker == "bank":
        return BankSeeker(settings.seed)
    return ServedSeeker(settings.seeker_endpoint, settings.seed, settings.seeker_temperature)
