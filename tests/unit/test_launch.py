"""Launching: what is submitted, and real submitit jobs (its local executor) with a fake trainer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from checkpoint_files import save

from mint import launch
from mint.config import invocation
from mint.launching import kubernetes, ray_job, slurm
from mint.launching.attempt import next_overrides
from mint.launching.job import TrainJob
from mint.launching.settings import Kubernetes, RayJob, Slurm
from mint.launching.training import Training, read_training
from mint.rundir.directory import RunDir
from mint.rundir.manifest import RunFacts, finish_manifest, resume_manifest, start_manifest
from rewards.errors import ConfigError

pytestmark = pytest.mark.slow

RECIPE = "+recipe=mint_tiny"


def test_a_launched_run_has_its_folder_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(invocation.time, "strftime", lambda _: "same")
    training = read_training([RECIPE, "mint.reward.kl=0.5", f"mint.run.dir={tmp_path}/r"])
    assert training.recipe == "mint_tiny"
    assert training.overrides == [RECIPE, "mint.reward.kl=0.5", f"mint.run.dir={tmp_path}/r"]
    unnamed = read_training([RECIPE])
    assert unnamed.directory.is_absolute()
    assert unnamed.overrides[-1] == f"mint.run.dir={unnamed.directory}"
    # Launched in the same second: neither would move the other's files aside.
    assert read_training([RECIPE]).directory.name == "same_2"
    assert next_overrides(unnamed.overrides, 3) == unnamed.overrides


def test_without_slurm_one_line_says_where_to_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launch.run(["slurm", "--", RECIPE]) == 2
    assert capsys.readouterr().err.endswith(
        "slurm cluster; run this where sbatch is, or executor=local\n"
    )
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["slurm", "--help"]])
def test_the_help_says_where_the_training_stands(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert launch.run(arguments) == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[0]
        .endswith("[key=value ...] -- +recipe=NAME [key=value ...]")
    )


def test_sizes_are_added_unless_they_are_given(tmp_path: Path) -> None:
    training = Training("r", tmp_path, [RECIPE, "trainer.nnodes=4"])
    assert training.on(nodes=2, gpus=8, address="auto") == [
        RECIPE,
        "trainer.nnodes=4",
        "trainer.n_gpus_per_node=8",
        "ray_kwargs.ray_init.address=auto",
    ]
    assert training.on(nodes=1, gpus=1)[-1] == "trainer.n_gpus_per_node=1"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], "nothing to train"),
        ([RECIPE, "mint.run.resume=true"], "set by the launcher"),
        ([RECIPE, "ray_kwargs.ray_init.address=auto"], "set by the launcher"),
        ([RECIPE, "--dry-run"], "only runs can be launched"),
        (["-m", RECIPE, "mint.reward.kl=0,1"], "2 runs at once"),
        ([RECIPE, "mint.reward.kk=1"], "mint.reward.kl"),
        (["+recipe=mint_tinny"], "mint_tiny"),
    ],
)
def test_what_cannot_be_launched_is_one_line(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_training(overrides)


def test_an_attempt_starts_resumes_or_leaves_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = [RECIPE, f"mint.run.dir={run}"]
    assert next_overrides(asked, 2) == asked
    begun = RunDir.create(run)
    assert next_overrides(asked, 2) == asked, "killed before its manifest was written"
    start_manifest(begun, RunFacts(command=["python", "-m", "mint.train", *asked]))
    resumed = [*asked, "mint.run.resume=true"]
    assert next_overrides(asked, 2) == resumed, "begins again at step 0 in its folder"
    resume_manifest(begun, resumed, from_step=0, config_diff={})
    with pytest.raises(ConfigError, match=r"2 attempts at .*run ended without a checkpoint"):
        next_overrides(asked, 2)
    assert next_overrides(asked, 3) == resumed
    save(begun, 4)
    assert next_overrides(asked, 2) == resumed
    finish_manifest(begun)
    assert next_overrides(asked, 2) is None
    with pytest.raises(ConfigError, match="must be given once"):
        next_overrides([RECIPE], 2)


def test_an_attempt_becomes_mint_train(tmp_path: Path) -> None:
    """A signal to the attempt is one to the run: same process, the override at fault is named."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mint.launch", "attempt", "--", RECIPE),
            *(f"mint.run.dir={tmp_path / 'r'}", "mint.reward.kk=1"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown key 'mint.reward.kk'")


def test_a_ray_job_is_started_where_the_checkout_is(tmp_path: Path) -> None:
    training = Training("mint_4b", tmp_path / "r", ["+recipe=mint_4b", f"mint.run.dir={tmp_path}"])
    settings = RayJob(address="http://head:8265", gpus=8, nodes=2, name="one")
    command = ray_job.submit_command(settings, training, tmp_path / "a folder")
    assert command[1:7] == [
        "job",
        "submit",
        "--address",
        "http://head:8265",
        "--submission-id",
        "one",
    ]
    assert command[7:11] == ["--no-wait", "--", "bash", "-c"]
    folder, _, inner = command[11].partition(" && exec ")
    assert folder == f"cd '{tmp_path}/a folder'"
    assert inner.split()[:5] == [sys.executable, "-m", "mint.launch", "attempt", "--"]
    assert inner.split()[-3:] == [
        "trainer.nnodes=2",
        "trainer.n_gpus_per_node=8",
        "ray_kwargs.ray_init.address=auto",
    ]


def rayjob(**settings: Any) -> dict[str, Any]:
    folder = kubernetes.RUNS / "outputs" / "mint"
    training = read_training(["+recipe=mint_4b"], folder)
    return yaml.safe_load(kubernetes.manifest(Kubernetes(**settings), training))


def test_a_rayjob_has_a_pod_with_gpus_for_each_node() -> None:
    job = rayjob(nodes=3, gpus=8, retries=5, namespace="lab")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["metadata"] == {"name": "mint", "namespace": "lab"}
    spec = job["spec"]
    assert spec["entrypoint"].startswith(
        "mint launch attempt -- +recipe=mint_4b mint.run.dir=/runs/"
    )
    assert "trainer.nnodes=3 trainer.n_gpus_per_node=8" in spec["entrypoint"]
    assert spec["backoffLimit"] == 5
    assert spec["shutdownAfterJobFinishes"] is True
    cluster = spec["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["replicas"] == 2
    for group in (cluster["headGroupSpec"], workers):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsUser"] == 1000
        (container,) = pod["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "8"
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts == {"/runs", "/dev/shm"}
        assert {v["name"] for v in pod["volumes"]} == {m["name"] for m in container["volumeMounts"]}
    assert "workerGroupSpecs" not in rayjob()["spec"]["rayClusterSpec"]


def test_the_shipped_rayjob_is_what_the_command_prints(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert launch.run(["kubernetes", "nodes=2", "gpus=8", "--", "+recipe=mint_4b"]) == 0
    shipped = (root / "docker/kubernetes/rayjob.yaml").read_text(encoding="utf-8")
    comment, _, job = shipped.partition("\napiVersion")
    assert "python -m mint.launch kubernetes nodes=2 gpus=8 -- +recipe=mint_4b" in comment
    assert f"apiVersion{job}" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["slurm", "hours=0.1"], "save_s must be < the 360 s"),
        (["slurm", "gpus=0"], "gpus must be >= 1"),
        (["slurm", "executor=pbs"], "slurm, local"),
        (["kubernetes", "name=My_Run"], "name must be small letters"),
        (["ray", "address=head:8265"], "http://HOST:PORT"),
        (["slurm", "partitoin=gpu"], "partition"),
    ],
)
def test_bad_settings_are_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert launch.run([*arguments, "--", RECIPE]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_slurm_gets_what_was_asked_for(tmp_path: Path) -> None:
    submitit = pytest.importorskip("submitit")
    settings = Slurm(
        gpus=8,
        nodes=2,
        hours=12,
        partition="gpu",
        sbatch={"mail-type": "END"},
        setup=["module load cuda"],
    )
    training = Training("mint_4b", tmp_path, [])
    parameters = slurm.parameters(settings, training)
    (tmp_path / "srun").touch()
    executor = submitit.SlurmExecutor.__new__(submitit.SlurmExecutor)
    from submitit.slurm.slurm import SlurmExecutor, _make_sbatch_string

    known = SlurmExecutor._valid_parameters() | set(submitit.AutoExecutor._typed_parameters())
    assert {name.removeprefix("slurm_") for name in parameters} <= known
    own = {k.removeprefix("slurm_"): v for k, v in parameters.items() if k.startswith("slurm_")}
    converted = SlurmExecutor._convert_parameters(
        executor, {k: v for k, v in parameters.items() if not k.startswith("slurm_")}
    )
    text = _make_sbatch_string(command="run", folder=tmp_path, **converted, **own)
    for line in (
        "nodes=2",
        "time=720",
        "partition=gpu",
        "signal=USR2@900",
        "requeue",
        "open-mode=append",
        "mail-type=END",
        "ntasks-per-node=1",
    ):
        assert f"#SBATCH --{line}" in text, text
    assert "module load cuda" in text


FAKE = """
import json, pathlib, signal, sys, time
run = pathlib.Path(sys.argv[1])
starts = run / "starts"
starts.mkdir(parents=True, exist_ok=True)
number = len(list(starts.iterdir())) + 1
ignored = signal.getsignal(signal.SIGUSR2) == signal.SIG_IGN
(starts / str(number)).write_text(json.dumps({"ignores_usr2": ignored}))
def save(signum, frame):
    (run / "saved").touch()
    sys.exit(143)
signal.signal(signal.SIGUSR1, save)
if number == int(sys.argv[2]):
    sys.exit(int(sys.argv[3]))
time.sleep(60)
"""


@pytest.fixture
def submitted(tmp_path: Path) -> Callable[..., Any]:
    """Submits a fake trainer that ends with `status` at its start number `last`."""
    submitit = pytest.importorskip("submitit")

    def submit(last: int, status: int) -> Any:
        executor = submitit.AutoExecutor(
            tmp_path / "jobs", cluster="local", local_max_num_timeout=5
        )
        executor.update_parameters(timeout_min=3, tasks_per_node=1)
        command = [sys.executable, "-c", FAKE, str(tmp_path / "run"), str(last), str(status)]
        job = TrainJob([], nodes=1, gpus=1, save_s=20, folder=tmp_path, command=command)
        return executor.submit(job)

    return submit


def wait_until(there: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_time_over_saves_and_comes_back(submitted: Callable[..., Any], tmp_path: Path) -> None:
    """submitit's signal to all processes of the job: the run is told to save, queued again."""
    job = submitted(last=2, status=0)
    run = tmp_path / "run"
    wait_until(lambda: (run / "starts/1").exists() and (run / "starts/1").read_text() != "")
    family = psutil.Process(job._process.pid).children(recursive=True)
    assert len(family) == 2  # submitit's process and the run
    for process in reversed(family):
        os.kill(process.pid, signal.SIGUSR2)
    assert job.result() == 0
    assert (run / "saved").exists()
    assert sorted(path.name for path in (run / "starts").iterdir()) == ["1", "2"]
    facts = json.loads((run / "starts/1").read_text())
    assert facts == {"ignores_usr2": True}
    assert not [process for process in family if process.is_running()]


@pytest.mark.parametrize(("status", "fails"), [(0, False), (3, False), (1, True)])
def test_a_job_fails_with_its_run(submitted: Callable[..., Any], status: int, fails: bool) -> None:
    job = submitted(last=1, status=status)
    if fails:
        assert "the run ended with status 1" in str(job.exception())
    else:
        assert job.result() == status


def test_the_command_submits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way: submitit runs `mint.launch attempt`, which finds the run finished."""
    pytest.importorskip("submitit")
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.json").write_text('{"status": "finished"}')
    training = read_training([RECIPE, f"mint.run.dir={run}"])
    settings = Slurm(executor="local", folder=str(tmp_path / "jobs"), hours=0.1, save_s=60)
    job = slurm.submit(settings, training)
    assert job.result() == 0
    assert "has finished; nothing to do" in job.stdout()
    assert str(run) in capsys.readouterr().out
