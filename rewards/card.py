"""The shipped graders' metric cards as tables: `python -m rewards.card`.

Prints Markdown; the same tables stand in docs/graders.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rewards.graders.embedded.heads import shipped_card
from rewards.types import DIMENSIONS

_SETTINGS = (
    ("unseen conversations", "unseen_conversation"),
    ("unseen sentences", "unseen_sentence"),
    ("unseen systems", "unseen_system"),
    ("written as people write", "annotated"),
    ("labelled by people", "human"),
)
_JUDGED = (
    ("unseen conversations", "unseen_conversation"),
    ("unseen systems", "unseen_system"),
    ("both unseen", "unseen_both"),
)


def render() -> str:
    """All tables, each with a heading."""
    tagger, judge = shipped_card("tagger.json"), shipped_card("judge.json")
    blocks = [
        ("Tagger: overall", _tagger_overall(tagger)),
        ("Tagger: sentences labelled by people, tactic by tactic", _tactics(tagger["human"])),
        (
            "Tagger: agreement with the paper's taggers on unseen conversations",
            _tactics(tagger["unseen_conversation"]),
        ),
        ("Tagger: neighbours mistaken for each other", _confusion(tagger)),
        ("Judge: overall", _judge_overall(judge)),
        ("Judge: Spearman by dimension", _dimensions(judge)),
        ("Judge: against three experts, by conversation", _experts(judge["experts"])),
        ("Judge: degenerate replies, by manner", _degenerate(judge["degenerate_replies"])),
        ("Judge: authored pairs of a hand not learnt from, by manner", _pairs(judge)),
        ("Judge with its parts: canaries", _canaries(judge["with_parts"])),
    ]
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in blocks) + "\n"


def _tagger_overall(card: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            f"{card[key]['sentences']:,}",
            _with_interval(card[key]["mean_macro_f1"], card[key]["mean_macro_f1_interval"]),
            _number(card[key]["mean_macro_f1_of_frequent"]),
            _number(card[key]["mean_kappa"]),
        )
        for name, key in _SETTINGS
    ]
    other = card["human_thresholds_of_other_replies"]
    rows.append(
        (
            "labelled by people, thresholds chosen on other replies of theirs",
            f"{card['human']['sentences']:,}",
            _number(other["mean_macro_f1"]),
            _number(other["mean_macro_f1_of_frequent"]),
            "",
        )
    )
    head = ("Sentences", "Number", "Mean macro-F1", "of tactics with 20 or more", "Mean kappa")
    return _table(head, rows)


def _tactics(part: Mapping[str, Any]) -> str:
    return _table(
        ("Tactic", "Positives", "Precision", "Recall", "F1", "Macro-F1", "Kappa"),
        [
            (
                name,
                f"{row['positives']:,}",
                _number(row["precision"]),
                _number(row["recall"]),
                _with_interval(row["f1"], row["f1_interval"]),
                _with_interval(row["macro_f1"], row["macro_f1_interval"]),
                _number(row["kappa"]),
            )
            for name, row in part["tactics"].items()
        ],
    )


def _confusion(card: Mapping[str, Any]) -> str:
    rows = []
    for theirs, ours in zip(
        card["unseen_conversation"]["confusion"], card["human"]["confusion"], strict=True
    ):
        for first, second in (theirs["pair"], theirs["pair"][::-1]):
            key = f"{first}_said_to_be_{second}"
            rows.append((first, second, _number(theirs[key]), _number(ours[key])))
    return _table(("Is", "Said to be instead", "Unseen conversations", "Labelled by people"), rows)


def _judge_overall(card: Mapping[str, Any]) -> str:
    return _table(
        (
            "Replies",
            "Number",
            "Spearman",
            "within a prompt",
            "within a system",
            "given length and questions",
            "Mean error",
            "Within two standard errors",
        ),
        [
            (
                name,
                f"{card[key]['replies']:,}",
                _number(card[key]["spearman"]["aggregate"]),
                _number(card[key]["within_prompt"]["aggregate"]),
                _number(card[key]["aggregate_within_system"]),
                _number(card[key]["aggregate_partial_given_length_and_questions"]),
                _number(card[key]["aggregate_mean_absolute_error"]),
                _number(card[key]["within_2_standard_errors"]),
            )
            for name, key in _JUDGED
        ],
    )


def _dimensions(card: Mapping[str, Any]) -> str:
    return _table(
        ("Dimension", *(name for name, _ in _JUDGED)),
        [(d, *(_number(card[key]["spearman"][d]) for _, key in _JUDGED)) for d in DIMENSIONS],
    )


def _experts(part: Mapping[str, Any]) -> str:
    ours, theirs = part["this_judge"], part["released_judge"]
    return _table(
        ("Dimension", "Spearman", "released judge's", "Weighted kappa", "released judge's"),
        [
            (
                name,
                _number(ours[name]["spearman"]),
                _number(theirs[name]["spearman"]),
                _number(ours[name]["weighted_kappa"]),
                _number(theirs[name]["weighted_kappa"]),
            )
            for name in DIMENSIONS
        ],
    )


def _degenerate(part: Mapping[str, Any]) -> str:
    human = f"human replies: median {part['human_median']:.2f}, mean {part['human_mean']:.2f}"
    above = f"Above the median ({human})"
    return _kinds(
        part["kinds"], above, lambda row: f"{100 * row['share_above_human_median']:.1f} %"
    )


def _pairs(judge: Mapping[str, Any]) -> str:
    return _table(
        ("Hand", "Pairs", "Decent reply", "Bad reply", "Decent one higher"),
        [
            (
                hand,
                str(row["pairs"]),
                f"{row['decent']:.2f}",
                f"{row['bad']:.2f}",
                f"{100 * row['decent_above_bad']:.0f} %",
            )
            for hand, row in judge["pairs_by_manner"].items()
        ],
    )


def _canaries(part: Mapping[str, Any]) -> str:
    people, found = part["people"], part["canaries"]
    low = f"At or below people's median ({people['median']:.2f})"
    share = "share_at_or_below_human_median"
    rows = {**found["kinds"], "all": found["all"]}
    return _kinds(rows, low, lambda row: f"{100 * row[share]:.0f} %")


def _kinds(rows: Mapping[str, Any], share: str, percent: Callable[[Mapping[str, Any]], str]) -> str:
    """A line for each kind of bad reply; `share` heads the last column."""
    return _table(
        ("Kind", "Replies", "Mean", "Highest", share),
        [
            (
                kind,
                str(row["replies"]),
                f"{row['mean']:.2f}",
                f"{row['highest']:.2f}",
                percent(row),
            )
            for kind, row in rows.items()
        ],
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _with_interval(value: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"{value:.3f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    sys.stdout.write(render())
