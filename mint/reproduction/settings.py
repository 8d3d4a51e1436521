"""Keys of `python -m mint.reproduce`."""

from __future__ import annotations

from dataclasses import dataclass, field

from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ReproduceSettings:
    """Rebuild published tables from released files, check each value, and measure what the tables
    do not show: those of MINT from its repository (upstream=PATH), or SAGE's leaderboard from its
    dialogues (sage=PATH).

    Of upstream, writes metrics.json, tables (CSV, Markdown, LaTeX) and report.html to `output`.
    Every folder of evaluation/outputs with tagged replies is a system; put your own there to
    compare it. Of sage, writes sage.json and report.html.
    """

    output: str
    """Folder for the results; must be new or empty unless --overwrite."""
    upstream: str | None = None
    """Checkout of the official repository, or a part of it."""
    sage: str | None = None
    """Folder of SAGE's released *_result.jsonl files, also in folders below it, one a simulator.
    Of the keys below it takes resamples, confidence and seed."""
    reference: str = "gold"
    """Folder of the people whose turns the fixed histories hold."""
    skip: list[str] = field(default_factory=list)
    """Folders to leave out: [name,...]."""
    resamples: int = 10_000
    """Bootstrap resamples of conversations behind each interval, >= 100."""
    comparison_resamples: int = 100_000
    """Resamples behind each pairwise p-value of a mean, >= 100. The smallest p-value they allow is
    2 / (n + 1), and the correction multiplies it by the number of pairs (253 for 23 systems)."""
    shuffles: int = 10_000
    """Shuffles behind each permutation null, >= 100."""
    confidence: float = 0.95
    """Coverage of the intervals, in (0, 1)."""
    equal_length: int = 4_000
    """Words, word pairs or triples that distinct-n at equal length is computed for, >= 1."""
    bertscore_model: str = ""
    """Folder with a Hugging Face encoder for the column BERTScore, which the paper's analysis takes
    from roberta-large; not computed when empty."""
    bertscore_layer: int = 17
    """Hidden state that BERTScore compares; 17 is its authors' choice for roberta-large."""
    seed: int = 42
    """Seed of resamples and shuffles."""
    overwrite: bool = False
    """Replace the files of an earlier call."""

    def __post_init__(self) -> None:
        limits = {
            "resamples": (self.resamples >= 100, ">= 100"),
            "comparison_resamples": (self.comparison_resamples >= 100, ">= 100"),
            "shuffles": (self.shuffles >= 100, ">= 100"),
            "confidence": (0 < self.confidence < 1, "in (0, 1)"),
            "equal_length": (self.equal_length >= 1, ">= 1"),
            "seed": (self.seed >= 0, ">= 0"),
        }
        for name, (holds, rule) in limits.items():
            if not holds:
                raise ConfigError(f"{name} must be {rule}, got {getattr(self, name)}")
        if (self.upstream is None) == (self.sage is None):
            raise ConfigError("give exactly one of upstream=PATH and sage=PATH")
