"""The real stacks of all tests here: a tiny policy, graders' servers, training runs; made once.

Training runs start with the first test of this folder and go on in the background while other tests
run; the tests that look at them come last.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serving_models
from grader_servers import FlakyJudge, Serving
from training_queue import Trained, TrainingQueue
from witness import Witness

from rewards.tactics import TACTIC_NAMES

# Random weights would fill an answer with the white space that JSON allows everywhere.
COMPACT_JSON = (
    "vllm_args=[--structured-outputs-config.backend=xgrammar,"
    "--structured-outputs-config.disable_any_whitespace=true]"
)
SMALL = ("data.train_batch_size=4", "actor_rollout_ref.rollout.n=4")
VALIDATED = (
    *SMALL,
    "trainer.save_freq=100",
    "trainer.max_actor_ckpt_to_keep=1",
    "mint.evaluation.resamples=200",
    "mint.validation.every_steps=1",
    "mint.validation.max_conversations=4",
    "mint.validation.probes_per_category=1",
    "mint.validation.limits.max_truncated=null",
    "mint.validation.choose={self_stickiness:-1}",
)
RUNS = {
    # Fixture: its run directory and settings. The first three are one run, continued twice.
    "trained": (
        "run",
        *VALIDATED,
        "trainer.total_training_steps=2",
        "mint.evaluation.max_prompts=8",
        "mint.evaluation.samples_per_prompt=2",
    ),
    "resumed": (
        "run",
        *VALIDATED,
        "mint.run.resume=true",
        "trainer.total_training_steps=3",
        "mint.run.evaluate=false",
    ),
    "stopped": (
        "run",
        "mint.run.resume=true",
        "trainer.total_training_steps=50",
        "mint.run.evaluate=false",
        "mint.collapse.action=stop",
        "mint.collapse.max_top_opening=0.0",
        "mint.collapse.window=4",
    ),
    "dead": (
        "dead",
        *SMALL,
        "trainer.total_training_steps=2",
        "mint.run.evaluate=false",
        "mint.tagger.kind=custom",
        "mint.tagger.factory=dead_grader:DeadTagger",
    ),
    # Dialogues, of which the seeker loses about one in five.
    "talked": (
        "talked",
        "+recipe=rlver_tiny",
        "mint.data.source=prepared",
        "mint.seeker.kind=custom",
        "mint.seeker.factory=fake_seekers:FaultySeeker",
        "trainer.total_training_steps=2",
        "mint.validation.every_steps=1",
        "mint.validation.max_conversations=3",
        "mint.validation.probes_per_category=1",
        "mint.validation.limits.max_truncated=null",
        "mint.evaluation.resamples=200",
        "mint.evaluation.samples_per_prompt=1",
        "mint.grading.max_failed_fraction=0.6",
        "mint.grading.max_lost_fraction=0.9",
    ),
    # PPO: one dialogue a person, people by success, harder seekers from the second step on.
    "critic": (
        "critic",
        "+recipe=rlver_tiny_ppo",
        "data.train_batch_size=6",
        "mint.data.source=prepared",
        "mint.run.evaluate=false",
        "mint.grading.max_failed_fraction=0.9",
        "mint.grading.max_lost_fraction=1",
        "mint.seeker.kind=custom",
        "mint.seeker.factory=fake_seekers:FaultySeeker",
        "mint.curriculum.people=success",
        "mint.curriculum.success_emotion=40",
        "trainer.total_training_steps=2",
        "trainer.save_freq=2",
    ),
    "critic_resumed": (
        "critic",
        "mint.run.resume=true",
        "trainer.total_training_steps=3",
    ),
    # Heads for emotion and strategy, safety KL; "served" trains its model on rewards.
    "tuned": (
        "tuned",
        "+recipe=sft_tiny",
        "model.path=outputs/tiny-policy",
        "model.build=none",
        "data.conversations.generate=12",
        "data.samples=96",
        "data.dev_cap=20",
        "safety.prompts=3",
        "safety.max_new_tokens=6",
        "loop.epochs=1",
        "loop.every_steps=2",
    ),
    # Replies are lost, and a weight beyond 32-bit numbers makes every gradient no number.
    "broken": (
        "broken",
        *SMALL,
        "data.train_batch_size=8",
        "actor_rollout_ref.rollout.n=8",
        "trainer.total_training_steps=4",
        "mint.run.evaluate=false",
        "mint.run.max_skipped_updates=2",
        "mint.judge.kind=custom",
        "mint.judge.factory=lossy_judge:LossyJudge",
        "mint.grading.max_failed_fraction=0.9",
        "mint.grading.max_lost_fraction=0.9",
        "actor_rollout_ref.actor.kl_loss_coef=1e39",
    ),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait for training runs go last."""
    items.sort(key=lambda item: bool(wanted([item])))


