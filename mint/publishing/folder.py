"""The whole folder: model, card, system prompt, figures as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mint.config.schema import TUNING_COMMANDS, MintConfig, mint_config
from mint.data.prompts import system_prompt
from mint.evaluation.protocols.sage import prompts_of_talks
from mint.evaluation.subjects import prompts_of_run
from mint.evaluation.trained_run import model_path, rows_path
from mint.publishing.card import BUILT_LICENCES, Subject, model_card
from mint.publishing.inspect_log import write_logs
from mint.publishing.markdown import local
from mint.publishing.model import write_model
from mint.publishing.rewarded import DIALOGUES
from mint.reporting.data import load
from mint.rundir.directory import RunDir
from mint.shell.files import (
    read_json,
    read_json_if_there,
    replacing_folder,
    write_json,
    write_text_atomic,
)
from rewards.errors import ConfigError

CARD = "README.md"
SYSTEM_PROMPT = "system_prompt.txt"
FIGURES = "evaluation"
LOGS = "inspect"
_PROBES = "probes.json"
_FILE, _FOLDER = 0o644, 0o755


def check_licence(config: MintConfig, given: str | None) -> str:
    """The licence of the weights: as given, or of the policies that mint builds. Raises
    ConfigError where only its owner can know it."""
    if given is not None:
        return given
    if config.policy.build in BUILT_LICENCES:
        return BUILT_LICENCES[config.policy.build]
    raise ConfigError(
        "licence=ID is needed: the licence of the starting policy as the model hub spells it, such "
        "as licence=apache-2.0 (it stands on the model's page)"
    )


def publish(
    run: RunDir,
    output: Path,
    *,
    licence: str | None = None,
    repository: str | None = None,
    inspect: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write the folder and return it. It appears when everything is in it.

    `repository`: USER/NAME on the hub, for the card; None: the folder's own name. `inspect`: also
    logs for inspect_ai, which hold the held-out conversations themselves.

    Raises ConfigError for a run without a trained model, an unknown licence or a folder that has
    files already; DataError for a broken run.
    """
    config = run.read_config()
    if other := [name for name in TUNING_COMMANDS if name in config.mint]:
        raise ConfigError(
            f"{run.path} is a run of `mint {other[0]}`: mint publishes runs of `mint train`; "
            f"give {run.model_path} to one as its start (actor_rollout_ref.model.path)"
        )
    settings = mint_config(config)
    trained = Path(model_path(run, config, "after"))
    subject = Subject(
        title=(repository or output.resolve().name).rpartition("/")[2],
        repository=repository or output.name,
        licence=check_licence(settings, licence),
        system_prompt=_system_prompt(rows_path(config, settings), settings),
        probes=read_json_if_there(run.evaluation_path / "after" / _PROBES),
    )
    data = load(run)
    card = model_card(data, settings, subject)
    with replacing_folder(output, overwrite=overwrite) as folder:
        write_model(trained, folder, config)
        write_text_atomic(folder / SYSTEM_PROMPT, subject.system_prompt + "\n")
        _write_figures(run, folder / FIGURES)
        if inspect:
            write_logs(data, folder / FIGURES / LOGS)
        write_text_atomic(folder / CARD, card)
        _open_to_all(folder)
    return output


def _system_prompt(held_out: str, config: MintConfig) -> str:
    prompts = prompts_of_run(held_out, config)
    return system_prompt(prompts_of_talks(prompts) if config.task == DIALOGUES else prompts, ())


def _write_figures(run: RunDir, target: Path) -> None:
    """The evaluation's JSON, without replies (they hold people's conversations) and paths."""
    target.mkdir()
    found = [*run.evaluation_path.glob("*.json")]
    found += [*(run.evaluation_path / "after").glob("*.json")]
    for path in sorted(path for path in found if not path.stem.endswith("_answers")):
        name = path.name if path.parent == run.evaluation_path else f"after_{path.name}"
        write_json(target / name, _without_texts(read_json(path), run))


def _without_texts(content: Any, run: RunDir) -> Any:
    """Paths of this machine by their last part; nothing that people have written."""
    if isinstance(content, dict):
        kept = {key: value for key, value in content.items() if key != "items"}
        return {
            key: Path(value).name
            if key == "model" and isinstance(value, str)
            else _without_texts(value, run)
            for key, value in kept.items()
        }
    if isinstance(content, list):
        return [_without_texts(value, run) for value in content]
    if isinstance(content, str):
        return Path(content).name if content.startswith("/") else local(content)
    return content


def _open_to_all(folder: Path) -> None:
    """Readable by other users too: weights are written readable by their owner alone."""
    folder.chmod(_FOLDER)
    for path in folder.rglob("*"):
        path.chmod(_FOLDER if path.is_dir() else _FILE)
