"""Which checkpoints count: complete ones, as verl itself would load them."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from checkpoint_files import save

from mint.rundir.directory import RunDir
from mint.shell.processes import TrainingError
from mint.verl.checkpoint import (
    TRACKER,
    check_ranks,
    checkpoints,
    export_model,
    newest_checkpoint,
    prepare_resume,
    prune_checkpoints,
    resumable_step,
)
from rewards.errors import ConfigError


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run")


def folder(run: RunDir, step: int) -> Path:
    return run.checkpoints_path / f"global_step_{step}"


def cut(path: Path) -> None:
    """What a full disk or a kill leaves of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_newest_checkpoint_is_the_highest_number(run: RunDir) -> None:
    assert newest_checkpoint(run) is None
    save(run, 2, 10, 9)
    (run.checkpoints_path / TRACKER).write_text("10")
    newest = newest_checkpoint(run)
    assert newest is not None
    assert newest.name == "global_step_10"


BREAKS = {
    "no data.pt": lambda c: (c / "data.pt").unlink(),
    "half a data.pt": lambda c: cut(c / "data.pt"),
    "half of the weights": lambda c: cut(c / "actor" / "model_world_size_2_rank_1.pt"),
    "half of the optimiser": lambda c: cut(c / "actor" / "optim_world_size_2_rank_0.pt"),
    "a rank is missing": lambda c: (c / "actor" / "model_world_size_2_rank_0.pt").unlink(),
    "half of the Hugging Face weights": lambda c: cut(c / "actor/huggingface/model.safetensors"),
    "emptied by verl": lambda c: shutil.rmtree(c / "actor"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_half_checkpoint_does_not_count_and_goes_at_resume(run: RunDir, name: str) -> None:
    save(run, 50, 75, ranks=2)
    BREAKS[name](folder(run, 75))
    assert list(checkpoints(run)) == [50]
    assert export_model(run).is_dir()
    with pytest.raises(TrainingError, match="no checkpoint of step 75"):
        export_model(run, 75)
    assert prepare_resume(run) == (50, ["global_step_75"])
    assert (run.checkpoints_path / TRACKER).read_text() == "50"
    assert not folder(run, 75).exists()


def test_a_folder_later_than_the_tracker_was_never_finished(run: RunDir) -> None:
    save(run, 50, 75)
    (run.checkpoints_path / TRACKER).write_text("50")
    assert list(checkpoints(run)) == [50]
    assert prepare_resume(run) == (50, ["global_step_75"])


@pytest.mark.slow
def test_verl_finds_what_is_left(run: RunDir) -> None:
    """Its tracker file may have been cut off, or name a folder that is gone."""
    from verl.utils.checkpoint.checkpoint_manager import find_latest_ckpt_path

    save(run, 25, 50, 75)
    shutil.rmtree(folder(run, 75))
    assert find_latest_ckpt_path(str(run.checkpoints_path)) is None
    prepare_resume(run)
    assert find_latest_ckpt_path(str(run.checkpoints_path)) == str(folder(run, 50))
    (run.checkpoints_path / TRACKER).write_text("")
    assert prepare_resume(run) == (50, [])
    assert find_latest_ckpt_path(str(run.checkpoints_path)) == str(folder(run, 50))


def test_killed_in_the_first_save_a_run_begins_again(run: RunDir) -> None:
    save(run, 25)
    (run.checkpoints_path / TRACKER).unlink()
    assert resumable_step(run) == 0
    assert prepare_resume(run) == (0, ["global_step_25"])
    assert not any(run.checkpoints_path.iterdir())


def test_killed_before_the_first_save_a_run_begins_again(run: RunDir) -> None:
    assert resumable_step(run) == 0
    assert prepare_resume(run) == (0, [])
    assert not run.checkpoints_path.exists()


def test_a_run_that_has_lost_its_checkpoints_does_not_begin_again(run: RunDir) -> None:
    save(run, 25)
    (run.checkpoints_path / TRACKER).write_text("20")
    for refuse in (prepare_resume, resumable_step):
        with pytest.raises(ConfigError, match=r"no complete checkpoint .*global_step_25: damaged"):
            refuse(run)
    assert folder(run, 25).is_dir()


def test_a_deletion_that_was_interrupted_is_finished_at_resume(run: RunDir) -> None:
    save(run, 25, 50)
    folder(run, 25).rename(run.checkpoints_path / ".going_25")
    assert list(checkpoints(run)) == [50]
    prepare_resume(run)
    assert sorted(path.name for path in run.checkpoints_path.iterdir()) == [
        "global_step_50",
        TRACKER,
    ]


def test_half_checkpoints_do_not_push_whole_ones_out(run: RunDir) -> None:
    save(run, 50, 75, 60)
    (run.checkpoints_path / TRACKER).write_text("75")
    (folder(run, 75) / "data.pt").unlink()
    assert prune_checkpoints(run, 1, None) == [50]
    assert list(checkpoints(run)) == [60]


def test_a_checkpoint_is_loaded_on_as_many_ranks(run: RunDir) -> None:
    save(run, 5, ranks=4)
    check_ranks(folder(run, 5), 4)
    with pytest.raises(ConfigError, match=r"written by 4 ranks.*trainer\.nnodes is 8"):
        check_ranks(folder(run, 5), 8)


@pytest.mark.slow
def test_an_exported_model_is_readable_by_whom_the_users_mask_lets(run: RunDir) -> None:
    save(run, 1)
    weights = folder(run, 1) / "actor/huggingface/model.safetensors"
    weights.chmod(0o600)
    before = os.umask(0o027)
    try:
        exported = export_model(run) / weights.name
    finally:
        os.umask(before)
    assert stat.S_IMODE(exported.stat().st_mode) == 0o640
    assert stat.S_IMODE(exported.parent.stat().st_mode) == 0o750
