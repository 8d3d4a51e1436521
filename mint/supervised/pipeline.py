"""One run of `mint sft`: check, read, train, write the model and its heads, measure, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mint.policy.chat import refuses_system
from mint.policy.model_files import local_files, model_config, model_folder
from mint.policy.tuned import write_tuned
from mint.rundir.directory import RunDir
from mint.shell.console import say
from mint.shell.files import replacing_folder, write_json
from mint.supervised import data, place, safety
from mint.supervised.heads import FACTS, Head, HeadShape, check_same, load_heads, save_heads
from mint.supervised.labels import emotions, strategies
from mint.supervised.settings import SftSettings
from mint.supervised.task import EMOTION, STRATEGY, WITH_REPLY, SftTask, Student
from mint.tuning.checkpoint import trained
from mint.tuning.command import Asked
from mint.tuning.encoding import Encoder
from mint.tuning.loop import Tuned, steps_of, tune
from mint.tuning.model import (
    causal,
    check_model,
    device_of,
    dtype_of,
    load_model,
    load_tokenizer,
    make_ready,
    write_model,
)
from mint.tuning.session import check_run, finish, opened
from rewards.errors import ConfigError
from rewards.quiet import quiet_loading

COMMAND = "sft"


class Plan(NamedTuple):
    """A checked run."""

    model: str
    """Path of the model to begin with."""
    splits: data.Splits
    files: list[Path]


def plan(asked: Asked) -> Plan:
    """Check everything that can be known before anything is built. Raises ConfigError or DataError
    for the first problem."""
    settings: SftSettings = asked.settings
    check_run(asked)
    device = device_of(settings.model)
    model = check_model(settings.model)
    if settings.safety.teacher is not None and settings.weights.safety > 0:
        _check_teacher(settings.safety.teacher, model)
    files = data.files(settings.data)
    if settings.safety.replies is not None:
        if not Path(settings.safety.replies).is_file():
            raise ConfigError(f"safety.replies={settings.safety.replies} does not exist")
        files.append(Path(settings.safety.replies))
    splits = data.read(settings)
    data.check_labels(settings, splits.train)
    say(
        f"model      {model}, {settings.model.adapter}, {device.type} in "
        f"{str(dtype_of(settings.model, device)).removeprefix('torch.')}"
    )
    for line in splits.notes:
        say(f"note: {line}")
    return Plan(model, splits, files)


def dry_run(asked: Asked) -> None:
    """Check everything and say what the run would be; starts nothing."""
    ready = plan(asked)
    settings: SftSettings = asked.settings
    sizes = {name: len(own) for name, own in ready.splits.train.items()}
    if settings.weights.safety > 0:
        sizes[safety.NAME] = len(safety.trained_on(settings.safety))
    _say_mixture(settings, sizes)
    folder = local_files(ready.model)
    if folder is None:
        say(f"note: {ready.model} is not there yet; the run builds it")
    else:
        _say_template(load_tokenizer(ready.model), ready.model)
    say(f"run        {asked.run.path}")
    say("all checks passed; nothing was started")


def run(asked: Asked) -> int:
    """Train, write RUN/model, RUN/heads and RUN/adapter, measure; returns the exit status."""
    settings: SftSettings = asked.settings
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.model.num_threads)
    try:
        ready = plan(asked)
        model = make_ready(settings.model, settings.run.seed)
        with opened(asked, COMMAND, model, ready.files) as asked_to_end:
            return _run(settings, ready, model, asked.run, asked_to_end)
    finally:
        torch.set_num_threads(threads)


def _run(
    settings: SftSettings,
    ready: Plan,
    model: str,
    run_dir: RunDir,
    asked_to_end: Callable[[], bool],
) -> int:
    tokenizer = load_tokenizer(model)
    _say_template(tokenizer, model)
    texts = dict(ready.splits.train)
    prompts = settings.data.prompts.config()
    if settings.weights.safety > 0:
        teacher_path = settings.safety.teacher or model
        texts[safety.NAME] = safety.teacher_texts(
            settings.safety, teacher_path, prompts, run_dir.path
        )
    encoder = Encoder(
        tokenizer,
        settings.batch.max_length,
        enable_thinking=settings.data.prompts.enable_thinking,
    )
    train, too_long = data.encode(texts, encoder)
    dev, _ = data.encode(ready.splits.dev, encoder)
    if too_long:
        say(f"note: {too_long:,} samples are longer than batch.max_length and are left out")
    _say_mixture(settings, {name: len(own) for name, own in train.items()})
    student = make_student(settings, model)
    task = SftTask(student, train, dev, settings, _teacher(settings, model))
    say(
        f"training {sum(p.numel() for p in trained(student).values()):,} parameters, "
        f"{steps_of(settings.loop, len(task.steps(0))):,} steps of {settings.batch.size} samples"
    )
    tuned = tune(run_dir, task, settings.loop, settings.run.seed, asked_to_end)
    facts: dict[str, Any] = {}
    if not tuned.saved:
        facts = _conclude(settings, ready, task, encoder, tokenizer, model, run_dir, tuned)
    return finish(run_dir, tuned, facts)


def _conclude(
    settings: SftSettings,
    ready: Plan,
    task: SftTask,
    encoder: Encoder,
    tokenizer: Any,
    model: str,
    run_dir: RunDir,
    tuned: Tuned,
) -> dict[str, Any]:
    """Measure the chosen step on the test files, write what was trained."""
    test, too_long = data.encode(ready.splits.test, encoder)
    if too_long:
        say(f"note: {too_long:,} test samples are longer than batch.max_length: not measured")
    scores = {name: task.test(own) for name, own in test.items() if own and task.module.heads}
    for name, heads in scores.items():
        for head, result in heads.items():
            say(f"test {name}: {head} {in_words(result)}")
    write_json(run_dir.scores_path, {"step": tuned.best_step, "test": scores})
    write_student(task.module, tokenizer, settings, model, run_dir)
    if settings.safety.measure:
        prompts = settings.data.prompts.config()
        for label, path in (("before", model), ("after", str(run_dir.model_path))):
            report = safety.measure(path, run_dir.evaluation_path / label, prompts, settings.safety)
            rate = report.total.rate
            say(
                f"held-out safety probes {label}: {rate.value:.3f} passed "
                f"[{rate.low:.3f}, {rate.high:.3f}] of {report.total.num}"
            )
    return {"test": scores}


def in_words(result: Mapping[str, Any]) -> str:
    """The scores of a head on a line."""
    return (
        f"accuracy {result['accuracy']:.3f} [{result['accuracy_low']:.3f}, "
        f"{result['accuracy_high']:.3f}], weighted F1 {result['weighted_f1']:.3f}, macro-F1 "
        f"{result['macro_f1']:.3f} of {result['num']:,}"
    )


def make_student(settings: SftSettings, model: str) -> Student:
    """The model with adapters and heads; heads of an earlier run go on where it ended.

    Raises DataError for heads of other labels or sizes.
    """
    lm = load_model(model, settings.model, settings.run.seed)
    size = int(causal(lm).config.get_text_config().hidden_size)
    heads = make_heads(settings, size)
    earlier = Path(model).parent / "heads"
    if (earlier / FACTS).is_file():
        given = load_heads(earlier, size)
        check_same(given, heads, earlier)
        for name, head in heads.items():
            head.load_state_dict(given[name].state_dict())
        if lost := sorted(given.keys() - heads.keys()):
            say(f"note: heads of {earlier} that are not kept, their weight is 0: {', '.join(lost)}")
    device = next(lm.parameters()).device
    return Student(lm, heads).to(device)


def make_heads(settings: SftSettings, hidden_size: int) -> dict[str, Head]:
    """Untrained heads for the losses that have a weight; seeded."""
    torch.manual_seed(settings.run.seed)
    own, weights = settings.heads, settings.weights
    common = {"hidden_size": hidden_size, "pooling": own.pooling}
    shapes: dict[str, HeadShape] = {}
    if weights.emotion > 0:
        shapes[EMOTION] = HeadShape(
            labels=emotions().names,
            width=own.emotion_width,
            detached=own.detached,
            **common,  # type: ignore[arg-type]
        )
    classes = strategies().names
    strategic = {"labels": classes, "width": own.strategy_width, **common}
    strategic["told"] = place.size(len(classes)) if own.place_told else 0
    if weights.strategy > 0:
        shapes[STRATEGY] = HeadShape(detached=own.detached, **strategic)  # type: ignore[arg-type]
    if weights.strategy_with_reply > 0:
        shapes[WITH_REPLY] = HeadShape(detached=True, sees_reply=True, **strategic)  # type: ignore[arg-type]
    return {name: Head(shape, own.dropout) for name, shape in shapes.items()}


def write_student(
    student: Student, tokenizer: Any, settings: SftSettings, model: str, run_dir: RunDir
) -> None:
    """RUN/heads, RUN/adapter and, with the adapter merged in, RUN/model."""
    if student.heads:
        with replacing_folder(run_dir.heads_path, overwrite=True) as folder:
            folder.mkdir()
            save_heads(folder, dict(student.heads.items()))  # type: ignore[arg-type]
    if settings.model.adapter == "lora":
        with replacing_folder(run_dir.adapter_path, overwrite=True) as folder:
            student.lm.save_pretrained(folder)
    with replacing_folder(run_dir.model_path, overwrite=True) as folder:
        write_model(student.lm, tokenizer, folder, model)
        write_tuned(
            folder,
            COMMAND,
            settings.data.prompts.config(),
            tokenizer,
            settings.data.prompts.enable_thinking,
        )


def _teacher(settings: SftSettings, model: str) -> Any | None:
    """A frozen model of its own; None where the student without its adapters is the teacher."""
    own = settings.safety.teacher
    if settings.weights.safety == 0 or (own is None and settings.model.adapter == "lora"):
        return None
    from transformers import AutoModelForCausalLM

    device = device_of(settings.model)
    path = str(local_files(own or model))
    with quiet_loading():
        teacher = AutoModelForCausalLM.from_pretrained(path, dtype=dtype_of(settings.model, device))
    return teacher.to(device).eval().requires_grad_(False)


def _check_teacher(teacher: str, model: str) -> None:
    model_folder("safety.teacher", teacher)
    theirs, own = model_config(teacher), model_config(model)
    if theirs is None:
        raise ConfigError(
            f"safety.teacher={teacher} is not on this machine; download it, or leave it out: the "
            "model as it began is the teacher then"
        )
    if own is not None and theirs["vocab_size"] != own["vocab_size"]:
        raise ConfigError(
            f"safety.teacher={teacher} has {theirs['vocab_size']} tokens, the model has "
            f"{own['vocab_size']}: KL needs one vocabulary"
        )


def _say_template(tokenizer: Any, model: str) -> None:
    if refuses_system(tokenizer) is not None:
        say(
            f"note: the chat template of {model} takes no system message; it goes before the first "
            "user message"
        )


def _say_mixture(settings: SftSettings, sizes: Mapping[str, int]) -> None:
    say(f"mixture    alpha {settings.data.alpha:g}")
    for line in data.table(sizes, settings.data):
        say(line)
