"""`from mint import load_graders, tag, judge, Seeker, evaluate`, and the rewards of chats."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_graders import FakeJudge, FakeTagger

from mint.library.grading import chat_rewards
from rewards.build import Graders
from rewards.diversity import kl_divergence
from rewards.errors import ConfigError, DataError
from rewards.formula import RewardWeights
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS, Failure, Rating, Reply, Tagging

USER = {"role": "user", "content": "I lost my job. What now?"}
FIRST = "I am so sorry. What happened?"
CHAT = [USER, {"role": "assistant", "content": FIRST}]


@pytest.fixture(scope="module")
def graders() -> Graders:
    from mint import load_graders

    return load_graders()


def test_the_package_is_light_until_something_is_asked_of_it() -> None:
    code = (
        "import sys, time\nstarted = time.process_time()\nimport mint\n"
        "light = {'torch', 'omegaconf', 'numpy', 'rewards'} & set(sys.modules)\n"
        "assert not light, light\n"
        "from mint import Seeker\nassert 'torch' not in sys.modules\n"
        "print(time.process_time() - started)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.5


@pytest.mark.slow
def test_public_names_stay_functions_beside_the_commands_of_their_names() -> None:
    code = (
        "import mint.tag, mint.judge, mint.evaluate\n"
        "from mint import tag, judge, evaluate, load_graders, Seeker\n"
        "import mint, sys\n"
        "assert [f.__name__ for f in (tag, judge, evaluate)] == ['tag', 'judge', 'evaluate']\n"
        "assert callable(mint.tag) and sys.modules['mint.tag'].main\n"
        "try:\n    mint.nothing\nexcept AttributeError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "module 'mint' has no attribute 'nothing'\n"


def test_every_public_name_is_typed_and_documented() -> None:
    import mint

    for name in set(mint.__all__) - {"__version__"}:
        value = getattr(mint, name)
        assert inspect.getdoc(value), name
        if inspect.isfunction(value):
            assert inspect.signature(value).return_annotation, name


@pytest.mark.slow
def test_tag_names_the_tactics_of_sentences(graders: Graders) -> None:
    from mint import tag

    (tagging, empty) = tag([FIRST, "..."], graders)
    assert isinstance(tagging, Tagging)
    assert [sentence.text for sentence in tagging.sentences] == ["I am so sorry.", "What happened?"]
    assert "questioning" in tagging.sentences[1].tactics
    for sentence in tagging.sentences:
        assert set(sentence.probabilities) == set(TACTIC_NAMES)
        assert all(0 <= p <= 1 for p in sentence.probabilities.values())
    assert isinstance(empty, Tagging | Failure)
    with pytest.raises(TypeError, match=r"tag takes a list of replies: tag\(\[reply\]\)"):
        tag(FIRST, graders)


@pytest.mark.slow
def test_judge_rates_the_last_message(graders: Graders) -> None:
    from mint import judge

    system = {"role": "system", "content": "Be kind."}
    kind, same, cold = judge(
        [CHAT, [system, *CHAT], [USER, {"role": "assistant", "content": "Whatever."}]], graders
    )
    assert isinstance(kind, Rating)
    assert isinstance(cold, Rating)
    assert kind == same, "the judge does not see the system message"
    assert set(kind.dimensions) == set(DIMENSIONS)
    assert 1 <= cold.aggregate < kind.aggregate <= 5
    with pytest.raises(DataError, match="chat 0 must end with a message of the assistant"):
        judge([[USER]], graders)


def test_they_work_where_a_loop_runs(graders: Graders) -> None:
    from mint import tag

    async def notebook() -> list[Tagging | Failure]:
        return tag([FIRST], graders)

    assert asyncio.run(notebook()) == tag([FIRST], graders)


def test_rewards_are_scaled_within_a_group(graders: Graders) -> None:
    prompt = [*CHAT, {"role": "user", "content": "They closed the shop."}]
    replies = ["What happened?", "That must hurt. You showed such courage.", "You could rest."]
    weights = RewardWeights(quality=0.0, kl=1.0, diversity=1.0)
    found = chat_rewards([prompt] * 3, replies, [5, 9, 4], graders=graders, weights=weights)
    said = [Reply(history=(), text=text) for text in (FIRST, *replies)]
    tagged = asyncio.run(graders.tagger.tag(said))
    counts = [tagging.counts for tagging in tagged if isinstance(tagging, Tagging)]
    novelty = np.array([kl_divergence(counts[0], own) for own in counts[1:]])
    expected = (novelty - novelty.min()) / (novelty.max() - novelty.min())
    assert found == pytest.approx(expected)
    other = [{"role": "user", "content": "My dog died."}]
    both = chat_rewards(
        [prompt] * 3 + [other] * 2,
        [*replies, "I see.", "What was he like?"],
        [5, 9, 4, 2, 5],
        graders=graders,
        weights=weights,
    )
    assert both[:3] == pytest.approx(found), "another group changes nothing"


@pytest.mark.slow
def test_a_failed_grade_is_never_a_number_of_its_own() -> None:
    graders = Graders(FakeTagger(fail_on="bad"), FakeJudge())
    prompt = [USER, {"role": "assistant", "content": "What happened?"}, USER]
    replies = ["What else?", "A bad one.", "That hurts.", "Who was there?"]
    found = chat_rewards([prompt] * 4, replies, [3, 3, 2, 3], graders=graders)
    # All ratings are equal, so half of the 1 they can give; only the third reply is new.
    assert found == pytest.approx([0.5, 2.5 / 3, 1.5, 0.5])
    with pytest.raises(DataError, match="prompt 0 must end with a message of the user"):
        chat_rewards([CHAT], ["x"], [1], graders=graders)


@pytest.mark.slow
def test_evaluate_returns_what_the_files_hold(root: Path, tmp_path: Path) -> None:
    from mint import evaluate

    data = tmp_path / "conversations.json"
    rows = [
        {
            "conversation_id": name,
            "source": "mine",
            "model": "human",
            "conversation": [
                {"role": "seeker", "content": "I lost my job."},
                {"role": "supporter", "content": FIRST},
                {"role": "seeker", "content": f"They closed the shop {name}."},
                {"role": "supporter", "content": "That sounds hard."},
            ],
        }
        for name in ("a", "b")
    ]
    data.write_text(json.dumps(rows))
    replies = tmp_path / "replies.jsonl"
    lines = [
        {"conversation_id": name, "turn": turn, "reply": reply}
        for name in ("a", "b")
        for turn, reply in enumerate([FIRST, "You showed courage. Could you rest now?"])
    ]
    replies.write_text("\n".join(map(json.dumps, lines)))
    found = evaluate(
        replies=str(replies), data=str(data), output=str(tmp_path / "out"), resamples=100
    )
    assert set(found) == {"canaries", "lend_an_ear"}
    (condition,) = found["lend_an_ear"]["conditions"].values()
    assert condition["counts"]["graded"] == 4
    assert 1 <= condition["metrics"]["empathy"]["mean"] <= 5
    with pytest.raises(ConfigError, match="give exactly one of run=DIR"):
        evaluate(output=str(tmp_path / "out"))
