"""A published folder in a real vLLM: it answers, and reads the prompts of training."""

from __future__ import annotations

import shutil
from pathlib import Path

import demo_run
import httpx
import pytest
from grader_servers import Serving
from omegaconf import OmegaConf

from mint.policy.chat import render_chat
from mint.publishing.folder import publish
from mint.publishing.model import CHATS
from mint.watching.invented import invented_config

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

THINKS = (
    "{%- if add_generation_prompt and enable_thinking is defined and enable_thinking is false -%}"
    "{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}"
)
"""What a thinking model's template has at its end."""


def test_vllm_serves_the_folder_with_the_prompts_of_training(
    workplace: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    run = demo_run.make_run(tmp_path / "run")
    config = invented_config()
    config["data"]["apply_chat_template_kwargs"] = {"enable_thinking": False}
    config["mint"]["data"] |= {"train_file": "train.parquet", "val_file": "val.parquet"}
    OmegaConf.save(OmegaConf.create(config), run.config_path)
    shutil.copytree(workplace / "outputs/tiny-policy", run.model_path)
    template = run.model_path / "chat_template.jinja"
    template.write_text(template.read_text("utf-8") + THINKS, encoding="utf-8")
    folder = publish(run, tmp_path / "published")

    tokenizer = AutoTokenizer.from_pretrained(run.model_path)
    server = Serving(tmp_path, "judge", f"model={folder}")
    try:
        facts = server.wait_ready()
        with httpx.Client(base_url=facts["url"], timeout=120, trust_env=False) as client:
            (model,) = client.get("/v1/models").json()["data"]
            for chat in CHATS:
                asked = {"model": model["id"], "messages": chat}
                tokens = client.post("/tokenize", json=asked).json()["tokens"]
                trained = render_chat(tokenizer, chat, enable_thinking=False)
                assert tokens == tokenizer(trained, add_special_tokens=False).input_ids
                assert trained.endswith("</think>\n\n")
            answer = client.post(
                "/v1/chat/completions",
                json={"model": model["id"], "messages": CHATS[0], "max_tokens": 24, "seed": 1},
            ).json()
    finally:
        server.stop()
    assert answer["choices"][0]["message"]["content"].strip()
    assert answer["usage"]["prompt_tokens"] == len(
        tokenizer(render_chat(tokenizer, CHATS[0], enable_thinking=False)).input_ids
    )
