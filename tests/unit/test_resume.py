"""A run that goes on is the run that was started: settings, data, graders; the record grows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from checkpoint_files import save
from omegaconf import OmegaConf

from mint import train
from mint.config import compose, invocation, recipes
from mint.config.schema import mint_config
from mint.policy.model_files import model_fingerprint
from mint.rundir.directory import RunDir
from mint.rundir.manifest import (
    LOST,
    RunFacts,
    amend_manifest,
    finish_manifest,
    read_manifest,
    start_manifest,
)
from mint.rundir.resume import GoingOn, resumed_run
from mint.shell.files import write_json
from mint.training import pipeline, preflight, resuming
from mint.training.filled_keys import fill_verl_keys
from mint.validation.record import Stopped, write_stopped
from rewards.errors import ConfigError
from rewards.types import GraderIdentity

pytestmark = pytest.mark.slow

STARTED = (
    "+recipe=mint_tiny",
    "mint.reward.kl=0.5",
    "actor_rollout_ref.actor.optim.lr=1e-5",
    "mint.validation.choose={self_stickiness: -1}",
)
GRADERS = {"judge": GraderIdentity(kind="custom", name="mine", revision="one")}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Started with `STARTED`, stopped at step 7 of 24, saved at 5; its data beside it."""
    folder = tmp_path_factory.mktemp("begun")
    data = folder / "data"
    data.mkdir()
    for name in ("train", "val"):
        pq.write_table(pa.table({"prompt": ["x"] * 16}), data / f"{name}.parquet")
    recipes.register(recipes.find_recipes())
    run = RunDir.create(folder / "run")
    overrides = [*STARTED, f"mint.data.dir={data}", f"mint.run.dir={run.path}"]
    config = compose.compose_config(overrides)
    compose.finalise(config, recipe="mint_tiny", run_dir="unused")
    run.config_path.write_text(OmegaConf.to_yaml(config, resolve=True))
    facts = RunFacts(
        command=["python", "-m", "mint.train", *overrides],
        recipe="mint_tiny",
        data_files=[data / "train.parquet", data / "val.parquet"],
        graders=GRADERS,
    )
    start_manifest(run, facts)
    for step in range(1, 8):
        run.append_metrics(step, {"a": step})
    save(run, 5)
    return folder


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> RunDir:
    """A copy of it, in another folder."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    config = (tmp_path / "run" / "config.yaml").read_text()
    (tmp_path / "run" / "config.yaml").write_text(config.replace(str(begun), str(tmp_path)))
    return RunDir(tmp_path / "run")


@pytest.fixture
def data(run: RunDir) -> Path:
    return run.path.parent / "data"


def go_on(run: RunDir, *arguments: str) -> GoingOn:
    asked = invocation.read([f"resume={run.path}", *arguments])
    assert asked.resume is not None
    return resumed_run(asked.resume)


def test_the_runs_own_configuration_counts(run: RunDir) -> None:
    for arguments in (
        [f"resume={run.path}"],
        [f"mint.run.dir={run.path}", "mint.run.resume=true"],
        ["+recipe=mint_tiny", f"mint.run.dir={run.path}", "mint.run.resume=True"],
    ):
        asked = invocation.read(arguments)
        assert asked.jobs == []
        assert asked.resume is not None
        going_on = resumed_run(asked.resume)
        assert going_on.changes == {}
        assert going_on.overrides == arguments
        config = going_on.config
        assert config.mint.reward.kl == 0.5
        assert config.actor_rollout_ref.actor.optim.lr == 1e-5
        assert dict(config.mint.validation.choose) == {"composite": 1.0, "self_stickiness": -1}
        assert config.mint.run.resume is True
        assert mint_config(config).run.dir == str(run.path)


def test_what_a_recipe_says_by_now_does_not_matter(run: RunDir) -> None:
    kept = yaml.safe_load(run.config_path.read_text())
    kept["data"]["train_batch_size"] = 4  # as if the recipe's value had been another one
    run.config_path.write_text(yaml.safe_dump(kept))
    going_on = go_on(run, "+recipe=mint_tiny", "trainer.total_training_steps=30")
    assert going_on.config.data.train_batch_size == 4
    assert going_on.changes == {"trainer.total_training_steps": (24, 30)}


def test_settings_typed_again_as_they_were_are_no_change(run: RunDir, data: Path) -> None:
    again = [*STARTED[1:], f"mint.data.dir={data}/../data", "mint.reward.kl=5e-1"]
    assert go_on(run, *again).changes == {}


FREE = {
    "trainer.total_training_steps=48": (24, 48),
    "trainer.total_epochs=3": (100, 3),
    "mint.validation.patience=2": (None, 2),
    "trainer.logger=[console]": (["tensorboard"], ["console"]),
    "mint.run.step_timeout_s=60": (180.0, 60.0),
    "actor_rollout_ref.actor.fsdp_config.optimizer_offload=true": (False, True),
    "actor_rollout_ref.rollout.gpu_memory_utilization=0.4": (0.2, 0.4),
    "ray_kwargs.ray_init.num_cpus=8": (64, 8),
    "mint.judge.served.urls=[http://new:8100]": ([], ["http://new:8100"]),
    "trainer.n_gpus_per_node=2": (1, 2),
}


def test_what_may_change_changes_with_what_follows_from_it(run: RunDir) -> None:
    """The recipe has ray_init.num_gpus: ${trainer.n_gpus_per_node}; config.yaml has the number."""
    going_on = go_on(run, *FREE)
    wanted = {typed.split("=")[0]: change for typed, change in FREE.items()}
    wanted["ray_kwargs.ray_init.num_gpus"] = (1, 2)
    assert {key: going_on.changes[key] for key in wanted} == wanted
    for key, (_, now) in going_on.changes.items():
        assert OmegaConf.select(going_on.config, key) == now
    assert going_on.config.mint.reward.kl == 0.5


REFUSED = {
    "mint.reward={kl: 2, entropy: 1}": "mint.reward.kl: 0.5 -> 2",
    "actor_rollout_ref.actor.optim.lr=1e-2": "actor_rollout_ref.actor.optim.lr: 1e-05 -> 0.01",
    "data.train_batch_size=4": "data.train_batch_size: 8 -> 4",
    "mint.run.seed=1": "mint.run.seed: 0 -> 1",
    "mint.data.style=plain": "mint.data.style: tactics_history -> plain",
    "mint.judge.parts=none": "mint.judge.parts: None -> none",
    "actor_rollout_ref.model.path=Qwen/Qwen3-4B": "actor_rollout_ref.model.path: outputs/tiny-poli",
}


def test_another_run_in_the_same_folder_is_refused(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([f"resume={run.path}", *REFUSED, "trainer.total_epochs=1", "--dry-run"]) == 2
    text = capsys.readouterr().err
    assert [said for said in REFUSED.values() if said not in text] == []
    assert "total_epochs" not in text
    assert text.count("\n") == 1
    assert "mint.run.allow_changes=true" in text
    going_on = go_on(run, *REFUSED, "mint.run.allow_changes=true")
    assert {typed.split("=")[0] for typed in REFUSED} - {"mint.reward"} <= set(going_on.changes)
    assert going_on.config.mint.run.allow_changes is True
    # What follows from an allowed change: one update a step stays one.
    assert going_on.changes["actor_rollout_ref.actor.ppo_mini_batch_size"] == (8, 4)
    assert go_on(run).config.mint.run.allow_changes is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume=/nowhere/run"], "run directory /nowhere/run does not exist"),
        (["resume="], "which run is to go on? give resume=RUN"),
        (["mint.run.resume=true"], "which run is to go on? give resume=RUN"),
        (["resume=RUN", "mint.reward.kll=1"], "unknown key 'mint.reward.kll'; did you mean"),
        (["resume=RUN", "trainer.save_freq=often"], "trainer.save_freq must be a number"),
        (["resume=RUN", "mint.reward.kl=abc"], "mint.reward.kl: Value 'abc'"),
        (["resume=RUN", "mint.reward.kl=0,1"], "one value a key; got mint.reward.kl=0,1"),
        (["resume=RUN", "~mint.reward.kl"], "one value a key; got ~mint.reward.kl"),
        (["resume=RUN", "mint.run.dir=/other"], "are two runs; give one"),
        (["resume=RUN", "+recipe=mint_4b"], "+recipe=mint_tiny -> +recipe=mint_4b"),
        (["resume=RUN", "-m"], "-m has no meaning for a run that goes on"),
        (["resume=RUN", "--cfg", "job"], "--cfg has no meaning for a run that goes on"),
    ],
)
def test_requests_that_cannot_be_met(
    run: RunDir, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [argument.replace("RUN", str(run.path)) for argument in arguments]
    assert train.main([*given, "--dry-run"]) == 2
    text = capsys.readouterr().err
    assert message in text
    assert text.count("\n") == 1


def test_a_run_that_was_moved_is_found_where_it_is(run: RunDir, tmp_path: Path) -> None:
    moved = RunDir(run.path.rename(tmp_path / "moved"))
    config = go_on(moved).config
    assert config.mint.run.dir == str(moved.path)
    assert config.trainer.default_local_dir == str(moved.checkpoints_path)


def test_a_run_of_another_version_is_told_apart(run: RunDir) -> None:
    kept = yaml.safe_load(run.config_path.read_text())
    del kept["mint"]["grading"]["max_batch"]  # newer than the run: its default
    run.config_path.write_text(yaml.safe_dump(kept))
    assert go_on(run).config.mint.grading.max_batch == 64
    kept["mint"]["reward"]["gone"] = 1
    run.config_path.write_text(yaml.safe_dump(kept))
    with pytest.raises(
        ConfigError, match=r"'mint\.reward\.gone', which this version does not know"
    ):
        go_on(run)


def test_a_recipe_that_is_gone_does_not_matter(run: RunDir) -> None:
    manifest = read_manifest(run)
    manifest["attempts"][0]["command"] = "python -m mint.train +recipe=mine mint.reward.kl=0.5"
    write_json(run.manifest_path, manifest)
    assert go_on(run, "trainer.total_epochs=7").changes == {"trainer.total_epochs": (100, 7)}


def check(run: RunDir, *arguments: str) -> None:
    going_on = go_on(run, *arguments)
    resuming.check_run_dir(going_on.config, mint_config(going_on.config), going_on.changes)


def inputs(run: RunDir, *arguments: str) -> dict[str, tuple[str, str]]:
    config = go_on(run, *arguments).config
    return resuming.check_inputs(run, mint_config(config), config)


def test_other_data_is_refused(run: RunDir, data: Path) -> None:
    assert inputs(run) == {}
    pq.write_table(pa.table({"prompt": ["y"] * 16}), data / "train.parquet")
    with pytest.raises(ConfigError, match=r"data\.train_files=.*parquet is not what this run was"):
        inputs(run)
    (key,) = inputs(run, "mint.run.allow_changes=true")
    assert key == f"data.train_files={data}/train.parquet (sha256)"


def test_other_weights_under_the_policys_name_are_refused(run: RunDir, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "config.json").write_text("{}")
    (policy / "model.safetensors").write_bytes(b"x" * 3_000_000)
    config = yaml.safe_load(run.config_path.read_text())
    config["actor_rollout_ref"]["model"]["path"] = str(policy)
    run.config_path.write_text(yaml.safe_dump(config))
    assert inputs(run) == {}  # a run of before fingerprints
    amend_manifest(run, {"model": model_fingerprint(str(policy))})
    assert inputs(run) == {}
    (policy / "model.safetensors").write_bytes(b"x" * 2_999_999 + b"y")
    with pytest.raises(ConfigError, match=r"model\.path=.*policy is not what this run was started"):
        inputs(run)


def test_a_run_without_a_whole_checkpoint_is_refused(run: RunDir) -> None:
    (run.checkpoints_path / "global_step_5" / "data.pt").unlink()
    with pytest.raises(ConfigError, match="no complete checkpoint to resume from"):
        check(run)


def interrupt_before_the_first_checkpoint(run: RunDir) -> None:
    shutil.rmtree(run.checkpoints_path)
    config = yaml.safe_load(run.config_path.read_text())
    config["trainer"]["save_freq"] = 8
    run.config_path.write_text(yaml.safe_dump(config))


def test_a_run_without_a_checkpoint_begins_again(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_before_the_first_checkpoint(run)
    check(run)
    resuming.go_on(run, GRADERS, go_on(run), {})
    assert run.read_metrics() == []
    told = capsys.readouterr().out
    assert "interrupted before its first checkpoint and begins again at step 0" in told
    assert "metrics.jsonl: 7 rows after step 0 dropped" in told
    manifest = read_manifest(run)
    first, second = manifest["attempts"]
    assert first["error"] == LOST
    assert (second["from_step"], second["error"], manifest["status"]) == (0, None, "running")
    config = go_on(run).config
    fill_verl_keys(config, mint_config(config))
    assert config.trainer.resume_mode == "disable"


def test_a_run_killed_before_its_manifest_begins(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between writing config.yaml and manifest.json: nothing was started yet."""
    folder = run.path.with_name("killed")
    killed = RunDir.create(folder)
    shutil.copy(run.config_path, killed.config_path)
    (folder / ".manifest.json.7.tmp").write_text("{")
    assert killed.is_free
    typed = [f"resume={folder}", "mint.reward.kl=0.7"]
    asked = invocation.read(typed)
    assert asked.resume is not None
    going_on = resumed_run(asked.resume)
    assert (going_on.changes, going_on.overrides) == ({}, typed), "no change of what never was"
    config = going_on.config
    assert (config.mint.reward.kl, config.actor_rollout_ref.actor.optim.lr) == (0.7, 1e-5)
    assert config.mint.run.resume is False
    assert config.mint.run.dir == str(folder)
    resuming.check_run_dir(config, mint_config(config), {})
    monkeypatch.setattr(pipeline, "identities", lambda _: GRADERS)
    ready = pipeline.Plan(mint_config(config), {}, preflight.Report([], []), {})
    pipeline._open(RunDir.create(folder), ready, None, going_on)
    assert read_manifest(killed)["command"] == f"python -m mint.train resume={folder} {typed[1]}"
    assert (killed.is_begun, killed.is_free) == (True, False)
    # From now on it is a run like any other.
    with pytest.raises(ConfigError, match=r"mint\.reward\.kl: 0\.7 -> 0\.5"):
        go_on(killed, "mint.reward.kl=0.5")
    assert go_on(killed, "trainer.save_freq=3").config.mint.run.resume is True