def wanted(items: list[pytest.Item]) -> set[str]:
    """Which training runs these tests look at."""
    runs = {*RUNS, "served", "watched"}
    return {name for item in items for name in getattr(item, "fixturenames", ()) if name in runs}


@pytest.fixture(scope="session", autouse=True)
def trainings(request: pytest.FixtureRequest) -> Iterator[TrainingQueue | None]:
    """The training runs that the selected tests look at, begun with the first test of this folder;
    None when there is none."""
    needed = wanted(request.session.items)
    if not needed:
        yield None
        return
    queue = TrainingQueue(request.getfixturevalue("workplace"))
    for name, (directory, *overrides) in RUNS.items():
        if name in needed:
            seen = name == "trained" and "watched" in needed
            held = request.getfixturevalue("witness") if seen else None
            queue.add(name, directory, *overrides, held=held)
    yield queue
    queue.stop()


@pytest.fixture(scope="session")
def trained(trainings: TrainingQueue) -> Trained:
    """Two steps, both validated, with evaluation before and after."""
    return ended(trainings.result("trained"))


@pytest.fixture(scope="session")
def witness(workplace: Path) -> Witness:
    return Witness(workplace / RUNS["trained"][0])


@pytest.fixture(scope="session")
def watched(trained: Trained, witness: Witness) -> list[dict[str, Any]]:
    """What a browser has seen of that run, from its start to its end."""
    return witness.lines


@pytest.fixture(scope="session")
def resumed(trainings: TrainingQueue, trained: Trained) -> Trained:
    """The same run continued by one step."""
    return ended(trainings.result("resumed"))


@pytest.fixture(scope="session")
def stopped(trainings: TrainingQueue, resumed: Trained) -> Trained:
    """The same run continued until the collapse alarm ends it."""
    return ended(trainings.result("stopped"), status=3)


@pytest.fixture(scope="session")
def talked(trainings: TrainingQueue) -> Trained:
    """Two steps of dialogues with faults of the seeker, validated, with evaluation."""
    return ended(trainings.result("talked"))


@pytest.fixture(scope="session")
def critic(trainings: TrainingQueue) -> Trained:
    """Two steps of PPO on dialogues with faults of the seeker."""
    return ended(trainings.result("critic"))


@pytest.fixture(scope="session")
def critic_resumed(trainings: TrainingQueue, critic: Trained) -> Trained:
    """The same run continued by one step."""
    return ended(trainings.result("critic_resumed"))


@pytest.fixture(scope="session")
def dead(trainings: TrainingQueue) -> Trained:
    """A run none of whose replies can be graded."""
    return ended(trainings.result("dead"), status=1)


@pytest.fixture(scope="session")
def broken(trainings: TrainingQueue) -> Trained:
    """A run that loses replies and skips every update."""
    return ended(trainings.result("broken"), status=1)


@pytest.fixture(scope="session")
def tuned(trainings: TrainingQueue) -> Trained:
    """Multi-task fine-tuning of the tiny policy."""
    return ended(trainings.result("tuned"))


