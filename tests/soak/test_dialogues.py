"""kill -9 in the middle of dialogues: the run goes on, and every dialogue is whole and its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from fake_seekers import HEARD, TellingSeeker, answer, people
from live import TRAINER, Live, check_history, wait_for

from mint.data.prompts import PromptConfig, PromptStyle
from mint.dialogue.people import read_people_rows, write_people
from mint.dialogue.protocol import Heard
from mint.dialogue.record import TalkRecord
from mint.rundir.manifest import read_manifest
from mint.verl.checkpoint import checkpoints
from rewards.types import Message

PEOPLE = people(12)
SETTINGS = (
    "mint.data.source=prepared",
    "mint.seeker.kind=custom",
    "mint.seeker.factory=fake_seekers:TellingSeeker",
    "mint.dialogue.max_turns=4",
    "data.max_response_length=500",
    "data.train_batch_size=2",
)


def under_way(told: Path) -> set[str]:
    """Replies that were heard, by number, in the step whose dialogues are not over: a person has
    another seed in every step, and no dialogue of these people ends before its last reply."""
    lines = [line.split() for line in told.read_text().splitlines()]
    over = {seed for _, seed, turn in lines if turn == "4"}
    return {turn for _, seed, turn in lines if seed not in over}


def test_a_run_goes_on_that_was_killed_within_dialogues(workplace: Path, tmp_path: Path) -> None:
    prompts = PromptConfig(style=PromptStyle.PLAIN, compact=True)
    write_people(
        workplace / "outputs/tiny-people", {"train": PEOPLE[2:], "val": PEOPLE[:2]}, prompts, 0
    )
    told = workplace / HEARD
    told.unlink(missing_ok=True)
    path = tmp_path / "run"
    more = {"steps": 3, "recipe": "rlver_tiny"}
    with Live(workplace, path, *SETTINGS, **more) as live:
        live.wait_steps(1)
        wait_for(lambda: "2" in under_way(told), 120, "dialogues of the second step under way")
        os.kill(live.pid_of(TRAINER), signal.SIGKILL)
        assert live.end() == 1, live.text
    assert under_way(told) >= {"0", "1", "2"}, "killed before they ended"
    assert max(checkpoints(live.run)) == 1
    with Live(workplace, path, *SETTINGS, "mint.run.resume=true", **more) as live:
        assert live.end(limit_s=600) == 0, live.text
    check_history(live.run, 3)
    rows = live.run.read_metrics()
    assert [row["dialogue/num"] for row in rows] == [8, 8, 8]
    assert all(row["dialogue/num_missing"] == row["dialogue/lost_frac"] == 0 for row in rows)
    assert all(row["policy/log_prob_pearson"] >= 0.99 for row in rows)
    assert [one["from_step"] for one in read_manifest(live.run)["attempts"]] == [0, 1]
    assert {row["step"] for row in live.run.read_samples()} == {1, 2, 3}
    known = {person.id: person for person in PEOPLE}
    trained = read_people_rows(workplace / "outputs/tiny-people/train.parquet")
    assert len(trained) == 10
    for row in live.run.read_samples():
        follows_from_itself(TalkRecord.from_json(row["dialogue"]), known)


def follows_from_itself(record: TalkRecord, known: dict) -> None:
    """Every line and emotion, worked out again from the dialogue alone."""
    person, emotion = known[record.person], TellingSeeker.rules.start
    said = [Message("seeker", str(person.opening))]
    assert record.lost is None
    for turn, own in enumerate(record.turns, start=1):
        said.append(Message("supporter", own.visible))
        made = answer(Heard(person, record.seed, tuple(said), emotion, turn), TellingSeeker.rules)
        assert (own.message, own.emotion) == (made.message, made.emotion)
        emotion = made.emotion
        said.append(Message("seeker", str(made.message)))
