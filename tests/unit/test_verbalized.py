from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from mint.evaluation.protocols.verbalized import Candidates, draw, instruction, parse, schema
from rewards.types import Failure


def answer(*items, **more):
    return json.dumps({"responses": [{"text": t, "probability": p} for t, p in items], **more})


GOOD = answer(("I hear you.", 0.6), ("What happened?", 0.4))


@pytest.mark.parametrize(
    ("raw", "fenced"),
    [
        (GOOD, False),
        (f"<think>Let me list.</think>\n{GOOD}\n", False),
        (f"```json\n{GOOD}\n```", True),
        (f"```\n{GOOD}\n```", True),
        (answer(("a", 1), ("b", 0), reasoning="x"), False),
    ],
)
def test_well_formed_answers_are_read(raw, fenced):
    parsed = parse(raw, 2)
    assert isinstance(parsed, Candidates)
    assert parsed.fenced is fenced
    assert len(parsed.items) == 2


@pytest.mark.parametrize(
    ("raw", "kind", "message"),
    [
        ("I hear you.", "no_json", "not one JSON object"),
        (f"Here you are: {GOOD}", "no_json", "not one JSON object"),
        (f"{GOOD} Hope it helps!", "no_json", "Extra data"),
        (GOOD[:-3], "no_json", "not one JSON object"),
        (GOOD.replace('"text"', "text"), "no_json", "not one JSON object"),
        ("<think>only this", "truncated_think", "no visible answer"),
        ("", "empty", "no visible answer"),
        ("[1, 2]", "off_schema", "no list 'responses'"),
        ('{"responses": "none"}', "off_schema", "no list 'responses'"),
        (answer(("a", 1.0)), "off_schema", "1 candidates instead of 2"),
        (answer(("a", 0.5), ("", 0.5)), "off_schema", "candidate 1: text says nothing"),
        (
            answer(("a", 0.5), ("b", "50%")),
            "off_schema",
            "candidate 1: probability must be a number",
        ),
        (answer(("a", 0.5), ("b", True)), "off_schema", "must be a number, got True"),
        (answer(("a", 0.5), ("b", 1.5)), "off_schema", r"in \[0, 1\], got 1.5"),
        (answer(("a", 0.0), ("b", 0.0)), "off_schema", "all probabilities are 0"),
        ('{"responses": [{"text": "a", "probability": NaN}, 3]}', "off_schema", "candidate 0"),
    ],
)
def test_anything_else_is_a_failure_and_never_a_reply(raw, kind, message):
    parsed = parse(raw, 2)
    assert isinstance(parsed, Failure)
    assert parsed.kind == kind
    assert re.search(message, parsed.message)


def test_candidates_are_drawn_by_their_probabilities_and_the_seed():
    parsed = parse(answer(("a", 0.6), ("b", 0.2)), 2)
    drawn = Counter(draw(parsed, f"7/{i}") for i in range(2000))
    assert drawn["a"] / 2000 == pytest.approx(0.75, abs=0.03)
    assert [draw(parsed, f"7/{i}") for i in range(9)] == [draw(parsed, f"7/{i}") for i in range(9)]


def test_the_prompt_asks_for_what_the_parser_takes():
    assert "exactly 5 entries" in instruction(5)
    responses = schema(5)["properties"]["responses"]
    assert responses["minItems"] == responses["maxItems"] == 5
