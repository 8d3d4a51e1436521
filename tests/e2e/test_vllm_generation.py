"""Evaluation's replies from a real vLLM, beside those of transformers, for the tiny policy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CODE = """
import json, sys
from mint.config.evaluation import GenerationConfig
from mint.evaluation.generation import Prompt
from mint.evaluation.generator import open_generator
texts = ["I feel tired and alone.", "My friend moved away.", "I lost my job today. What now?"]
prompts = [
    Prompt(f"c{i}/0", ({"role": "user", "content": text},)) for i, text in enumerate(texts)
]
greedy = {"temperature": 0.0, "samples_per_prompt": 1, "max_new_tokens": 24}
found = {}
for engine in ("transformers", "vllm"):
    with open_generator(sys.argv[1], GenerationConfig(engine=engine, **greedy)) as generator:
        found[engine] = generator.generate(prompts)
        found[f"{engine} stream"] = [list(generator.stream(prompt)) for prompt in prompts]
        sampled = GenerationConfig(engine=engine, samples_per_prompt=2, max_new_tokens=24)
        generator.settings = sampled
        found[f"{engine} sampled"] = generator.generate(prompts)
        found[f"{engine} again"] = generator.generate(prompts[::-1])[::-1]
        if engine == "vllm":
            # More tokens than vLLM reads in a step, so the last prompt of a step does not fit.
            many = [Prompt(f"m{i}/0", ({"role": "user", "content": "so tired. " * (60 + i)},))
                    for i in range(60)]
            found["many"] = [own[0][0] for own in generator.generate(many)]
print(json.dumps(found))
"""


def test_vllm_generates_what_transformers_does(workplace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(workplace / "outputs/tiny-policy")],
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found.pop("many")) == 60
    for engine in ("transformers", "vllm"):
        sampled = found[f"{engine} sampled"]
        assert [len(own) for own in sampled] == [2, 2, 2]
        assert sampled == found[f"{engine} again"], "a reply does not depend on its batch"
        assert len({raw for own in sampled for raw, _, _ in own}) > 3
        for raw, num_tokens, _ in (reply for own in sampled for reply in own):
            assert raw.strip()
            # Of the visible text: a sampled reply may be cut into other, more tokens than the 24
            # that were generated.
            assert 0 < num_tokens <= 24 * 1.5
        for grown in found[f"{engine} stream"]:
            assert len({raw for raw, _, _ in grown}) > 5, "token by token"
    assert [grown[-1] for grown in found["transformers stream"]] == [
        own[0] for own in found["transformers"]
    ]
    streamed = [grown[-1] for grown in found["vllm stream"]]
    # One at a time or all at once: the last digits may differ, as below.
    assert sum(a[0] == b for a, b in zip(found["vllm"], streamed, strict=True)) >= 2, found
    # One differing last digit may turn a reply; most are the same to the letter.
    same = [a == b for a, b in zip(found["vllm"], found["transformers"], strict=True)]
    assert sum(same) >= 2, found
