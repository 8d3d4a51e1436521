"""Grade a run's failed replies again: `python -m mint.regrade run=DIR`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from mint.config.schema import MintConfig, mint_config
from mint.rundir.directory import RunDir
from mint.rundir.manifest import identities, require_same_graders
from mint.rundir.quarantine import read_quarantine
from mint.rundir.regrading import format_result, regrade
from mint.shell import cli
from mint.shell.files import check_output_file, write_json_lines
from rewards.build import ready_graders


@dataclass(frozen=True, kw_only=True)
class RegradeSettings:
    """Grade again the replies that a run's graders failed on, and show which of them work now.

    Uses the graders of the run's config.yaml and refuses others. Writes one row a reply, with its
    status, reward components and remaining failures, to `output`. The run itself stays as it is.
    """

    run: str
    """Run directory."""
    quarantine: str | None = None
    """File of failed replies; null: RUN/quarantine.jsonl."""
    output: str | None = None
    """Where the results go; null: RUN/regraded.jsonl."""
    overwrite: bool = False
    """Replace the file that `output` names."""
    tagger_urls: list[str] | None = None
    """Addresses of the tagger's servers now; null: those of the run."""
    judge_urls: list[str] | None = None
    """Addresses of the judge's servers now; null: those of the run."""


def main(settings: RegradeSettings) -> int:
    """Exit status of the command: 0 when every reply can be graded now, else 1."""
    run = RunDir.open(settings.run)
    overwrite = settings.output is None or settings.overwrite
    output = check_output_file(settings.output or run.regraded_path, overwrite=overwrite)
    rows = read_quarantine(Path(settings.quarantine or run.quarantine_path))
    mint = _moved(mint_config(run.read_config()), settings)
    graders = ready_graders(mint.encoder, mint.tagger, mint.judge)
    require_same_graders(run, identities(graders))
    done = regrade(rows, graders)
    write_json_lines(output, [result.as_row(mint.reward) for result in done])
    print(format_result(done, output))
    return int(not all(result.works for result in done))


def _moved(mint: MintConfig, settings: RegradeSettings) -> MintConfig:
    """The configuration with the servers where they are now."""
    tagger, judge = mint.tagger, mint.judge
    if settings.tagger_urls is not None:
        tagger = replace(tagger, served=replace(tagger.served, urls=settings.tagger_urls))
    if settings.judge_urls is not None:
        judge = replace(judge, served=replace(judge.served, urls=settings.judge_urls))
    return replace(mint, tagger=tagger, judge=judge)


if __name__ == "__main__":
    sys.exit(cli.run(RegradeSettings, main))
