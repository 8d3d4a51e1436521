"""Everything the audit finds in a file, as a list, and what the file is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median_high
from types import MappingProxyType
from typing import Any

from mint.data.auditing.content import content_cues, degenerate
from mint.data.auditing.duplicates import (
    groups,
    loose_key,
    near_between,
    near_duplicates,
    shared_ngrams,
)
from mint.data.auditing.language import ENGLISH, UNKNOWN, language
from mint.data.auditing.personal import personal_data
from mint.data.cases import Loaded
from mint.data.rows import Case
from rewards.types import Message

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "unusable": "records that are no conversation",
        "duplicate_prompt": "rows whose prompt another row has, letter by letter",
        "loose_duplicate": "the same but for case, punctuation and white space",
        "near_duplicate": "rows whose prompt nearly repeats another conversation's",
        "evaluation_overlap": "rows whose prompt, or nearly, is in an evaluation file",
        "shared_passage": "rows with a long passage that an evaluation file also has",
        "few_shot": "rows with a passage of the judge's few-shot examples",
        "control_tokens": "letters that a tokenizer takes for its own, such as <|im_end|>",
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


_PASSAGE_WORDS = 13
"""Words in a row that make a shared passage with an evaluation file."""
_FEW_SHOT_WORDS = 8
"""Words in a row that make a shared passage with the few-shot examples."""


@dataclass(frozen=True)
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

    rows: tuple[Case, ...]
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
            "turns": _spread(list(turns.values())),
            "seeker_words": _spread([len(row.history[-1].content.split()) for row in self.rows]),
            "supporter_words": _spread(
                [len(row.reply.split()) for row in self.rows if row.reply is not None]
            ),
        }


def audit(
    loaded: Loaded,
    evaluation: Mapping[str, Sequence[Case]],
    few_shots: Sequence[str],
    near: float,
) -> Audit:
    """All findings of a file, by kind in the order of KINDS and then by row.

    `evaluation`: name of a file -> its rows. `few_shots`: texts of the judge's examples. `near`:
    Jaccard similarity of word trigrams from which two prompts are near duplicates, in (0, 1].
    """
    rows = loaded.cases
    languages = [language(row.history[-1].content) for row in rows]
    found = [
        Finding("unusable", None, bad.conversation_id, None, f"record {bad.index}: {bad.reason}")
        for bad in loaded.bad
    ]
    found += _duplicates(rows, near)
    for name, others in evaluation.items():
        found += _overlap(rows, name, others, near)
    shots = shared_ngrams(map(_new_texts, rows), few_shots, _FEW_SHOT_WORDS)
    found += [_at(rows, number, "few_shot", passage) for number, passage in shots.items()]
    for number, name in enumerate(languages):
        found += _contents(rows, number)
        if name not in (ENGLISH, UNKNOWN):
            found.append(_at(rows, number, "language", name))
    order = {kind: place for place, kind in enumerate(KINDS)}
    found.sort(key=lambda f: (order[f.kind], -1 if f.row is None else f.row))
    return Audit(
        rows=tuple(rows),
        findings=tuple(found),
        unique_prompts=len({row.history for row in rows}),
        languages=_tally(languages),
    )


def _at(
    rows: Sequence[Case], number: int, kind: str, detail: str, *, first: bool = False
) -> Finding:
    row = rows[number]
    return Finding(kind, number, row.conversation_id, row.turn, detail, first)


def _duplicates(rows: Sequence[Case], near: float) -> Iterator[Finding]:
    exact = groups(row.history for row in rows)
    known = [set(group) for group in exact]
    loose = [
        group
        for group in groups(loose_key(row) for row in rows)
        if not any(set(group) <= other for other in known)
    ]
    for kind, found in (("duplicate_prompt", exact), ("loose_duplicate", loose)):
        for group in found:
            for number in group:
                others = ", ".join(str(n) for n in group if n != number)
                detail = f"same as row {others}"
                yield _at(rows, number, kind, detail, first=number == group[0])
    for pair in near_duplicates(rows, near):
        first = rows[pair.first]
        where = f"row {pair.first} ({first.conversation_id!r} turn {first.turn})"
        yield _at(rows, pair.second, "near_duplicate", f"{pair.similarity:.0%} like {where}")


def _overlap(
    rows: Sequence[Case], name: str, others: Sequence[Case], near: float
) -> Iterator[Finding]:
    best: dict[int, tuple[float, Case]] = {}
    for pair in near_between(rows, others, near):
        if pair.first not in best or pair.similarity > best[pair.first][0]:
            best[pair.first] = (pair.similarity, others[pair.second])
    same = {loose_key(row): row for row in others}
    for number, row in enumerate(rows):
        if loose_key(row) in same:
            best[number] = (1.0, same[loose_key(row)])
    for number, (similarity, other) in best.items():
        detail = f"{similarity:.0%} like {name} {other.conversation_id!r} turn {other.turn}"
        yield _at(rows, number, "evaluation_overlap", detail)
    theirs = [text for row in others for text in _new_texts(row)]
    for number, passage in shared_ngrams(map(_new_texts, rows), theirs, _PASSAGE_WORDS).items():
        if number not in best:
            yield _at(rows, number, "shared_passage", f"{name}: {passage}")


def _contents(rows: Sequence[Case], number: int) -> Iterator[Finding]:
    row = rows[number]
    for position, message in _new_messages(row):
        found = list(content_cues(message).items())
        if (wrong := degenerate(position, message, row.history)) is not None:
            found.append(("degenerate", wrong))
        for find in personal_data(message.content):
            found.append(("personal_data", f"{find.kind} {find.redacted}"))
        for kind, words in found:
            yield _at(rows, number, kind, f"{message.role}: {words}")


def _new_messages(row: Case) -> tuple[tuple[int, Message], ...]:
    """(position, message) of the messages that no earlier row of the conversation has."""
    last = len(row.history) - 1
    if row.reply is not None:
        return (last, row.history[last]), (last + 1, Message("supporter", row.reply))
    return tuple(enumerate(row.history))[max(0, last - 1) :]


def _new_texts(row: Case) -> list[str]:
    return [message.content for _, message in _new_messages(row)]


def _tally(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0])))


def _spread(values: Sequence[int]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "min": min(values),
        "median": median_high(values),
        "mean": round(fmean(values), 2),
        "max": max(values),
    }
