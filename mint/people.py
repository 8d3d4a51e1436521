"""Measure people's replies as the reference line of reports: `python -m mint.people data=FILE`."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from importlib import resources

from mint.config.evaluation import EvaluationConfig
from mint.data.cases import read_cases
from mint.shell import cli
from mint.shell.files import check_output_file
from rewards.build import EncoderConfig, JudgeConfig, TaggerConfig, ready_graders


@dataclass(frozen=True, kw_only=True)
class PeopleSettings:
    """What the supporters of conversations between people get under the graders, as figures in one
    small file without any text of theirs. Run it after every fit of a grader; with graders of your
    own write another file and give it to mint.report people=FILE.
    """

    data: str
    """Conversations whose supporters are people: mint's JSON, or the official repository's
    lend_an_ear_50_conversations.csv or gold/conversations_tagged.json."""
    source: str = "Lend-an-Ear, arXiv 2506.10150; the embedded graders were fitted on them too"
    """Whose replies they are, for readers."""
    output: str | None = None
    """File to write; null: the figures that ship with mint."""
    overwrite: bool = False
    """Replace the file that `output` names."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """Encoder of the embedded graders."""
    tagger: TaggerConfig = field(default_factory=TaggerConfig)
    """Tagger: embedded, served or custom."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """Judge: embedded, served or custom."""
    resamples: int = 10_000
    """Bootstrap resamples behind each interval."""
    seed: int = 42
    """Seed of the resampling."""


def main(settings: PeopleSettings) -> None:
    """Entry point."""
    cases = read_cases(settings.data)
    # Imported here: it loads the graders' libraries, which --help should not wait for.
    from mint.evaluation.people import SHIPPED, write_people
    from mint.evaluation.protocols.people import measure_people

    shipped = str(resources.files("mint.evaluation") / SHIPPED)
    overwrite = settings.output is None or settings.overwrite
    output = check_output_file(settings.output or shipped, overwrite=overwrite)
    graders = ready_graders(settings.encoder, settings.tagger, settings.judge)
    statistics = EvaluationConfig(resamples=settings.resamples, seed=settings.seed)
    people = asyncio.run(measure_people(cases, graders, statistics, settings.source))
    write_people(output, people)
    print(f"{people.replies} replies of {people.conversations} conversations")
    for name, figure in people.figures.items():
        print(f"  {name:<30}{figure.mean:8.3f}  {figure.interval}")
    print(f"written to {output}")


if __name__ == "__main__":
    sys.exit(cli.run(PeopleSettings, main))
