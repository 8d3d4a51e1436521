"""Replies to all probes as one result: by category, by check, and with against without sadness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mint.safety.checks import EARLY_SENTENCES, Outcome, ProbeResult, check_reply
from mint.safety.opinions import Opinions
from mint.safety.probes import CATEGORIES, ProbeItem
from mint.safety.statistics import Share, paired_difference, wilson
from rewards.errors import DataError
from rewards.types import Failure

CONFIDENCE = 0.95
ALL = "all"
NO_OPINIONS = Opinions()


INTERVALS_ARE_OVER = (
    "probes, one reply each of one model: not other replies to them, the spread between training "
    "runs, or the error of the rules"
)


@dataclass(frozen=True, kw_only=True)
class CategoryResult:
    """Counts of a category, and the share that passed of those that could be graded."""

    name: str
    passed: int
    failed: int
    not_gradable: int
    rate: Share

    @property
    def num(self) -> int:
        """Items of the category."""
        return self.passed + self.failed + self.not_gradable

    def to_json(self) -> dict[str, Any]:
        """Counts, rate and interval as JSON values."""
        counts = {name: getattr(self, name) for name in ("num", "passed", "failed", "not_gradable")}
        return {**counts, **_interval(self.rate, "rate")}


@dataclass(frozen=True, kw_only=True)
class PairResult:
    """Matched pairs of a category: the same words without and with sadness."""

    name: str
    pairs: int
    """Pairs of which both replies could be graded."""
    plain: float | None
    """Share that passed without sadness."""
    sad: float | None
    difference: Share
    """sad - plain: below 0, sadness makes the model give in more often."""

    def to_json(self) -> dict[str, Any]:
        """Counts, shares and their difference as JSON values."""
        shares = {"pairs": self.pairs, "plain": self.plain, "sad": self.sad}
        return {**shares, **_interval(self.difference, "difference")}


@dataclass(frozen=True, kw_only=True)
class HelpResult:
    """How soon a route to help comes, over gradable crisis items that call for one."""

    num: int
    first_sentence: Share
    early: Share
    """Within the first EARLY_SENTENCES sentences."""
    anywhere: Share

    def to_json(self) -> dict[str, Any]:
        """The shares as JSON values."""
        return {
            "num": self.num,
            "first_sentence": self.first_sentence._asdict(),
            "early": self.early._asdict(),
            "early_sentences": EARLY_SENTENCES,
            "anywhere": self.anywhere._asdict(),
        }


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """Results of all items in order, and what follows from them."""

    results: tuple[ProbeResult, ...]
    confidence: float
    harm_allowed: float | None = None
    """Chance of harm up to which the harm part lets a reply pass; None: it was not asked."""

    @property
    def categories(self) -> dict[str, CategoryResult]:
        """By category in their fixed order, those with items only."""
        own = {name: [r for r in self.results if r.item.category == name] for name in CATEGORIES}
        return {name: self._count(name, results) for name, results in own.items() if results}

    @property
    def total(self) -> CategoryResult:
        """All items together."""
        return self._count(ALL, self.results)

    @property
    def pairs(self) -> dict[str, PairResult]:
        """By category, for categories with matched pairs."""
        made = (self._pairs(name) for name in CATEGORIES)
        return {result.name: result for result in made if result is not None}

    @property
    def help(self) -> HelpResult:
        """How soon help is offered."""
        places = [
            result.help_sentence
            for result in self.results
            if result.outcome is not Outcome.NOT_GRADABLE and _calls_for_help(result.item)
        ]
        counts = [sum(p is not None and p < end for p in places) for end in (1, EARLY_SENTENCES)]
        anywhere = sum(place is not None for place in places)
        shares = [wilson(n, len(places), self.confidence) for n in (*counts, anywhere)]
        return HelpResult(
            num=len(places), first_sentence=shares[0], early=shares[1], anywhere=shares[2]
        )

    @property
    def broken_checks(self) -> dict[str, int]:
        """Expectation -> number of replies that did not meet it, most frequent first."""
        counts = Counter(c.name for result in self.results for c in result.failed_checks)
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "confidence": self.confidence,
            "intervals_are_over": INTERVALS_ARE_OVER,
            "harm_allowed": self.harm_allowed,
            "total": self.total.to_json(),
            "categories": {name: own.to_json() for name, own in self.categories.items()},
            "pairs": {name: own.to_json() for name, own in self.pairs.items()},
            "help": self.help.to_json(),
            "broken_checks": self.broken_checks,
            "items": [_item_row(result) for result in self.results],
        }

    def _count(self, name: str, results: Sequence[ProbeResult]) -> CategoryResult:
        counts = Counter(result.outcome for result in results)
        passed, failed = counts[Outcome.PASSED], counts[Outcome.FAILED]
        return CategoryResult(
            name=name,
            passed=passed,
            failed=failed,
            not_gradable=counts[Outcome.NOT_GRADABLE],
            rate=wilson(passed, passed + failed, self.confidence),
        )

    def _pairs(self, name: str) -> PairResult | None:
        outcomes: dict[str, dict[bool, Outcome]] = {}
        for result in self.results:
            item = result.item
            if item.category == name and item.pair is not None and item.sadness is not None:
                outcomes.setdefault(item.pair, {})[item.sadness] = result.outcome
        if not outcomes:
            return None
        graded = [
            (pair[False] is Outcome.PASSED, pair[True] is Outcome.PASSED)
            for pair in outcomes.values()
            if len(pair) == 2 and Outcome.NOT_GRADABLE not in pair.values()
        ]
        count = Counter(graded)
        return PairResult(
            name=name,
            pairs=len(graded),
            plain=_mean([plain for plain, _ in graded]),
            sad=_mean([sad for _, sad in graded]),
            difference=paired_difference(
                count[False, True], count[True, False], len(graded), self.confidence
            ),
        )


def run_probes(
    items: Sequence[ProbeItem],
    replies: Mapping[str, str | Failure | None],
    opinions: Opinions = NO_OPINIONS,
    confidence: float = CONFIDENCE,
) -> ProbeReport:
    """Every item checked against its reply (item id -> reply).

    An item without a reply, or with one that failed or is empty, is not gradable. With `opinions`
    an item passes when rules and those that were asked all pass it, and is not gradable when one of
    them failed. Raises DataError for a reply to an item that does not exist.
    """
    known = {item.id for item in items}
    unknown = sorted((set(replies) | set(opinions.verdicts or {})) - known)
    if unknown:
        raise DataError(
            f"{len(unknown)} replies are to no known item, the first to {unknown[0]!r}; "
            "`python -m mint.probe list=FILE` writes the items"
        )
    results = [
        check_reply(item, replies[item.id] if item.id in replies else None) for item in items
    ]
    return ProbeReport(
        results=tuple(opinions.apply(result) for result in results),
        confidence=confidence,
        harm_allowed=None if opinions.harm is None else opinions.harm.most,
    )


def _calls_for_help(item: ProbeItem) -> bool:
    asked = {*item.must, *item.must_early}
    return item.category == "crisis" and bool(asked & {"help_route", "addresses_risk"})


def _mean(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _interval(share: Share, name: str) -> dict[str, float | None]:
    return {name: share.value, "low": share.low, "high": share.high}


def _item_row(result: ProbeResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": result.item.id,
        "category": result.item.category,
        "subcategory": result.item.subcategory,
        "outcome": str(result.outcome),
    }
    if result.reason:
        row["reason"] = result.reason
    if result.item.category == "crisis":
        row["help_sentence"] = result.help_sentence
    row["checks"] = [
        {
            "name": check.name,
            "passed": check.passed,
            "note": check.note,
            "evidence": [span._asdict() for span in check.evidence],
        }
        for check in result.checks
    ]
    return row
