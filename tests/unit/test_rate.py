from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

from mint import rate
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.statistics.agreement import krippendorff_alpha
from mint.rate import AgreementSettings, ExportSettings
from mint.shell import cli
from mint.shell.files import write_json_lines
from rewards.errors import ConfigError, DataError


def reply(conversation: int, turn: int, text: str, seeker: str = "") -> EvaluatedReply:
    return EvaluatedReply(
        conversation_id=f"c{conversation:02d}",
        turn=turn,
        sample=0,
        seeker=seeker or f"message {conversation}/{turn}",
        reply=text,
        status="ok",
        previous_counts=(0.0,) * 10,
        has_previous=turn > 0,
        num_tokens=3,
        truncated=False,
    )


@pytest.fixture
def files(tmp_path) -> tuple[str, str]:
    places = [(c, t) for c in range(12) for t in range(3)]
    paths = []
    for name in ("good", "bad"):
        path = tmp_path / f"{name}.jsonl"
        write_json_lines(path, (reply(c, t, f"=a {name} one {c} {t}").as_row() for c, t in places))
        paths.append(str(path))
    return paths[0], paths[1]


def exported(files, tmp_path, **more) -> Path:
    rate.export(
        ExportSettings(
            a=files[0],
            b=files[1],
            a_name="good",
            b_name="bad",
            output=str(tmp_path / "sheets"),
            **more,
        )
    )
    return tmp_path / "sheets"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


def fill(path: Path, choose) -> Path:
    filled = rows(path)
    for row in filled:
        row["choice"] = choose(row)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, filled[0].keys())
        writer.writeheader()
        writer.writerows(filled)
    return path


def better(row) -> str:
    return "left" if "good" in row["left"] else "right"


def test_sheets_are_blind_balanced_and_repeatable(files, tmp_path):
    folder = exported(files, tmp_path, num=20)
    sheet, key = rows(folder / "sheet_1.csv"), rows(folder / "key.csv")
    assert len(sheet) == 20
    assert len(key) == 40
    left = [row["left_system"] for row in key if row["sheet"] == "sheet_1"]
    assert left.count("good") == left.count("bad") == 10
    assert left != sorted(left)
    for row in sheet:
        assert list(row) == ["item", "context", "left", "right", "choice", "comment"]
        assert row["context"].startswith("Seeker: message ")
        assert row["left"].startswith("'=a ")  # a spreadsheet must not run it
    orders = [[r["context"] for r in rows(folder / f"sheet_{n}.csv")] for n in (1, 2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
    again = exported(files, tmp_path, num=20, overwrite=True)
    assert rows(again / "sheet_1.csv") == sheet
    with pytest.raises(ConfigError, match="not empty"):
        exported(files, tmp_path)


def test_raters_who_agree(files, tmp_path, capsys):
    folder = exported(files, tmp_path, num=None)
    sheets = [str(fill(folder / f"sheet_{n}.csv", better)) for n in (1, 2)]
    output = tmp_path / "result.json"
    settings = AgreementSettings(
        key=str(folder / "key.csv"), sheets=sheets, output=str(output), resamples=500
    )
    rate.main(settings)
    result = json.loads(output.read_text())
    assert result["systems"] == ["bad", "good"]
    assert result["win_rate"]["mean"] == 0.0
    assert result["outcomes"] == {"good": 72}
    assert result["alpha"] is None  # one value only: agreement cannot be told from habit
    assert "bad against good: win rate 0.000" in capsys.readouterr().out


def test_a_rater_who_always_chooses_left_is_seen(files, tmp_path):
    folder = exported(files, tmp_path, num=None)
    first = fill(folder / "sheet_1.csv", better)
    second = fill(folder / "sheet_2.csv", lambda row: "Left ")
    result = rate.compute(
        AgreementSettings(
            key=str(folder / "key.csv"), sheets=[str(first), str(second)], resamples=500
        )
    )
    assert result.raters["sheet_2"].left_share == 1.0
    assert result.raters["sheet_1"].left_share == 0.5
    assert result.raters["sheet_2"].win_rate.mean == 0.5
    assert result.kappas["sheet_1 / sheet_2"] == pytest.approx(0.0, abs=1e-9)
    assert result.alpha < 0.05


def test_ties_count_half_and_intervals_follow_conversations(files, tmp_path):
    folder = exported(files, tmp_path, num=None, raters=1)
    key = {row["item"]: row for row in rows(folder / "key.csv")}

    def choose(row):
        # Whole conversations are won or tied: 36 answers hold no more than 12 do.
        return "tie" if int(key[row["item"]]["conversation_id"][1:]) % 2 else better(row)

    sheet = fill(folder / "sheet_1.csv", choose)
    result = rate.compute(
        AgreementSettings(key=str(folder / "key.csv"), sheets=[str(sheet)], resamples=4000)
    )
    assert result.outcomes == {"good": 18, "tie": 18}
    assert result.win_rate.mean == pytest.approx(0.25)
    half = (result.win_rate.ci_high - result.win_rate.ci_low) / 2
    assert half == pytest.approx(1.96 * 0.25 / 12**0.5, rel=0.15)
    assert result.alpha is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[0].update(choice=""), r"sheet_1.csv: row 2: item '1-0001' is not rated"),
        (lambda r: r[3].update(choice="both"), "row 5: .* has the choice 'both'; allowed: left"),
        (lambda r: r[1].update(item="9-9999"), "row 3: item '9-9999' is not in"),
        (lambda r: r[2].update(item=r[0]["item"]), "row 4: item '1-0001' occurs before, in row 2"),
    ],
)
def test_bad_sheets_name_file_and_row(files, tmp_path, change, message):
    folder = exported(files, tmp_path, num=10)
    fill(folder / "sheet_1.csv", better)
    filled = rows(folder / "sheet_1.csv")
    change(filled)
    answers = iter(filled)
    items = {}

    def rewrite(row):
        new = next(answers)
        items[row["item"]] = new
        row["item"] = new["item"]
        return new["choice"]

    fill(folder / "sheet_1.csv", rewrite)
    with pytest.raises(DataError, match=message):
        rate.compute(
            AgreementSettings(
                key=str(folder / "key.csv"), sheets=[str(folder / "sheet_1.csv")], resamples=200
            )
        )