@pytest.mark.parametrize("name", ["logs/verl.log", "notes.txt", "metrics.jsonl"])
def test_a_folder_with_files_of_others_is_not_free(tmp_path: Path, name: str) -> None:
    run = RunDir.create(tmp_path / "run")
    (run.path / name).write_text("x")
    with pytest.raises(ConfigError, match="already exists"):
        RunDir.create(run.path)


def test_a_run_whose_checkpoints_are_gone_is_refused(run: RunDir) -> None:
    interrupt_before_the_first_checkpoint(run)
    run.append_metrics(8, {"a": 8})
    with pytest.raises(ConfigError, match=r"checkpoints of .* are gone, and its record .* step 8"):
        check(run)


def test_a_finished_run_without_checkpoints_is_not_trained_again(run: RunDir) -> None:
    interrupt_before_the_first_checkpoint(run)
    finish_manifest(run)
    with pytest.raises(ConfigError, match=r"checkpoints of .* are gone, and its record .* step 7"):
        check(run, "trainer.total_training_steps=30")


def test_other_ranks_than_the_checkpoints_are_refused(run: RunDir) -> None:
    with pytest.raises(ConfigError, match="written by 1 ranks"):
        check(run, "trainer.n_gpus_per_node=2")


def test_a_finished_run_goes_on_only_with_more_to_do(run: RunDir) -> None:
    save(run, 24)
    check(run)  # killed after the last step: evaluation and export are still to be done
    finish_manifest(run)
    with pytest.raises(ConfigError, match=r"is finished, its last step was 24; to train on, give"):
        check(run)
    check(run, "trainer.total_training_steps=30")


