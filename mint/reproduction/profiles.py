"""Tables of what a system's own turns look like, and of what surrounds the main table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mint.reproduction.results import Results
from mint.reproduction.sums import PREVALENCE
from mint.reproduction.table import Checked, Column, Table, interval_text, measures_table
from rewards.tactics import TACTIC_NAMES

_PRINTED = 0.0006
"""Half a unit of the third decimal, in which the wording table is printed, and a little more."""


def diversity_table(results: Results) -> Table:
    """Variety of tactic sets on the system's own turns."""
    measures = (
        ("distinct_sets", "Sets", 0),
        ("set_entropy", "Entropy, bits", 2),
        ("effective_tactics", "Effective tactics", 2),
        ("same_set", "Same set again", 3),
        ("any_new", "Any new tactic", 3),
        ("self_jaccard", "Jaccard, own turns", 3),
        ("cross_jaccard", "Jaccard, unrelated turns", 3),
    )
    table = measures_table(results, "diversity", "Variety of tactic sets", measures)
    always = [" ".join(one.always_on) or "none" for one in results.systems.values()]
    return Table(
        name=table.name,
        title=table.title,
        columns=(*table.columns, Column("always_on", "Always on (> 90 %)")),
        rows=tuple((*row, on) for row, on in zip(table.rows, always, strict=True)),
        note="All replies of a system are generated for the same fixed histories.",
    )


def prevalence_table(results: Results) -> Table:
    """Share of turns with each tactic."""
    measures = tuple((f"{PREVALENCE}{t}", t.replace("_", " "), 2) for t in TACTIC_NAMES)
    return measures_table(results, "prevalence", "Share of turns with each tactic", measures)


def hack_table(results: Results) -> Table:
    """Habits that please a judge without answering a person."""
    measures = (
        ("top_opening", "Same opening", 3),
        ("top_phrase", "Same phrase", 3),
        ("questions", "Questions a reply", 2),
        ("has_question", "With a question", 3),
        ("ends_with_question", "Ends with a question", 3),
        ("emoji", "Emoji", 3),
        ("markdown", "Markdown", 3),
        ("lived_experience", "Lived experience", 3),
        ("num_words", "Words", 1),
        ("num_sentences", "Sentences", 1),
        ("distinct_1", "Distinct-1", 3),
        ("distinct_2", "Distinct-2", 3),
        ("distinct_3", "Distinct-3", 3),
        ("distinct_1_equal_length", "Distinct-1, equal length", 3),
        ("distinct_2_equal_length", "Distinct-2, equal length", 3),
        ("distinct_3_equal_length", "Distinct-3, equal length", 3),
        ("duplicates", "Duplicates", 3),
    )
    table = measures_table(results, "hack_profile", "Reward-hack profile", measures)
    words = [(one.opening, one.phrase) for one in results.systems.values()]
    return Table(
        name=table.name,
        title=table.title,
        columns=(
            *table.columns,
            Column("opening_words", "Opening"),
            Column("phrase_words", "Phrase"),
        ),
        rows=tuple((*row, *pair) for row, pair in zip(table.rows, words, strict=True)),
        note=(
            "Equal length: expected share of different items in a random sample of "
            f"{results.settings.equal_length:,}."
        ),
    )


def surface_table(results: Results) -> Table:
    """Repetition of wording and of tactics, published and observed."""
    rows = []
    for check in results.surface:
        cells = [
            _checked(check.observed, check.row.values, name)
            for name in ("bigram_overlap", "bleu_2", "stickiness", "pairs", "bertscore")
        ]
        stated = check.row.values["bertscore"]
        rows.append((check.row.title, *cells, stated, check.missing or "–"))
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
        rows=tuple(rows),
        note=(
            "Stickiness of the training conversations needs their tags, BERTScore a language model "
            f"({_model(results)})."
        ),
    )


def _model(results: Results) -> str:
    model = Path(results.settings.bertscore_model).name
    return f"here {model}" if model else "none is given: bertscore_model=DIR"


def agreement_table(results: Results) -> Table:
    """Judge against experts."""
    rows = []
    for one in results.agreement:
        stated = results.published.agreement[one.dimension]
        rows.append(
            (
                one.dimension.replace("_", " "),
                one.spearman,
                interval_text(one.spearman_interval),
                stated[0],
                one.kappa,
                interval_text(one.kappa_interval),
                stated[1],
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


def _checked(
    observed: Mapping[str, float], published: Mapping[str, float], name: str
) -> Checked | None:
    if name not in observed:
        return None
    near = abs(observed[name] - published[name]) <= _PRINTED
    return Checked(observed[name], published[name], near)
