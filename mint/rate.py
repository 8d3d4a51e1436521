"""Human ratings of two systems: `python -m mint.rate export ...` and `mint.rate agreement ...`."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mint.config.evaluation import EvaluationConfig
from mint.data.cases import read_cases
from mint.evaluation.rater_agreement import Agreement, agreement
from mint.evaluation.rating_sheets import make_pairs, read_choices, write_sheets
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.summary import Estimate
from mint.rundir.directory import RunDir
from mint.shell import cli
from mint.shell.files import check_output, read_json_lines
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
    contexts = {}
    if settings.data is not None:
        for case in read_cases(settings.data):
            lines = (f"{message.role.capitalize()}: {message.content}" for message in case.history)
            contexts[case.conversation_id, case.turn] = "\n".join(lines)
    pairs = make_pairs(
        _replies(settings.a), _replies(settings.b), contexts, settings.num, settings.seed
    )
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
    choices, systems = read_choices(
        Path(settings.key), [Path(sheet) for sheet in settings.sheets], settings.skip_unrated
    )
    statistics = EvaluationConfig(
        resamples=settings.resamples, confidence=settings.confidence, seed=settings.seed
    )
    return agreement(choices, systems, statistics)


def as_json(result: Agreement) -> dict[str, Any]:
    """The result as plain JSON."""
    raters = {
        name: {**own._asdict(), "win_rate": asdict(own.win_rate)}
        for name, own in result.raters.items()
    }
    return {**result._asdict(), "win_rate": asdict(result.win_rate), "raters": raters}


def format_agreement(result: Agreement) -> str:
    """A few lines for people."""
    first, second = result.systems
    counts = ", ".join(f"{name} {number}" for name, number in sorted(result.outcomes.items()))
    lines = [
        f"{first} against {second}: win rate {_shown(result.win_rate)} ({counts}; ties count half)"
    ]
    for name, own in result.raters.items():
        side = "" if own.left_share is None else f", chose left {own.left_share:.0%}"
        lines.append(f"  {name:<20} {_shown(own.win_rate)}  {own.num} pairs{side}")
    alpha = "not defined" if result.alpha is None else f"{result.alpha:.3f}"
    lines.append(f"Krippendorff's alpha {alpha}")
    for names, kappa in result.kappas.items():
        lines.append(f"  Cohen's kappa {names}: {'-' if kappa is None else f'{kappa:.3f}'}")
    return "\n".join(lines)


def main(settings: ExportSettings | AgreementSettings) -> None:
    """Entry point of both parts."""
    if isinstance(settings, ExportSettings):
        export(settings)
        return
    result = compute(settings)
    if settings.output is not None:
        path = Path(settings.output)
        RunDir(path.parent).write_json(path.name, as_json(result))
    print(format_agreement(result))


def _replies(path: str) -> list[EvaluatedReply]:
    if not Path(path).is_file():
        raise ConfigError(f"{path} does not exist; give a *_replies.jsonl file of an evaluation")
    return [EvaluatedReply.from_row(row) for row in read_json_lines(Path(path))]


def _shown(value: Estimate) -> str:
    if value.mean is None or value.ci_low is None or value.ci_high is None:
        return "-" if value.mean is None else f"{value.mean:.3f} (no interval)"
    return f"{value.mean:.3f} [{value.ci_low:.3f}, {value.ci_high:.3f}]"


if __name__ == "__main__":
    parts: dict[str, Any] = {"export": ExportSettings, "agreement": AgreementSettings}
    sys.exit(cli.run_parts(str(__doc__), parts, main))
