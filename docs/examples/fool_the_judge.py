"""How often a judge prefers a decent reply to a bad one, kind by kind.

    python docs/examples/fool_the_judge.py data/bad_replies/pairs_*.jsonl

Asks the shipped judge; half of the pairs is chance. Needs the core installation only.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from pathlib import Path

from rewards.build import EncoderConfig, JudgeConfig, build_encoder, build_judge
from rewards.types import Failure, Message, Reply, ScalarRating


async def preferred(paths: list[str]) -> dict[str, list[bool]]:
    """Kind -> for each pair whether the decent reply got the higher rating."""
    files = [Path(path).read_text(encoding="utf-8") for path in paths]
    pairs = [json.loads(line) for text in files for line in text.splitlines()]
    replies = [
        Reply(history=tuple(Message.parse(m) for m in pair["history"]), text=pair[side])
        for pair in pairs
        for side in ("good", "bad")
    ]
    judge = build_judge(JudgeConfig(), lambda: build_encoder(EncoderConfig()))
    ratings = await judge.rate(replies)
    found: dict[str, list[bool]] = defaultdict(list)
    for pair, good, bad in zip(pairs, ratings[::2], ratings[1::2], strict=True):
        if isinstance(good, Failure | ScalarRating) or isinstance(bad, Failure | ScalarRating):
            print(f"{pair['id']}: not rated")
            continue
        found[pair["kind"]].append(good.aggregate > bad.aggregate)
    return found


def main(paths: list[str]) -> None:
    """Print a line a kind, the worst first."""
    found = asyncio.run(preferred(paths))
    for kind, wins in sorted(found.items(), key=lambda item: sum(item[1]) / len(item[1])):
        print(f"{kind:<26}{sum(wins):>4} of {len(wins)}")
    everything = [win for wins in found.values() for win in wins]
    print(f"{'all':<26}{sum(everything):>4} of {len(everything)}")


if __name__ == "__main__":
    main(sys.argv[1:])