@pytest.fixture(scope="session")
def served(trainings: TrainingQueue, tuned: Trained, servers: dict[str, Serving]) -> Trained:
    """Three steps from the fine-tuned policy with graders on servers; some gradings of the third
    fail."""
    return ended(trainings.result("served"))


def ended(trained: Trained, status: int = 0) -> Trained:
    """The run, once its exit status is the one expected."""
    assert trained.status == status, trained.stdout + trained.stderr
    return trained


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with a briefly warm-started tiny policy and generated data."""
    from fake_seekers import people

    from mint.config.prompts import PromptConfig, PromptStyle
    from mint.data.synthetic import build_demo_data
    from mint.dialogue.people import write_people
    from mint.policy.tiny import TinySettings, build_tiny

    folder = tmp_path_factory.mktemp("work")
    build_demo_data(folder / "outputs/tiny-data", 60, 0)
    everybody = people(14)
    write_people(
        folder / "outputs/tiny-people",
        {"train": everybody[6:], "val": everybody[:6]},
        PromptConfig(style=PromptStyle.PLAIN, compact=True),
        0,
    )
    build_tiny(
        folder / "outputs/tiny-policy", TinySettings(reply_tokens=60_000, turn_tokens=40_000)
    )
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the tiny models, adapters and the adapters' input format."""
    folder = tmp_path_factory.mktemp("models")
    serving_models.build_tagger_base(folder / "tagger-base")
    serving_models.build_adapters(folder / "adapters", list(TACTIC_NAMES))
    serving_models.write_annotations(folder / "annotations")
    serving_models.build_judge(folder / "tiny-judge")
    serving_models.build_reward_model(folder / "tiny-reward")
    (folder / "token").write_text("s3cret-of-the-test\n")
    return folder


@pytest.fixture(scope="session")
def servers_in_use() -> threading.Lock:
    """Held by who needs all servers or kills one."""
    return threading.Lock()


@pytest.fixture(scope="session")
def servers(
    models: Path,
    trainings: TrainingQueue | None,
    servers_in_use: threading.Lock,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Serving]]:
    """The three servers, started at the same time; what still runs ends with the tests."""
    folder = tmp_path_factory.mktemp("serve")
    parts = {
        "tagger": (
            f"model={models / 'tagger-base'}",
            f"adapters={models / 'adapters'}",
            "max_lora_rank=8",
        ),
        "judge": (f"model={models / 'tiny-judge'}", COMPACT_JSON),
        "reward_model": (f"model={models / 'tiny-reward'}", f"token_file={models / 'token'}"),
    }
    running = {part: Serving(folder, part, *settings) for part, settings in parts.items()}
    with contextlib.ExitStack() as open_now:
        for server in running.values():
            open_now.callback(server.stop)
        for server in running.values():
            server.wait_ready()
        if trainings is not None and "served" in wanted(request.session.items):
            flaky = FlakyJudge(running["reward_model"].url, trainings.path("served"))
            open_now.callback(flaky.stop)
            trainings.add(
                "served",
                "served",
                f"policy={trainings.path('tuned')}",
                *running["tagger"].facts["overrides"],
                *running["reward_model"].facts["overrides"],
                f"mint.judge.served.urls=[{flaky.url}]",
                f"mint.tagger.served.prompts={models / 'annotations'}",
                "mint.run.evaluate=false",
                "mint.grading.max_failed_fraction=0.9",
                "mint.grading.max_lost_fraction=0.9",
                "mint.run.samples_per_step=4",
                "data.train_batch_size=2",
                "data.max_response_length=40",
                "actor_rollout_ref.rollout.n=4",
                "trainer.total_training_steps=3",
                held=servers_in_use,
            )
        yield running


@pytest.fixture
def breakable(
    servers: dict[str, Serving], servers_in_use: threading.Lock
) -> Iterator[dict[str, Serving]]:
    """The servers while no training run depends on them: for a test that kills one."""
    with servers_in_use:
        yield servers
