"""Human ratings of two systems: `python -m mint.rate export ...` and `mint.rate agreement ...`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.rating.pairs import contexts_of, make_pairs, rated_replies
from mint.evaluation.rating.results import Agreement, agreement, format_agreement
from mint.evaluation.rating.sheets import read_choices, write_sheets
from mint.shell import cli
from mint.shell.files import check_output, check_output_file, write_json
from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Write blinded sheets of pairs of replies, one a rater, and the key that stays with you."""

    a: str
    """Replies of the first system: a *_replies.jsonl file of an evaluation."""
    b: str
    """Replies of the second system to the same turns."""
    output: str
    """Folder to write; must be new or empty unless --overwrite."""
    a_name: str = "a"
    """What the first system is called in the key."""
    b_name: str = "b"
    """What the second system is called in the key."""
    data: str | None = None
    """Conversations that were answered, to show raters the whole history; null: only the message
    that is answered."""
    num: int | None = 100
    """Pairs, drawn at random; null takes all."""
    raters: int = 2
    """Sheets; each has its own order and sides."""
    seed: int = 0
    """Seed of the draw, the order and the sides."""
    overwrite: bool = False
    """Write into a folder that has files."""

    def __post_init__(self) -> None:
        for name in ("num", "raters"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be >= 1, got {value}")


@dataclass(frozen=True, kw_only=True)
class AgreementSettings:
    """Win rate and agreement of the raters from the sheets that came back."""

    key: str
    """key.csv of the export."""
    sheets: list[str] = field(default_factory=list, metadata=cli.POSITIONAL)
    """Filled sheets, given without key: one file a rater."""
    output: str | None = None
    """JSON file for the result."""
    overwrite: bool = False
    """Replace the file that `output` names."""
    skip_unrated: bool = False
    """Leave out rows without a choice instead of ending with an error."""
    resamples: int = 10_000
    """Bootstrap resamples of conversations behind each interval."""
    confidence: float = 0.95
    """Coverage of the intervals."""
    seed: int = 42
    """Seed of the resampling."""


def export(settings: ExportSettings) -> None:
    """Write the sheets and the key."""
    directory = Path(settings.output)
    check_output(directory, settings.overwrite)
    contexts = contexts_of(settings.data)
    first, second = rated_replies(settings.a), rated_replies(settings.b)
    pairs = make_pairs(first, second, contexts, settings.num, settings.seed)
    names = (settings.a_name, settings.b_name)
    sheets = write_sheets(directory, pairs, names, settings.raters, settings.seed)
    print(
        f"{len(pairs)} pairs in {len(sheets)} sheets in {directory}; raters fill the column choice "
        "with left, right or tie. Keep key.csv to yourself."
    )


def compute(settings: AgreementSettings) -> Agreement:
    """The result of the returned sheets."""
    if not settings.sheets:
        raise ConfigError("give the filled sheets: mint.rate agreement key=key.csv sheet_1.csv ...")
    sheets = [Path(sheet) for sheet in settings.sheets]
    choices, systems = read_choices(Path(settings.key), sheets, settings.skip_unrated)
    statistics = EvaluationConfig(
        resamples=settings.resamples, confidence=settings.confidence, seed=settings.seed
    )
    return agreement(choices, systems, statistics)


def main(settings: ExportSettings | AgreementSettings) -> None:
    """Entry point of both parts."""
    if isinstance(settings, ExportSettings):
        export(settings)
        return
    if settings.output is not None:
        check_output_file(settings.output, overwrite=settings.overwrite)
    result = compute(settings)
    if settings.output is not None:
        write_json(Path(settings.output), result.as_json())
    print(format_agreement(result))


if __name__ == "__main__":
    parts: dict[str, Any] = {"export": ExportSettings, "agreement": AgreementSettings}
    sys.exit(cli.run_parts(str(__doc__), parts, main))
