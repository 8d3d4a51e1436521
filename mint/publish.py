"""Publish a run's model as a folder that others can load, with a model card:
`python -m mint.publish RUN output=DIR`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from mint.rundir.directory import RunDir
from mint.shell import cli
from mint.shell.files import check_output
from rewards.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PublishSettings:
    """Write a folder that transformers and `vllm serve` load as it was trained: weights, tokenizer,
    sampling, the chat template of training, a model card made of the run's facts, and the
    evaluation as JSON. Everybody may read it.

    `push=USER/NAME` sends the folder to the model hub afterwards, with the login of the hub's own
    library (`hf auth login`); whether that will work is asked before anything is written. A
    repository that is not there yet is made private. The conversations of data and evaluation are
    not published, unless --inspect is given.
    """

    run: list[str] = field(default_factory=list, metadata=cli.POSITIONAL)
    """Run directory, given without key: python -m mint.publish RUN output=DIR."""
    output: str
    """Folder to write."""
    push: str | None = None
    """USER/NAME of the model on the hub."""
    licence: str | None = None
    """Licence of the weights as the hub spells it, apache-2.0; null: of the policies that mint
    builds their own, else it must be given."""
    inspect: bool = False
    """Also write logs of the held-out replies for `inspect view` (inspect_ai). They hold the
    held-out conversations."""
    overwrite: bool = False
    """Replace a folder that has files already."""


def main(settings: PublishSettings) -> None:
    """Entry point of `python -m mint.publish`."""
    if len(settings.run) != 1:
        raise ConfigError(
            f"give one run directory: python -m mint.publish RUN output=DIR; got {settings.run}"
        )
    run, output = RunDir.open(settings.run[0]), Path(settings.output).resolve()
    own = run.path.resolve()
    if output == own or own in output.parents or output in own.parents:
        raise ConfigError(
            f"output={settings.output} holds the run or lies within it, and would replace it; "
            "choose a folder elsewhere"
        )
    check_output(output, settings.overwrite)
    # Imported here: an error above should not wait for them.
    from mint.publishing.folder import publish
    from mint.publishing.push import check_hub, push

    if settings.push is not None:
        check_hub(settings.push)
    publish(
        run,
        output,
        licence=settings.licence,
        repository=settings.push,
        inspect=settings.inspect,
        overwrite=settings.overwrite,
    )
    print(output)
    if settings.push is not None:
        print(push(output, settings.push))


if __name__ == "__main__":
    sys.exit(cli.run(PublishSettings, main))
