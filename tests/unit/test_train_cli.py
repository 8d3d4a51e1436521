"""What `python -m mint.train` says to good and bad command lines, without starting anything."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from mint import train
from mint.config import compose, invocation, recipes
from rewards.errors import ConfigError

pytestmark = pytest.mark.slow

RECIPES = (
    "mint_tiny",
    "mint_4b",
    "mint_4b_served",
    "mint_1p7b",
    "mint_4b_entropy",
    "mint_4b_kl_entropy",
    "quality_only_4b",
    "diversity_only_4b",
    "quality_times_diversity_4b",
)


@pytest.fixture(autouse=True)
def _registered() -> None:
    recipes.register(recipes.find_recipes())


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = train.main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.err + captured.out


def test_no_recipe_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys)
    assert status == 2
    for name in RECIPES:
        assert f"  {name} " in text
    assert "base" not in text.split()


def test_wrong_recipe_suggests_and_lists(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys, "+recipe=mint_4bb")
    assert status == 2
    assert "did you mean 'mint_4b'?" in text
    assert "  mint_tiny " in text


def test_a_recipe_without_plus_is_told_to_take_one(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys, "recipe=mint_tiny", "--dry-run")
    assert status == 2
    assert text == "error: recipe=mint_tiny lacks a plus: write +recipe=mint_tiny\n"


def test_a_layer_is_not_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys, "+recipe=base")
    assert status == 2
    assert "there is no recipe 'base'" in text


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("mint.reward.kll=1", "unknown key 'mint.reward.kll'; did you mean 'mint.reward.kl'?"),
        ("trainer.total_epoch=1", "did you mean 'trainer.total_epochs'? (on the command line)"),
        ("+trainer.total_epoch=1", "unknown key 'trainer.total_epoch'"),
        ("+nonsense=1", "unknown key 'nonsense'"),
        ("mint.reward.kl=abc", "mint.reward.kl: Value 'abc'"),
        ("mint.reward.mode=both", "mint.reward.mode must be one of add, multiply"),
        ("mint.reward.kl=-1", "mint.reward.kl must be >= 0 and finite, got -1.0"),
        ("data.truncation=left", "data.truncation has no effect in verl 0.9.1"),
        ("reward_model.enable=true", "use reward.reward_model"),
        ("data.train_batch_size=7 ", "data.train_batch_size"),
        ("mint.reward.kl=0,1", "a sweep (comma-separated values) needs -m"),
        ("--wrong-flag", "unknown option '--wrong-flag'"),
        ("justaword", "justaword"),
        ("--dry", "unknown option '--dry'; did you mean '--dry-run'?"),
        ("trainer.v1.trainer_mode=async", "trainer.v1.trainer_mode must stay sync: group rewards"),
        ("trainer.use_v1=false", "trainer.use_v1 must stay True: mint's trainer is a V1 trainer"),
        ("-sc", "unknown option '-sc'"),
        ("-r", "unknown option '-r'"),
        ("--resolve", "--resolve says how --cfg prints: add --cfg job"),
        ("--package=mint", "--package says how --cfg prints: add --cfg job"),
        ("--cfg", "--cfg needs a value: job, hydra, all"),
        ("--cfg=jobs", "--cfg must be one of job, hydra, all"),
        ("--info=x", "--info must be one of all, config, defaults"),
    ],
)
def test_bad_overrides_are_one_clear_line(
    capsys: pytest.CaptureFixture[str], override: str, expected: str
) -> None:
    extra = ["actor_rollout_ref.actor.ppo_mini_batch_size=4"] if "batch_size=7" in override else []
    status, text = run(capsys, "+recipe=mint_tiny", override, *extra, "--dry-run")
    assert status == 2
    assert expected in text
    assert text.strip().count("\n") == 0, text
    assert "Traceback" not in text


def test_misspelt_key_in_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "# mine\ndefaults: [base, _self_]\ntrainer: {total_epoch: 3}\n"
    )
    monkeypatch.chdir(tmp_path)
    status, text = run(capsys, "+recipe=mine", "--dry-run")
    assert status == 2
    assert "unknown key 'trainer.total_epoch'; did you mean 'trainer.total_epochs'?" in text
    assert "in the recipe" in text


def test_broken_yaml_names_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "mine.yaml").write_text("# mine\nmint: {reward: [}\n")
    monkeypatch.chdir(tmp_path)
    status, text = run(capsys, "+recipe=mine", "--dry-run")
    assert status == 2
    assert "mine.yaml:2:" in text


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_composes_with_known_keys(name: str) -> None:
    config = compose.compose_config([f"+recipe={name}"])
    assert config.algorithm.adv_estimator == "grpo"
    assert config.actor_rollout_ref.rollout.n == 8
    assert config.trainer.device == ("cpu" if name == "mint_tiny" else "cuda")


def test_recipes_are_the_papers_configurations() -> None:
    def reward(name: str) -> dict[str, object]:
        return dict(compose.compose_config([f"+recipe={name}"]).mint.reward)

    assert (reward("mint_4b")["kl"], reward("mint_4b")["entropy"]) == (1.0, 0.0)
    assert (reward("mint_4b_entropy")["kl"], reward("mint_4b_entropy")["entropy"]) == (0.0, 1.0)
    mixed = reward("mint_4b_kl_entropy")
    assert (mixed["kl"], mixed["entropy"]) == (0.5, 0.5)
    assert reward("quality_only_4b")["mode"] == "quality_only"
    assert reward("diversity_only_4b")["mode"] == "diversity_only"
    assert reward("quality_times_diversity_4b")["mode"] == "multiply"
    config = compose.compose_config(["+recipe=mint_4b"])
    assert config.data.train_batch_size * config.actor_rollout_ref.rollout.n == 192
    assert config.actor_rollout_ref.actor.optim.lr == 1e-6
    assert config.actor_rollout_ref.actor.kl_loss_coef == 0.01
    assert config.trainer.total_epochs == 3


def test_sweeps_expand_in_hydra_syntax() -> None:
    jobs = list(
        compose.expand_sweep(
            ["+recipe=mint_tiny", "mint.reward.kl=0,0.5,1", "mint.run.seed=range(0,2)"]
        )
    )
    assert len(jobs) == 6
    assert ["+recipe=mint_tiny", "mint.reward.kl=0.5", "mint.run.seed=1"] in jobs


def test_cfg_job_prints_the_composed_configuration() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mint.train",
            "+recipe=mint_4b",
            "mint.reward.kl=0.25",
            "--cfg",
            "job",
            "-p",
            "mint.reward",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "kl: 0.25" in done.stdout


@pytest.mark.parametrize(
    "options",
    [["--cfg=job", "--package=mint.reward"], ["-c", "job", "-p", "mint.reward", "--resolve"]],
)
def test_printing_takes_both_spellings_and_starts_nothing(options: list[str]) -> None:
    command = [sys.executable, "-m", "mint.train", "+recipe=mint_4b", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "kl: 1.0" in done.stdout
    assert "run directory" not in done.stdout


def test_a_package_without_cfg_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys, "+recipe=mint_tiny", "-p", "mint")
    assert status == 2
    assert text == "error: --package says how --cfg prints: add --cfg job\n"


def test_two_runs_of_one_second_have_their_own_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(invocation.time, "strftime", lambda _: "same")
    jobs = [invocation.read(["+recipe=mint_tiny"]).jobs[0] for _ in range(3)]
    with contextlib.ExitStack() as entered:
        for job in jobs:
            entered.enter_context(invocation.claimed(job))
        taken = [Path(job.config.mint.run.dir) for job in jobs]
        assert [path.name for path in taken] == ["same", "same_2", "same_3"]
        assert jobs[1].config.trainer.default_local_dir == f"{taken[1]}/checkpoints"
        (taken[0] / "config.yaml").write_text("kept")
    assert [path.exists() for path in taken] == [True, False, False]


def test_a_named_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    job = invocation.read(["+recipe=mint_tiny", f"mint.run.dir={tmp_path}/mine"]).jobs[0]
    with invocation.claimed(job):
        assert job.config.mint.run.dir == f"{tmp_path}/mine"
        assert not (tmp_path / "mine").exists()


def test_hydras_own_help_needs_no_recipe() -> None:
    command = [sys.executable, "-m", "mint.train", "--hydra-help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "--multirun" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--help"], 0), (["+recipe=no"], 2), (["+recipe=mint_tiny", "mint.kll=1"], 2)],
)
def test_what_is_known_at_once_is_said_without_models(arguments: list[str], status: int) -> None:
    code = (
        "import sys\n"
        "from mint.train import main\n"
        f"status = main({arguments!r})\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'verl', 'ray', 'vllm', 'pyarrow'}\n"
        "print(status, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{status} []"


def test_existing_run_directory_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "something").write_text("x")
    status, text = run(capsys, "+recipe=mint_tiny", f"mint.run.dir={tmp_path}", "--dry-run")
    assert status == 2
    assert "already exists" in text
    assert f"continue it with resume={tmp_path}" in text


def test_resume_with_other_graders_is_refused(tmp_path: Path) -> None:
    from mint.rundir.directory import RunDir
    from mint.rundir.manifest import RunFacts, require_same_graders, start_manifest
    from rewards.types import GraderIdentity

    def graders(revision: str) -> dict[str, GraderIdentity]:
        return {"tagger": GraderIdentity(kind="custom", name="mine", revision=revision)}

    run = RunDir.create(tmp_path / "run")
    start_manifest(run, RunFacts(command=["x"], graders=graders("one")))
    require_same_graders(run, graders("one"))
    with pytest.raises(ConfigError, match="has custom/mine/one, loaded was custom/mine/two"):
        require_same_graders(run, graders("two"))
