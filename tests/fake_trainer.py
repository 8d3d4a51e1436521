"""Stands in for `mint.train` in tests of sweeps: real processes, real run directories, no training.

What it does to a run is told by the file `behaviour.json` of the folder it is started in: name of
the run's folder -> ok (default), fail, fail once, crash (a checkpoint, then kill -9), collapse,
hang. A run that goes well is a copy of the folder `template`, with the overrides in config.yaml.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import zipfile
from pathlib import Path

import yaml


def main(arguments: list[str]) -> int:
    given = dict(one.lstrip("+").split("=", 1) for one in arguments)
    run = Path(given["mint.run.dir"].strip("'"))
    behaviour = json.loads(Path("behaviour.json").read_text())
    resumed = given.get("mint.run.resume") == "true"
    log("start", run, arguments)
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(75))
    attempts = sum(
        json.loads(line)["what"] == "start" and json.loads(line)["run"] == run.name
        for line in Path("started.jsonl").read_text().splitlines()
    )
    what = behaviour.get(run.name, "ok")
    if what == "fail once":
        what = "fail" if attempts == 1 else "ok"
    if what == "crash":
        what = "crash" if not resumed else "ok"
    if resumed:
        assert (run / "manifest.json").is_file()
        config = yaml.safe_load((run / "config.yaml").read_text())
    else:
        assert not run.exists(), f"{run} is there already"
        shutil.copytree("template", run)
        config = yaml.safe_load((run / "config.yaml").read_text())
        for key, value in given.items():
            place(config, key, yaml.safe_load(value))
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    manifest = json.loads((run / "manifest.json").read_text())
    print("step   1/2  1.0 s", flush=True)
    time.sleep(0.2)
    if what in ("crash", "hang"):
        end(run, manifest, "running")
        save_checkpoint(run)
        if what == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        while behaviour.get(run.name) == "hang" and not Path("go").exists():
            time.sleep(0.05)
    if what == "fail":
        end(run, manifest, "failed")
        print("error: the judge fell over", file=sys.stderr)
        return 1
    end(run, manifest, "finished")
    log("end", run, arguments)
    return 3 if what == "collapse" else 0


def save_checkpoint(run: Path) -> None:
    """Whole at once, in verl's layout, without weights."""
    folder = run / "checkpoints/global_step_1"
    if folder.is_dir():
        return
    saved = run / "checkpoints/.saving"
    (saved / "actor").mkdir(parents=True)
    parts = [f"actor/{kind}_world_size_1_rank_0.pt" for kind in ("model", "optim", "extra_state")]
    for part in (*parts, "data.pt"):
        with zipfile.ZipFile(saved / part, "w") as file:
            file.writestr("archive/data.pkl", "x")
    (run / "checkpoints/latest_checkpointed_iteration.txt").write_text("1")
    saved.rename(folder)


def end(run: Path, manifest: dict, status: str) -> None:
    (run / "manifest.json").write_text(json.dumps({**manifest, "status": status}))


def place(config: dict, key: str, value: object) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[last] = value


def log(what: str, run: Path, arguments: list[str]) -> None:
    gpus = dict(os.environ).get("CUDA_VISIBLE_DEVICES", "")
    row = {"what": what, "run": run.name, "time": time.monotonic(), "pid": os.getpid()}
    with Path("started.jsonl").open("a") as file:
        file.write(json.dumps({**row, "gpus": gpus, "arguments": arguments}) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
