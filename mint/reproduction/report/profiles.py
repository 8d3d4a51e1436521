"""Tables of what a system's own turns look like, and of what surrounds the main table."""

from __future__ import annotations

from pathlib import Path

from mint.pages.html import spaced
from mint.reproduction.report.table import (
    Checked,
    Column,
    Table,
    interval_text,
    metric,
    systems_table,
)
from mint.reproduction.results import Results
from mint.reproduction.sums import PREVALENCE
from mint.reproduction.surface import SurfaceCheck
from rewards.tactics import TACTIC_NAMES

_PRINTED = 0.0006
"""Half a unit of the third decimal, in which the wording table is printed, and a little more."""


def diversity_table(results: Results) -> Table:
    """Variety of tactic sets on the system's own turns."""
    fields = [
        metric("distinct_sets", "Sets", 0),
        metric("set_entropy", "Entropy, bits", 2),
        metric("effective_tactics", "Effective tactics", 2),
        metric("same_set", "Same set again"),
        metric("any_new", "Any new tactic"),
        metric("self_jaccard", "Jaccard, own turns"),
        metric("cross_jaccard", "Jaccard, unrelated turns"),
        (
            Column("always_on", "Always on (> 90 %)"),
            lambda one: " ".join(one.always_on) or "none",
        ),
    ]
    note = "All replies of a system are generated for the same fixed histories."
    return systems_table(results, "diversity", "Variety of tactic sets", fields, note)


def prevalence_table(results: Results) -> Table:
    """Share of turns with each tactic."""
    fields = [metric(f"{PREVALENCE}{name}", spaced(name), 2) for name in TACTIC_NAMES]
    return systems_table(results, "prevalence", "Share of turns with each tactic", fields)


def hack_table(results: Results) -> Table:
    """Habits that please a judge without answering a person."""
    fields = [
        metric("top_opening", "Same opening"),
        metric("top_phrase", "Same phrase"),
        metric("questions", "Questions a reply", 2),
        metric("has_question", "With a question"),
        metric("ends_with_question", "Ends with a question"),
        metric("emoji", "Emoji"),
        metric("markdown", "Markdown"),
        metric("lived_experience", "Lived experience"),
        metric("num_words", "Words", 1),
        metric("num_sentences", "Sentences", 1),
        *(metric(f"distinct_{n}", f"Distinct-{n}") for n in (1, 2, 3)),
        *(metric(f"distinct_{n}_equal_length", f"Distinct-{n}, equal length") for n in (1, 2, 3)),
        metric("duplicates", "Duplicates"),
        (Column("opening_words", "Opening"), lambda one: one.opening),
        (Column("phrase_words", "Phrase"), lambda one: one.phrase),
    ]
    note = (
        "Equal length: expected share of different items in a random sample of "
        f"{results.settings.equal_length:,}."
    )
    return systems_table(results, "hack_profile", "Reward-hack profile", fields, note)


def surface_table(results: Results) -> Table:
    """Repetition of wording and of tactics, published and observed."""
    model = Path(results.settings.bertscore_model).name
    said = f"here {model}" if model else "none is given: bertscore_model=DIR"
    names = ("bigram_overlap", "bleu_2", "stickiness", "pairs", "bertscore")
    return Table(
        name="surface",
        title="Repetition of wording and of tactics",
        columns=(
            Column("source", "Source"),
            Column("bigram_overlap", "Bigram overlap", 3),
            Column("bleu_2", "BLEU-2", 3),
            Column("stickiness", "Stickiness", 3),
            Column("pairs", "Pairs", 0),
            Column("bertscore", "BERTScore", 3),
            Column("published_bertscore", "Published", 3),
            Column("note", "Note"),
        ),
        rows=tuple(
            (
                check.row.title,
                *(_checked(check, name) for name in names),
                check.row.values["bertscore"],
                check.missing or "–",
            )
            for check in results.surface
        ),
        note=(
            "Stickiness of the training conversations needs their tags, BERTScore a language model "
            f"({said})."
        ),
    )


def agreement_table(results: Results) -> Table:
    """Judge against experts."""
    rows = []
    for one in results.agreement:
        spearman, kappa = results.published.agreement[one.dimension]
        rows.append(
            (
                spaced(one.dimension),
                one.spearman,
                interval_text(one.spearman_interval),
                spearman,
                one.kappa,
                interval_text(one.kappa_interval),
                kappa,
                one.between_experts,
            )
        )
    return Table(
        name="agreement",
        title="Judge against experts",
        columns=(
            Column("dimension", "Dimension"),
            Column("spearman", "Spearman", 2),
            Column("spearman_interval", "Interval"),
            Column("published_spearman", "Published", 2),
            Column("kappa", "Weighted kappa", 2),
            Column("kappa_interval", "Interval"),
            Column("published_kappa", "Published", 2),
            Column("between_experts", "Spearman of two experts", 2),
        ),
        rows=tuple(rows),
        note=(
            "The judge's mean over a conversation's turns against the median expert; kappa has "
            "quadratic weights and rounds both. How the paper combines ratings is not released."
        ),
    )


def _checked(check: SurfaceCheck, name: str) -> Checked | None:
    if name not in check.observed:
        return None
    observed, stated = check.observed[name], check.row.values[name]
    return Checked(observed, stated, abs(observed - stated) <= _PRINTED)
