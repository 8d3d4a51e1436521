"""Whole conversations with simulated seekers, scored by how the seeker feels at the end.

SAGE's protocol (arXiv 2505.02847): score, success and failure as there, one conversation with each
person; each reply is tagged and rated too. Unlike SAGE's released code, the last reply counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mint.config.dialogue import SeekerConfig
from mint.config.evaluation import EvaluationConfig
from mint.config.prompts import PromptConfig, PromptStyle
from mint.config.seeker import SeekerEndpoint
from mint.data.cases import Case, TurnTags
from mint.data.dataset import VAL
from mint.data.prompts import system_prompt
from mint.data.rows import PromptRow, prompt_row
from mint.dialogue.build import build_seeker
from mint.dialogue.people import person_of_row, read_people_rows, shipped_parts
from mint.dialogue.persons import authored_persons, read_persons
from mint.dialogue.presets import get_preset
from mint.dialogue.protocol import Person, Seeker
from mint.dialogue.record import TalkRecord
from mint.evaluation.generation import Generation
from mint.evaluation.metrics.talks import Talks
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.results import Outcome, Unusable
from mint.evaluation.runner import Runner, ToGrade
from mint.evaluation.sage.compare import FIRST, SECOND
from mint.evaluation.sage.hold import Meeting, hold, meetings
from mint.evaluation.sage.lines import fidelity, read_conversations
from mint.evaluation.sage.measures import curve, faults, groups, scores, tactic_effects
from mint.evaluation.sage.rubrics import RubricJudge, judge_all
from mint.evaluation.sage.settings import SageSettings
from rewards.build import Graders
from rewards.errors import DataError
from rewards.protocols import EmpathyJudge
from rewards.types import Message, Status

NAME = FIRST


@dataclass(frozen=True, kw_only=True)
class Held:
    """Conversations with one seeker."""

    outcome: Outcome
    talks: Talks


def load_persons(settings: SageSettings, data: Path | None) -> tuple[Person, ...]:
    """Who can be played, intentions in turn, so that `sage.limit` takes of all.

    `data`: rows that may hold the people a run has held out. Raises ConfigError, DataError.
    """
    named = settings.persons
    if named == "all":
        persons = authored_persons()
    elif named == "val":
        persons = shipped_parts()[VAL]
    elif named is not None:
        persons = _of_rows(named) if named.endswith(".parquet") else read_persons(Path(named))
    else:
        persons = _held_out(data) or authored_persons()
    place: Counter[str] = Counter()
    order = {}
    for person in persons:
        order[person.id] = place[person.intention]
        place[person.intention] += 1
    return tuple(sorted(persons, key=lambda person: order[person.id]))


def _held_out(data: Path | None) -> tuple[Person, ...]:
    if data is None or data.suffix != ".parquet" or not data.is_file():
        return ()
    try:
        return _of_rows(data)
    except DataError:
        return ()  # rows of single replies


def _of_rows(path: str | Path) -> tuple[Person, ...]:
    return tuple(person_of_row(row["extra_info"]) for row in read_people_rows(path))


def seekers(
    settings: SageSettings, graders: Graders, second: EmpathyJudge | None
) -> dict[str, Seeker]:
    """Condition -> seeker. A second rule seeker is moved by the second judge, if there is one.

    Raises ConfigError for a server without a model.
    """
    found = {FIRST: _seeker(settings.preset, settings.served, graders)}
    if settings.second is not None:
        others = graders if second is None else graders._replace(judge=second)
        kind = settings.second_kind
        found[SECOND] = _seeker(settings.second, settings.second_served, others, kind)
    return found


def _seeker(preset: str, served: SeekerEndpoint, graders: Graders, offline: str = "rule") -> Seeker:
    kind = "served" if served.urls else offline
    return build_seeker(SeekerConfig(kind=kind, preset=preset, served=served), lambda: graders)


def turns_of(settings: SageSettings, condition: str) -> int:
    """Longest conversation of a condition, in replies."""
    if settings.turns is not None:
        return settings.turns
    name = settings.preset if condition == FIRST else settings.second
    return get_preset(str(name)).max_turns


def prompts_of_talks(prompts: PromptConfig) -> PromptConfig:
    """The prompt stays the same for a whole conversation, so it cannot count tactics."""
    if prompts.style is PromptStyle.TACTICS_HISTORY:
        return replace(prompts, style=PromptStyle.TACTICS)
    return prompts


async def evaluate(
    runner: Runner,
    condition: str,
    seeker: Seeker,
    persons: Sequence[Person],
    settings: SageSettings,
    samples: int,
    prompts: PromptConfig,
    statistics: EvaluationConfig,
    judge: RubricJudge | None,
) -> Held:
    """`samples` conversations with each person, graded and measured."""
    asked = meetings(condition, persons[: settings.limit], samples, statistics.seed)
    turns = turns_of(settings, condition)
    task = runner.progress.add_task(f"{condition}: replies", total=turns * len(asked))
    talks = await hold(runner, seeker, asked, turns, system_prompt(prompts, ()), task)
    replies = await _grade(runner, asked, talks, prompts)
    known = {person.id: person for person in persons}
    facts: dict[str, Any] = {
        "seeker": seeker.identity,
        "turns": turns,
        "samples": samples,
        "scores": {name: asdict(value) for name, value in scores(talks, statistics).items()},
        **groups(talks, known, statistics),
        "curve": curve(talks),
        "tactics": tactic_effects(talks, replies, statistics),
        **faults(talks),
    }
    if judge is not None:
        facts["rubrics"] = await judge_all(
            judge, condition, talks, known, runner.journal, statistics
        )
    if settings.people is not None:
        own = {key: talk.messages for key, talk in talks.items()}
        people = read_conversations(Path(settings.people))
        facts["seeker_lines_beside_people"] = fidelity(own, people, statistics)
    lost = [
        Unusable(
            one.turn_key(len(talk.turns)),
            f"{talk.lost.who}: {talk.lost.kind}: {talk.lost.detail}",
            "",
        )
        for one in asked
        if (talk := talks[one.key]).lost is not None
    ]
    outcome = Outcome(condition=condition, replies=replies, unanswered=lost, facts=facts)
    return Held(outcome=outcome, talks=talks)


async def _grade(
    runner: Runner, asked: Sequence[Meeting], talks: Talks, prompts: PromptConfig
) -> list[EvaluatedReply]:
    """All replies, turn by turn: what a reply repeats is known once the one before is tagged."""
    longest = max((len(talk.turns) for talk in talks.values()), default=0)
    total = sum(len(talk.turns) for talk in talks.values())
    task = runner.progress.add_task(f"{asked[0].condition}: grades", total=total)
    tags: dict[str, list[TurnTags | None]] = {one.key: [] for one in asked}
    found: list[EvaluatedReply] = []
    for turn in range(longest):
        live = [one for one in asked if turn < len(talks[one.key].turns)]
        rows = [_row(one, talks[one.key], turn, tags[one.key], prompts) for one in live]
        items = [
            ToGrade(one.turn_key(turn), row, _said(talks[one.key], turn))
            for one, row in zip(live, rows, strict=True)
        ]
        graded = await runner.grade(items, task)
        for one, reply in zip(live, graded, strict=True):
            tags[one.key].append(None if reply.status == Status.FAILED else reply.tactics)
        found += graded
    return found


def _row(
    one: Meeting,
    talk: TalkRecord,
    turn: int,
    tags: Sequence[TurnTags | None],
    prompts: PromptConfig,
) -> PromptRow:
    case = Case(
        conversation_id=one.person.id,
        turn=turn,
        history=_before(talk, turn),
        tags=tuple(tags),
        scenario=one.person.id,
    )
    return prompt_row(case, prompts)


def _before(talk: TalkRecord, turn: int) -> tuple[Message, ...]:
    """What was said before the reply of that turn."""
    return talk.messages[: 2 * turn + 1]


def _said(talk: TalkRecord, turn: int) -> Generation:
    own = talk.turns[turn]
    return Generation(own.raw, own.tokens, not own.complete)


def format_held(held: Mapping[str, Held]) -> str:
    """The scores for people, a line a seeker."""
    shown = {"score": "{:.1f}", "success": "{:.0%}", "failure": "{:.0%}", "lost": "{:.0%}"}
    lines = []
    for condition, one in held.items():
        row = one.outcome.facts["scores"]
        said = [f"{condition}: {len(one.talks)} conversations"]
        for name, form in shown.items():
            value = row[name]
            mean, low, high = (value[key] for key in ("mean", "ci_low", "ci_high"))
            known = "none" if mean is None else form.format(mean)
            ends = "" if low is None else f" [{form.format(low)}, {form.format(high)}]"
            said.append(f"{name} {known}{ends}")
        lines.append(", ".join(said))
    return "\n".join(lines)