def test_a_run_that_had_ended_early_goes_on_only_with_other_limits(run: RunDir) -> None:
    write_stopped(run, Stopped(5, "patience", "5 validations without a better step"))
    check(run)
    config = go_on(run).config
    assert resuming.is_trained(config, run, {})
    assert not resuming.is_trained(config, run, {"mint.validation.patience": (1, 2)})
    finish_manifest(run)
    with pytest.raises(ConfigError, match="last step was 5: 5 validations without a better step"):
        check(run)
    check(run, "mint.validation.patience=20")


def test_the_record_goes_back_to_the_checkpoint(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    save(run, 7)
    (run.checkpoints_path / "global_step_7" / "data.pt").unlink()
    going_on = go_on(run, "trainer.total_training_steps=30")
    resuming.go_on(run, GRADERS, going_on, {"data.train_files (sha256)": ("a", "b")})
    assert [row["step"] for row in run.read_metrics()] == [1, 2, 3, 4, 5]
    told = capsys.readouterr().out
    assert "deleted global_step_7, of which only a part was saved" in told
    assert "metrics.jsonl: 2 rows after step 5 dropped" in told
    first, second = read_manifest(run)["attempts"]
    assert "mint.reward.kl=0.5" in first["command"]
    assert second["command"].endswith("trainer.total_training_steps=30")
    assert second["from_step"] == 5
    assert second["config_diff"] == {
        "trainer.total_training_steps": [24, 30],
        "data.train_files (sha256)": ["a", "b"],
    }


def test_other_graders_are_refused_before_anything_is_cut(run: RunDir) -> None:
    other = {"judge": GRADERS["judge"].__class__(kind="custom", name="mine", revision="two")}
    with pytest.raises(ConfigError, match="the judge is not the one"):
        resuming.go_on(run, other, go_on(run), {})
    assert len(run.read_metrics()) == 7


def test_resume_in_a_recipe_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mine.yaml").write_text(
        "# mine\ndefaults: [mint_tiny, _self_]\nmint: {run: {resume: true}}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert train.main(["+recipe=mine", "--dry-run"]) == 2
    assert "mint.run.resume belongs on the command line" in capsys.readouterr().err