def test_unrated_rows_may_be_left_out(files, tmp_path):
    folder = exported(files, tmp_path, num=10, raters=1)
    sheet = fill(folder / "sheet_1.csv", lambda r: "" if r["item"].endswith("1") else better(r))
    arguments = {"key": str(folder / "key.csv"), "sheets": [str(sheet)], "resamples": 200}
    result = rate.compute(AgreementSettings(**arguments, skip_unrated=True))
    assert result.raters["sheet_1"].num == 9


def test_replies_to_different_messages_are_no_pair(tmp_path):
    for name, seeker in (("a", "x"), ("b", "y")):
        write_json_lines(tmp_path / f"{name}.jsonl", [reply(0, 0, name, seeker).as_row()])
    with pytest.raises(DataError, match="share no turn"):
        rate.export(
            ExportSettings(
                a=str(tmp_path / "a.jsonl"), b=str(tmp_path / "b.jsonl"), output=str(tmp_path / "o")
            )
        )


def test_alpha_is_that_of_the_published_example():
    """Four observers, twelve units, values missing: alpha .743 (Krippendorff 2011, section C)."""
    table = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    columns = zip(*(row.split() for row in table), strict=True)
    units = [[value for value in column if value != "."] for column in columns]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_agreement_and_of_chance():
    rng = random.Random(0)
    assert krippendorff_alpha([["a", "a"], ["b", "b"]]) == 1.0
    assert krippendorff_alpha([["a"], ["b"]]) is None
    chance = [[rng.choice("ab"), rng.choice("ab"), rng.choice("ab")] for _ in range(4000)]
    assert krippendorff_alpha(chance) == pytest.approx(0.0, abs=0.03)


@pytest.mark.slow
def test_the_command_line_takes_sheets_without_key(files, tmp_path, capsys):
    folder = exported(files, tmp_path, num=6)
    sheets = [str(fill(folder / f"sheet_{n}.csv", better)) for n in (1, 2)]
    parts = {"export": ExportSettings, "agreement": AgreementSettings}
    arguments = ["agreement", *sheets, f"key={folder}/key.csv", "resamples=200"]
    assert cli.run_parts("doc", parts, rate.main, arguments) == 0
    assert "win rate" in capsys.readouterr().out
    assert cli.run_parts("doc", parts, rate.main, ["agreement", f"key={folder}/key.csv"]) == 2
    assert "give the filled sheets" in capsys.readouterr().err
