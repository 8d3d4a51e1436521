"""Everything the audit finds in a file, as a list, and what the file is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mint.data.auditing.content import content_cues, degenerate
from mint.data.auditing.duplicates import (
    exact_key,
    groups,
    loose_key,
    near_between,
    near_duplicates,
    shared_ngrams,
)
from mint.data.auditing.language import ENGLISH, UNKNOWN, language
from mint.data.auditing.personal import personal_data
from mint.data.auditing.rows import AuditRow, Loaded
from mint.data.conversation import BadRecord

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "unusable": "records that are no conversation",
        "duplicate_prompt": "rows whose prompt another row has, letter by letter",
        "loose_duplicate": "the same but for case, punctuation and white space",
        "near_duplicate": "rows whose prompt nearly repeats another conversation's",
        "evaluation_overlap": "rows whose prompt, or nearly, is in an evaluation file",
        "shared_passage": "rows with a long passage that an evaluation file also has",
        "few_shot": "rows with a passage of the judge's few-shot examples",
        "code": "program code",
        "jailbreak": "attempts to get round a model's rules",
        "role_play": "requests to play somebody",
        "task": "requests to write, translate, solve, ...",
        "language": "rows whose seeker message is not in English",
        "personal_data": "e-mail addresses, phone and card numbers, ... (redacted)",
        "degenerate": "empty, huge or repeated messages",
    }
)
"""Kind of finding -> what it is."""


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """What counts."""

    near: float = 0.8
    """Jaccard similarity of word trigrams from which two prompts are near duplicates, in (0, 1]."""
    passage_words: int = 13
    """Words in a row that make a shared passage with an evaluation file."""
    few_shot_words: int = 8
    """Words in a row that make a shared passage with the few-shot examples."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to look at."""

    kind: str
    """One of KINDS."""
    row: int | None
    """0-based number of the training row; None for a record that gives none."""
    conversation_id: str | None
    turn: int | None
    """0-based supporter turn of the row."""
    detail: str
    """What was found; personal data are redacted."""
    first: bool = False
    """Of duplicates: the first copy, which stays when the others are left out."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The findings of a file and its make-up."""

    rows: tuple[AuditRow, ...]
    findings: tuple[Finding, ...]
    unique_prompts: int
    languages: Mapping[str, int] = field(default_factory=dict)
    """Language -> seeker messages."""

    def of(self, kind: str) -> tuple[Finding, ...]:
        """The findings of a kind, in row order."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    @property
    def composition(self) -> dict[str, Any]:
        """Conversations and rows by source and model, turns and words."""
        conversations = {row.conversation_id: row for row in self.rows}
        turns = Counter(row.conversation_id for row in self.rows)
        return {
            "conversations": len(conversations),
            "rows": len(self.rows),
            "unique_prompts": self.unique_prompts,
            "sources": _tally(row.source for row in conversations.values()),
            "models": _tally(f"{row.source}/{row.model}" for row in conversations.values()),
            "languages": dict(self.languages),
            "turns": _spread(sorted(turns.values())),
            "seeker_words": _spread(
                sorted(len(row.history[-1].content.split()) for row in self.rows)
            ),
            "supporter_words": _spread(
                sorted(len(row.reply.split()) for row in self.rows if row.reply is not None)
            ),
        }


def audit(
    loaded: Loaded,
    evaluation: Mapping[str, Sequence[AuditRow]],
    few_shots: Sequence[str],
    settings: AuditSettings,
) -> Audit:
    """All findings of a file, by kind in the order of KINDS and then by row.

    `evaluation`: name of a file -> its rows. `few_shots`: texts of the judge's examples.
    """
    rows = loaded.rows
    languages = [language(row.history[-1].content) for row in rows]
    found: list[Finding] = [_unusable(bad) for bad in loaded.bad]
    found += _duplicates(rows, settings)
    for name, others in evaluation.items():
        found += _overlap(rows, name, others, settings)
    found += _few_shots(rows, few_shots, settings)
    found += _contents(rows)
    found += _foreign(rows, languages)
    order = {kind: place for place, kind in enumerate(KINDS)}
    found.sort(key=lambda f: (order[f.kind], -1 if f.row is None else f.row))
    return Audit(
        rows=rows,
        findings=tuple(found),
        unique_prompts=len({exact_key(row) for row in rows}),
        languages=_tally(languages),
    )


def finding(kind: str, row: AuditRow, detail: str, *, first: bool = False) -> Finding:
    """A finding at a row."""
    return Finding(
        kind=kind,
        row=row.number,
        conversation_id=row.conversation_id,
        turn=row.turn,
        detail=detail,
        first=first,
    )


def _unusable(bad: BadRecord) -> Finding:
    return Finding(
        kind="unusable",
        row=None,
        conversation_id=bad.conversation_id,
        turn=None,
        detail=f"record {bad.index}: {bad.reason}",
    )


def _duplicates(rows: Sequence[AuditRow], settings: AuditSettings) -> Iterator[Finding]:
    exact = groups(exact_key(row) for row in rows)
    yield from _grouped("duplicate_prompt", rows, exact)
    known = [set(group) for group in exact]
    loose = [
        group
        for group in groups(loose_key(row) for row in rows)
        if not any(set(group) <= other for other in known)
    ]
    yield from _grouped("loose_duplicate", rows, loose)
    for pair in near_duplicates(rows, settings.near):
        first, second = rows[pair.first], rows[pair.second]
        detail = (
            f"{pair.similarity:.0%} like row {first.number} ({first.conversation_id!r} turn "
            f"{first.turn})"
        )
        yield finding("near_duplicate", second, detail)


def _grouped(
    kind: str, rows: Sequence[AuditRow], found: Sequence[Sequence[int]]
) -> Iterator[Finding]:
    for group in found:
        for place, number in enumerate(group):
            others = ", ".join(str(rows[n].number) for n in group if n != number)
            yield finding(kind, rows[number], f"same as row {others}", first=place == 0)


def _overlap(
    rows: Sequence[AuditRow], name: str, others: Sequence[AuditRow], settings: AuditSettings
) -> Iterator[Finding]:
    best: dict[int, tuple[float, AuditRow]] = {}
    for pair in near_between(rows, others, settings.near):
        if pair.first not in best or pair.similarity > best[pair.first][0]:
            best[pair.first] = (pair.similarity, others[pair.second])
    same = {loose_key(row): row for row in others}
    for number, row in enumerate(rows):
        if loose_key(row) in same:
            best[number] = (1.0, same[loose_key(row)])
    for number, (similarity, other) in best.items():
        detail = f"{similarity:.0%} like {name} {other.conversation_id!r} turn {other.turn}"
        yield finding("evaluation_overlap", rows[number], detail)
    theirs = [m.content for row in others for _, m in row.new_messages]
    shared = shared_ngrams(map(_new_texts, rows), theirs, settings.passage_words)
    for number, passage in shared.items():
        if number not in best:
            yield finding("shared_passage", rows[number], f"{name}: {passage}")


def _few_shots(
    rows: Sequence[AuditRow], few_shots: Sequence[str], settings: AuditSettings
) -> Iterator[Finding]:
    shared = shared_ngrams(map(_new_texts, rows), few_shots, settings.few_shot_words)
    for number, passage in shared.items():
        yield finding("few_shot", rows[number], passage)


def _contents(rows: Sequence[AuditRow]) -> Iterator[Finding]:
    for row in rows:
        for position, message in row.new_messages:
            for kind, words in content_cues(message).items():
                yield finding(kind, row, f"{message.role}: {words}")
            if (wrong := degenerate(position, message, row.history)) is not None:
                yield finding("degenerate", row, f"{message.role}: {wrong}")
            for found in personal_data(message.content):
                yield finding(
                    "personal_data", row, f"{message.role}: {found.kind} {found.redacted}"
                )


def _foreign(rows: Sequence[AuditRow], languages: Sequence[str]) -> Iterator[Finding]:
    for row, name in zip(rows, languages, strict=True):
        if name not in (ENGLISH, UNKNOWN):
            yield finding("language", row, name)


def _new_texts(row: AuditRow) -> list[str]:
    return [message.content for _, message in row.new_messages]


def _tally(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0])))


def _spread(values: Sequence[int]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "min": values[0],
        "median": values[len(values) // 2],
        "mean": round(sum(values) / len(values), 2),
        "max": values[-1],
    }
