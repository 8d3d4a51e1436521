"""The place of a reply in its conversation, as numbers that the strategy heads are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mint.config.prompts import PromptConfig
from mint.data.banks import load_banks
from mint.data.conversation import save_conversations
from mint.data.synthetic import generate
from mint.policy.warm_start import Example
from mint.shell.paths import data_dir
from mint.supervised.dialogues import read_own
from mint.supervised.heads import Head, HeadShape, check_same, load_heads, save_heads
from mint.supervised.labels import strategies
from mint.supervised.pipeline import make_heads
from mint.supervised.place import numbers, size
from mint.supervised.settings import HeadSettings, SftSettings
from mint.supervised.support import read_support
from mint.tuning.batches import make_rows
from rewards.errors import DataError

pytestmark = pytest.mark.slow


def test_the_numbers_by_hand() -> None:
    stages = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]  # 3 messages: not before 1, 2 or 3
    often, used = [1 / 4, 2 / 4], [1.0, 1.0]
    latest = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]  # 1, before it 0, before it 1
    assert numbers(3, [1, 0, 1], 2) == (*stages, *often, *used, *latest)
    nothing = numbers(0, [], 2)
    assert nothing == (*[1.0] * 9, *[0.0] * 4, *[0.0, 0.0, 1.0] * 3)
    assert numbers(90, [0] * 9, 2)[:11] == (*[0.0] * 9, 1.0, 0.0)
    assert {len(numbers(n, [0] * n, 8)) for n in range(5)} == {size(8)}


def test_turns_of_both_layouts_of_esconv_say_their_place(tmp_path: Path) -> None:
    said = [("seeker", None), ("supporter", "Question"), ("seeker", None), ("supporter", "Others")]
    dialog = [
        {"speaker": who, "annotation": {"strategy": name} if name else {}, "content": f"Yes {n}."}
        for n, (who, name) in enumerate(said)
    ]
    path = tmp_path / "ESConv.json"
    path.write_text(json.dumps([{"dialog": dialog}]), "utf-8")
    tsv = tmp_path / "dev.tsv"
    tsv.write_text(
        "1.0 0 0 Yes 0. EOS 1.0 1 1 [Question] Yes 1.\n"
        "1.0 0 0 Yes 0. EOS 1.0 1 1 [Question] Yes 1. EOS 1.0 0 2 Yes 2. EOS 1.0 1 3 [Others] Yes.",
        "utf-8",
    )
    question = strategies().index("Question")
    for place in (path, tsv):
        first, second = read_support(place, strategies(), "", told=False)
        assert first.place == numbers(1, [], 8)
        assert second.place == numbers(3, [question], 8)


def test_own_turns_with_strategies_say_their_place(tmp_path: Path) -> None:
    (made,) = generate(1, 0, banks=load_banks(data_dir()))
    path = tmp_path / "own.json"
    save_conversations(path, [made])
    prompts = PromptConfig(compact=True)
    texts = read_own(path, strategies(), prompts, strategies=True)
    assert len(texts) > 2
    earlier = []
    for turn, text in enumerate(texts):
        assert text.strategy is not None
        assert text.place == numbers(2 * turn + 1, earlier, 8)
        earlier.append(text.strategy)
    assert {t.place for t in read_own(path, strategies(), prompts, strategies=False)} == {None}


def told(head: Head, hidden: torch.Tensor, reply: list[int], place: list[float]) -> Any:
    rows = make_rows([Example([5, 6], reply)], packing=False, row_tokens=0)
    return head(hidden[: 2 + len(reply)], rows, torch.tensor([0]), torch.tensor([place]))


def test_a_head_reads_what_it_is_told_and_still_no_reply() -> None:
    torch.manual_seed(0)
    head = Head(HeadShape(labels=("a", "b"), hidden_size=4, width=8, told=2), 0.0).eval()
    hidden = torch.randn(4, 4)
    one = told(head, hidden, [7], [1.0, 0.0])
    assert torch.equal(one, told(head, hidden, [8, 9], [1.0, 0.0]))
    assert not torch.allclose(one, told(head, hidden, [7], [0.0, 1.0]), atol=1e-3)
    # States of another size say the same: what is told keeps its weight beside them.
    assert torch.allclose(one, told(head, 30 * hidden, [7], [1.0, 0.0]), atol=1e-4)


def test_only_strategy_heads_are_told_unless_asked_otherwise() -> None:
    shapes = {name: head.shape.told for name, head in make_heads(SftSettings(), 16).items()}
    assert shapes["emotion"] == 0
    assert shapes["strategy"] == size(8)
    untold = make_heads(SftSettings(heads=HeadSettings(place_told=False)), 16)
    assert {head.shape.told for head in untold.values()} == {0}


def test_told_heads_are_read_back_and_untold_ones_refused(tmp_path: Path) -> None:
    shape = HeadShape(labels=("a", "b"), hidden_size=4, width=3, told=2)
    head = Head(shape, 0.0).eval()
    save_heads(tmp_path, {"strategy": head})
    loaded = load_heads(tmp_path, 4)["strategy"]
    hidden = torch.randn(3, 4)
    assert torch.equal(*(told(h, hidden, [7], [1.0, 0.0]) for h in (head, loaded)))
    untold = Head(HeadShape(labels=("a", "b"), hidden_size=4, width=3), 0.0)
    with pytest.raises(DataError, match="told=2"):
        check_same({"strategy": head}, {"strategy": untold}, tmp_path)
    # Heads of earlier versions say nothing of it.
    facts = json.loads((tmp_path / "heads.json").read_text())
    save_heads(tmp_path, {"strategy": untold})
    del facts["strategy"]["told"]
    (tmp_path / "heads.json").write_text(json.dumps(facts))
    assert load_heads(tmp_path, 4)["strategy"].shape.told == 0
