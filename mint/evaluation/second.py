"""The second judge beside the one that rewards: its ratings, the canaries, and the alarm.

The second judge is built differently and is never a reward. Where the first judge's gain leaves the
second one's behind, the policy has learnt the judge, not the skill.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mint.evaluation.metrics.means import JUDGE_GAP
from mint.evaluation.people import read_people
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.estimates import Difference
from mint.rundir.manifest import identity_row
from mint.shell.files import read_json_if_there, write_json
from mint.shell.paths import data_dir
from rewards.build import Graders
from rewards.canaries import rate_canaries, read_canaries
from rewards.errors import GraderError
from rewards.graders.embedded.heads import shipped_card
from rewards.graders.language_model.judge import LanguageModelJudge
from rewards.protocols import EmpathyJudge
from rewards.types import Message, Rating, Reply

CANARIES = "canaries.json"
SECOND_CARD = "second_judge.json"

History = Sequence[Message]


async def with_second(
    judge: EmpathyJudge | None,
    histories: Sequence[History],
    replies: Sequence[EvaluatedReply],
) -> list[EvaluatedReply]:
    """The replies with `second_empathy`, where a judge is given and tagger and judge have graded.

    A reply that the second judge fails on keeps None. Raises GraderError when it answers with a
    list of another length.
    """
    chosen = [i for i, reply in enumerate(replies) if reply.graded]
    result = list(replies)
    if judge is None or not chosen:
        return result
    asked = [
        Reply(history=tuple(histories[i]), text=replies[i].reply, sentences=replies[i].sentences)
        for i in chosen
    ]
    ratings = await judge.rate(asked)
    if len(ratings) != len(asked):
        raise GraderError(f"the second judge gave {len(ratings)} ratings for {len(asked)} replies")
    for i, rating in zip(chosen, ratings, strict=True):
        value = rating.aggregate if isinstance(rating, Rating) else None
        result[i] = replace(result[i], second_empathy=value)
    return result


def second_row(judge: EmpathyJudge | None) -> dict[str, Any] | None:
    """Identity of the second judge as JSON; None without one."""
    return None if judge is None else identity_row(judge.identity)


def grade_canaries(
    graders: Graders, second: EmpathyJudge | None, folder: Path
) -> dict[str, dict[str, Any]]:
    """Rate the canaries with both judges, write FOLDER/canaries.json and return its content.

    Judge -> its identity and what `rewards.canaries.rate_canaries` found. The human median is that
    of people's replies under the same judge; None where it is not known. A file of the same judges
    is kept.
    """
    judges = {"judge": graders.judge, **({} if second is None else {"second_judge": second})}
    identities = {name: identity_row(judge.identity) for name, judge in judges.items()}
    path = folder / CANARIES
    known = read_canary_rows(folder)
    if {name: row["identity"] for name, row in known.items()} == identities:
        return known
    canaries = read_canaries(data_dir() / "bad_replies" / "canaries.jsonl")
    found = {
        name: {
            "identity": identities[name],
            **asyncio.run(rate_canaries(judge, canaries, _human_median(name, judge))),
        }
        for name, judge in judges.items()
    }
    write_json(path, found)
    return found


def read_canary_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Content of FOLDER/canaries.json; {} without one."""
    return dict(read_json_if_there(folder / CANARIES) or {})


def learnt_the_judge(differences: Mapping[str, Difference], most: float) -> str:
    """What to warn of when the judge's gain exceeds the second judge's by more than `most` points
    with its whole interval; "" otherwise, and where either gain is not known."""
    if not {JUDGE_GAP, "empathy", "second_empathy"} <= differences.keys():
        return ""
    gap = differences[JUDGE_GAP]
    if gap.difference is None or gap.ci_low is None or gap.ci_high is None or gap.ci_low <= most:
        return ""
    first, second = (differences[name].difference for name in ("empathy", "second_empathy"))
    if first is None or second is None:
        return ""
    return (
        f"the policy is learning the judge: its rating changed by {first:+.2f}, the second "
        f"judge's by {second:+.2f}, {gap.difference:.2f} [{gap.ci_low:.2f}, {gap.ci_high:.2f}] "
        f"apart (mint.second_judge.max_gap_gain={most:g}); do not read it as a rise in empathy"
    )


def _human_median(name: str, judge: EmpathyJudge) -> float | None:
    """Of people's replies under exactly this judge; None when it is not known."""
    if name == "judge":
        return read_people().median_for(identity_row(judge.identity))
    if isinstance(judge, LanguageModelJudge):
        return judge.human_median
    card = shipped_card(SECOND_CARD)
    median: float = card["human_median"]
    return median if card["sha256"] == judge.identity.revision else None
