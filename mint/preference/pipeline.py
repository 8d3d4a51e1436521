"""`mint prefer` from its settings to a finished run: evaluate, draw pairs, train, evaluate."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mint.config.evaluation import GenerationConfig
from mint.config.prompts import prompts_of_card
from mint.data.dataset import CARD, TRAIN, VAL
from mint.data.synthetic import build_demo_data
from mint.evaluation.protocols.held_out import EvaluationResult, evaluate_model, write_comparison
from mint.evaluation.second import grade_canaries
from mint.policy.tuned import write_tuned
from mint.policy.warm_start import Example
from mint.preference import sampling
from mint.preference.files import check_messages, read_pairs
from mint.preference.log_probs import (
    REFERENCE,
    Computing,
    all_log_probs,
    load_reference,
    save_reference,
)
from mint.preference.pairs import Pair
from mint.preference.settings import PreferData, PreferSettings
from mint.preference.task import Control, DpoTask, EncodedPair
from mint.rundir.directory import RunDir
from mint.rundir.manifest import amend_manifest, identity_rows
from mint.shell.console import say
from mint.shell.files import read_json_if_there, read_json_lines, replacing_folder
from mint.tuning.command import Asked
from mint.tuning.encoding import Encoder
from mint.tuning.loop import tune
from mint.tuning.model import (
    check_model,
    device_of,
    dtype_of,
    load_model,
    load_tokenizer,
    make_ready,
    write_model,
)
from mint.tuning.session import check_run, finish, opened
from rewards.build import Graders, build_second_judge, ready_graders
from rewards.errors import ConfigError, DataError
from rewards.protocols import EmpathyJudge

COMMAND = "prefer"


class _Judging(NamedTuple):
    graders: Graders
    second: EmpathyJudge | None


def run(asked: Asked) -> int:
    """Exit status of the command. Raises ConfigError or DataError before anything is written."""
    settings: PreferSettings = asked.settings
    check_run(asked)
    check_model(settings.model)
    _check_data(settings.data)
    device_of(settings.model)
    if asked.dry_run:
        say(f"all checks passed; the run would be in {asked.run.path}")
        return 0
    model = make_ready(settings.model, settings.run.seed)
    files = _data_files(settings)
    judging = _judging(settings)
    with opened(asked, COMMAND, model, files) as asked_to_save:
        amend_manifest(asked.run, {"graders": identity_rows(judging.graders)})
        _evaluate(asked.run, settings, judging, model, "before")
        pairs, control = _pairs(asked.run, settings, judging, model)
        torch.set_num_threads(settings.model.num_threads)
        task, tuned_model, tokenizer = _task(asked.run, settings, model, pairs, control)
        tuned = tune(asked.run, task, settings.loop, settings.run.seed, asked_to_save)
        if not tuned.saved:
            _write(asked.run, settings, tuned_model, tokenizer, model)
            _evaluate(asked.run, settings, judging, str(asked.run.model_path), "after")
            if settings.evaluate:
                grade_canaries(judging.graders, judging.second, asked.run.evaluation_path)
                write_comparison(asked.run.evaluation_path, settings.evaluation)
        return finish(asked.run, tuned, {})


def _check_data(data: PreferData) -> None:
    if data.pairs is not None and not Path(data.pairs).is_file():
        raise ConfigError(f"data.pairs={data.pairs} does not exist")
    for part in (TRAIN, VAL):
        path = Path(data.dir) / f"{part}.parquet"
        if data.source == "prepared" and not path.is_file():
            raise ConfigError(
                f"{path} does not exist; write it with `python -m mint.prepare "
                f"input=CONVERSATIONS.json output={data.dir}`, set data.dir, or take "
                "data.source=synthetic"
            )


def _data_files(settings: PreferSettings) -> list[Path]:
    """The files that the run depends on; generated ones are made where they are missing."""
    data = settings.data
    files = [Path(data.dir) / f"{part}.parquet" for part in (TRAIN, VAL)]
    if data.source == "synthetic" and not files[0].is_file():
        say(f"generating {data.num_conversations} conversations in {data.dir}")
        build_demo_data(data.dir, data.num_conversations, 0)
    return files if data.pairs is None else [Path(data.pairs), *files]


def _write(
    run_dir: RunDir, settings: PreferSettings, tuned_model: Any, tokenizer: Any, model: str
) -> None:
    """RUN/adapter and, with it merged in, RUN/model."""
    if settings.model.adapter == "lora":
        with replacing_folder(run_dir.adapter_path, overwrite=True) as folder:
            tuned_model.save_pretrained(folder)
    with replacing_folder(run_dir.model_path, overwrite=True) as folder:
        write_model(tuned_model, tokenizer, folder, model)
        prompts = prompts_of_card(read_json_if_there(Path(settings.data.dir) / CARD) or {})
        if prompts is not None:
            write_tuned(folder, COMMAND, prompts, tokenizer, settings.data.enable_thinking)


def _judging(settings: PreferSettings) -> _Judging:
    graders = ready_graders(settings.encoder, settings.tagger, settings.judge)
    return _Judging(graders, build_second_judge(settings.second_judge))


def _evaluate(
    run_dir: RunDir, settings: PreferSettings, judging: _Judging, model: str, label: str
) -> EvaluationResult | None:
    """One side of the held-out evaluation; what an interrupted run has of it is kept."""
    done = run_dir.before_path if label == "before" else run_dir.after_path
    if not settings.evaluate or done.is_file():
        return None
    say(f"evaluating {model} ({label})")
    return evaluate_model(
        model,
        Path(settings.data.dir) / f"{VAL}.parquet",
        graders=judging.graders,
        weights=settings.reward,
        settings=GenerationConfig(
            **asdict(settings.evaluation), enable_thinking=settings.data.enable_thinking
        ),
        label=label,
        out_dir=run_dir.evaluation_path,
        second=judging.second,
    )


def _pairs(
    run_dir: RunDir, settings: PreferSettings, judging: _Judging, model: str
) -> tuple[list[Pair], list[dict[str, Any]]]:
    """Pairs and control replies: given ones, those that the run has drawn, or new ones."""
    if settings.data.pairs is not None:
        return read_pairs(Path(settings.data.pairs)), []
    if not (run_dir.path / sampling.PAIRS).is_file():
        rows = sampling.choose_rows(
            Path(settings.data.dir) / f"{TRAIN}.parquet", settings.pairs.max_prompts
        )
        asks = settings.pairs.min_second_gap is not None
        drawn = sampling.draw(
            rows, model, settings, judging.graders, judging.second if asks else None
        )
        sampling.write_drawn(drawn, run_dir.path)
        amend_manifest(run_dir, {"pairs": drawn.facts()})
        say(sampling.in_words(drawn.facts()))
    path = run_dir.path / sampling.PAIRS
    return read_pairs(path, ""), read_json_lines(run_dir.path / sampling.CONTROL)


def _task(
    run_dir: RunDir,
    settings: PreferSettings,
    path: str,
    pairs: Sequence[Pair],
    control: Sequence[Mapping[str, Any]],
) -> tuple[DpoTask, Any, Any]:
    """The task, its model and its tokenizer."""
    tokenizer = load_tokenizer(path)
    encoder = Encoder(
        tokenizer, settings.batch.max_length, enable_thinking=settings.data.enable_thinking
    )
    dev = _dev_clusters(pairs, settings)
    encoded = _encode(pairs, encoder)
    samples = _control(control, encoder, dev)
    model = load_model(path, settings.model, settings.run.seed)
    _without_dropout(model)
    device = device_of(settings.model)
    computing = Computing(
        model, device, dtype_of(settings.model, device), settings.pairs.temperature, settings.batch
    )
    reference = _reference(run_dir, computing, [both for _, *both in encoded], samples)
    ready = [
        (pair, EncodedPair(chosen, rejected, float(first), float(second)))
        for (pair, chosen, rejected), first, second in zip(
            encoded, reference["chosen_P"], reference["rejected_P"], strict=True
        )
    ]
    parts = {
        chosen: [one for pair, one in ready if (_cluster(pair) in dev) == chosen]
        for chosen in (True, False)
    }
    if not parts[True] or not parts[False]:
        raise DataError(
            f"{len(ready)} usable pairs of {len(dev)} scenarios or conversations held out leave "
            f"{len(parts[False])} to train and {len(parts[True])} to choose the step by: draw more "
            "(pairs.max_prompts, pairs.samples) or change data.dev_share"
        )
    say(f"{len(parts[False])} pairs to train, {len(parts[True])} to choose the step by")
    task = DpoTask(
        computing,
        parts[False],
        parts[True],
        Control(samples, reference["control_T"]),
        settings.dpo,
        settings.run.seed,
    )
    return task, model, tokenizer


def _cluster(pair: Pair) -> str:
    return pair.scenario or pair.conversation_id


def _dev_clusters(pairs: Sequence[Pair], settings: PreferSettings) -> set[str]:
    """Scenarios, or conversations where the pairs do not say them, that are not trained on."""
    names = sorted({_cluster(pair) for pair in pairs})
    if len(names) < 2:
        raise DataError(f"all {len(pairs)} pairs are of one scenario or conversation: need two")
    random.Random(settings.run.seed).shuffle(names)
    return set(names[: max(1, round(settings.data.dev_share * len(names)))])


def _encode(pairs: Sequence[Pair], encoder: Encoder) -> list[tuple[Pair, Example, Example]]:
    """The pairs as tokens; what is too long for batch.max_length is counted and left out."""
    found = []
    for pair in pairs:
        chosen, rejected = (encoder(pair.messages, said) for said in (pair.chosen, pair.rejected))
        if chosen is not None and rejected is not None:
            # The longer reply may have cost the prompt more of its oldest messages.
            shorter = min(chosen.prompt, rejected.prompt, key=len)
            both = (Example(shorter, one.reply) for one in (chosen, rejected))
            found.append((pair, *both))
    if lost := len(pairs) - len(found):
        say(f"{lost} of {len(pairs)} pairs are longer than batch.max_length and left out")
    return found  # type: ignore[return-value]


def _control(rows: Sequence[Mapping[str, Any]], encoder: Encoder, dev: set[str]) -> list[Example]:
    samples = []
    for number, row in enumerate(rows, start=1):
        if (row["scenario"] or row["conversation_id"]) not in dev or not row["reply"].strip():
            continue
        messages = check_messages(row["messages"], f"{sampling.CONTROL}:{number}")
        example = encoder(messages, row["reply"])
        if example is not None:
            cut = example.reply if row["ended"] else example.reply[:-1]
            samples.append(example._replace(reply=cut))
    return samples


def _without_dropout(model: torch.nn.Module) -> None:
    """The policy is compared with a reference without noise, so it gets none."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def _reference(
    run_dir: RunDir,
    computing: Computing,
    pairs: Sequence[Sequence[Example]],
    control: Sequence[Example],
) -> dict[str, torch.Tensor]:
    """Log-probabilities under the model as it begins: computed once, then read."""
    path = run_dir.path / REFERENCE
    sizes = {
        "chosen_P": len(pairs),
        "rejected_P": len(pairs),
        "control_T": sum(len(sample.reply) for sample in control),
    }
    if not path.is_file():
        computing.model.eval()
        chosen, rejected = zip(*pairs, strict=True)
        tensors = {
            "chosen_P": all_log_probs(computing, chosen, "reference, chosen").sums_S,
            "rejected_P": all_log_probs(computing, rejected, "reference, rejected").sums_S,
            "control_T": all_log_probs(computing, control, "reference, control").tokens_T,
        }
        save_reference(path, tensors)
    return load_reference(path, sizes)
