"""`mint publish`: a folder that loads as it was trained, with a card of the run's facts."""

from __future__ import annotations

import json
import re
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import demo_run
import hub_server
import pytest
import serving_models
from omegaconf import OmegaConf

from mint.policy.chat import render_chat
from mint.policy.settings import TinySettings
from mint.policy.tiny import make_model
from mint.publishing.card import Subject, model_card
from mint.publishing.folder import publish
from mint.publishing.markdown import block, code, plain
from mint.publishing.model import CHATS, trained_template, write_model
from mint.reporting.data import load
from mint.rundir.directory import RunDir
from mint.rundir.manifest import made_by
from mint.shell.files import read_json, write_json
from mint.watching.invented import SEEKERS, invented_config
from rewards.errors import ConfigError

THINKING = """\
{%- for message in messages -%}
{{- '<|im_start|>' ~ message['role'] ~ '\\n' ~ message['content'] ~ '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}{%- endif -%}
"""
"""Thinks unless it is told not to, as Qwen3's."""
NO_SYSTEM = """\
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}{{- raise_exception('No system role') -}}{%- endif -%}
{{- '<' ~ message['role'] ~ '>' ~ message['content'] -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<assistant>' -}}{%- endif -%}
"""
"""Takes no system message, as Gemma 2's."""
NOT_THINKING = {"enable_thinking": False}
HOSTILE = 'evil|<script>alert(1)</script> `rm` "x"'


def model(folder: Path, template: str = THINKING) -> Path:
    """A policy of a few thousand weights, which its owner alone may read."""
    tokenizer = serving_models.make_tokenizer()
    own = tokenizer.chat_template
    try:
        tokenizer.chat_template = template
        make_model(tokenizer, TinySettings(hidden_size=64, num_layers=1)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    finally:
        tokenizer.chat_template = own
    (folder / "model.safetensors").chmod(0o600)
    return folder


def configured(**changes: Any) -> Any:
    """The configuration of a run that told the template not to think."""
    config = invented_config()
    config["mint"]["data"] |= {"train_file": "train.parquet", "val_file": "val.parquet"}
    config["data"] |= {"apply_chat_template_kwargs": NOT_THINKING, **changes}
    config["actor_rollout_ref"]["rollout"] |= {"temperature": 0.7, "top_p": 0.9, "top_k": -1}
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished and evaluated run with a model, probes and a hostile name."""
    run = demo_run.make_run(tmp_path_factory.mktemp("publish") / "run")
    OmegaConf.save(OmegaConf.create(configured()), run.config_path)
    manifest = read_json(run.manifest_path) | {"recipe": HOSTILE}
    manifest["export"] = {"which": "best", "step": 12, "reason": "best score", "warning": ""}
    write_json(run.manifest_path, manifest)
    model(run.model_path)
    row = {"num": 51, "passed": 20, "failed": 30, "not_gradable": 1}
    row |= {"rate": 0.4, "low": 0.28, "high": 0.54}
    probes = {
        "confidence": 0.95,
        "intervals_are_over": "probes",
        "total": row,
        "categories": {"crisis": row},
        "items": [{"id": "crisis-1", "reply": "I am so sorry."}],
    }
    write_json(run.evaluation_path / "after/probes.json", probes)
    return run


@pytest.fixture(scope="module")
def published(run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(run, tmp_path_factory.mktemp("out") / "kind-model")


@pytest.fixture(scope="module")
def card(published: Path) -> str:
    return (published / "README.md").read_text(encoding="utf-8")


def prompts(folder: Path, **arguments: Any) -> list[str]:
    """What the folder's own tokenizer makes of conversations."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [
        tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True, **arguments)
        for c in CHATS
    ]


@pytest.mark.slow
def test_prompts_without_arguments_are_those_of_training(run: RunDir, published: Path) -> None:
    asked = prompts(published)
    assert asked == prompts(run.model_path, **NOT_THINKING)
    assert all(prompt.endswith("<think>\n\n</think>\n\n") for prompt in asked)
    assert asked != prompts(run.model_path), "the folder of the run thinks unless it is told not to"
    thinking = prompts(published, enable_thinking=True)
    assert thinking == prompts(run.model_path, enable_thinking=True)


def test_a_template_that_needs_nothing_is_not_touched() -> None:
    plain_template = "{{ messages[0]['content'] }}"
    assert trained_template(plain_template, NOT_THINKING, moves_system=False) == plain_template


def test_a_system_message_goes_where_training_has_put_it(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    trained = model(tmp_path / "trained", NO_SYSTEM)
    write_model(trained, tmp_path / "out", OmegaConf.create({}))
    tokenizer = AutoTokenizer.from_pretrained(trained)
    expected = [render_chat(tokenizer, chat) for chat in CHATS]
    assert prompts(tmp_path / "out") == expected
    assert expected[0] == "<user>Be kind.\n\nHello. I am tired.<assistant>"


def test_prompts_that_cannot_be_those_of_training_are_refused(tmp_path: Path) -> None:
    # The default of an argument that the template itself sets differs from what was given.
    template = "{%- set enable_thinking = true -%}" + THINKING
    trained = model(tmp_path / "trained", template.replace("is false", "is true"))
    write_model(trained, tmp_path / "same", OmegaConf.create(configured()))
    without = model(tmp_path / "none", "")
    (without / "chat_template.jinja").unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="has no chat template"):
        write_model(without, tmp_path / "out", OmegaConf.create({}))


@pytest.mark.slow
def test_the_weights_load_and_answer_the_same(run: RunDir, published: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(published)("I am tired.", return_tensors="pt")
    logits = [
        AutoModelForCausalLM.from_pretrained(folder)(**ids).logits.detach()
        for folder in (run.model_path, published)
    ]
    assert torch.equal(*logits)
    sampling = read_json(published / "generation_config.json")
    found = {name: sampling[name] for name in ("do_sample", "temperature", "top_p", "top_k")}
    assert found == {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 0}


def test_everybody_may_read_it_and_nothing_names_this_machine(run: RunDir, published: Path) -> None:
    assert stat.S_IMODE((run.model_path / "model.safetensors").stat().st_mode) == 0o600
    for path in (published, *published.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path
        if path.suffix in (".json", ".md", ".jinja", ".txt"):
            assert str(run.path.parent) not in path.read_text(encoding="utf-8"), path
    tokenizer = read_json(published / "tokenizer_config.json")
    assert not {"is_local", "local_files_only", "chat_template"} & set(tokenizer)


def test_the_figures_are_there_without_what_people_said(run: RunDir, published: Path) -> None:
    names = {path.name for path in (published / "evaluation").iterdir()}
    assert names == {"before.json", "after.json", "comparison.json", "after_probes.json"}
    text = "".join(path.read_text("utf-8") for path in (published / "evaluation").iterdir())
    text += (published / "README.md").read_text(encoding="utf-8")
    assert not [said for said in SEEKERS if said[:30] in text]
    assert "I am so sorry." not in text
    own = read_json(published / "evaluation/comparison.json")["empathy"]
    assert own == read_json(run.comparison_path)["empathy"]


def test_the_hub_reads_the_metadata(run: RunDir, published: Path) -> None:
    from huggingface_hub import ModelCard

    found = ModelCard.load(published / "README.md").data
    assert (found.license, found.library_name, found.pipeline_tag) == (
        "mit",
        "transformers",
        "text-generation",
    )
    assert found.model_name == "kind-model"
    results = {result.metric_type: result for result in found.eval_results}
    comparison = read_json(run.comparison_path)
    for name in ("composite", "empathy", "stickiness"):
        assert results[name].metric_value == round(comparison[name]["after"], 4)
        assert results[name].metric_args["before_training"] == round(comparison[name]["before"], 4)
        assert results[name].metric_args["difference_ci_low"] == round(
            comparison[name]["ci_low"], 4
        )
    held_out = next(iter(read_json(run.manifest_path)["data"].values()))
    assert results["empathy"].dataset_revision == held_out


def test_the_card_says_what_made_the_model_and_what_it_is_not(card: str, run: RunDir) -> None:
    assert "python -m mint.train +recipe=mint_tiny" in card
    assert "| Published step | 12 (best: best score) |" in card
    assert "Novelty against the previous turn: weight 1." in card
    assert re.search(r"\| judge \| judge embedded \| `b07d52ee` \| quality \|", card)
    assert re.search(r"\| tagger \| tagger embedded \| `4f1c9a0d` \| novelty \|", card)
    assert "| crisis | 51 | 20 | 1 | 0.40 [0.28, 0.54] |" in card
    assert "not a therapy tool" in card
    assert "another seed can give another policy" in card
    row = read_json(run.comparison_path)["composite"]
    assert f"| Composite reward ↑ | {row['before']:.3f} | {row['after']:.3f} |" in card
    assert "eprint = {2604.11742}" in card
    assert "<script>" not in card
    assert "evil\\|&lt;script&gt;" in card


def test_the_card_names_what_came_before(tmp_path: Path, run: RunDir) -> None:
    """A run begun from a fine-tuned model, which was itself begun from one."""
    from mint.config.schema import mint_config

    tuned = RunDir(tmp_path / "sft")
    tuned.model_path.mkdir(parents=True)
    assert made_by(tuned.model_path) is None
    earlier = {"command": "python -m mint.prefer x=/home/me/a", "recipe": None, "data": {}}
    row = {"command": "python -m mint.sft +recipe=sft_smol", "recipe": "sft_smol"}
    files = {"/data/train.tsv": "1c25", "/data/dialogues.json": "5755"}
    write_json(tuned.manifest_path, {**row, "data": files, "begun_from": earlier, "seeds": {}})
    assert [made_by(other) for other in (tuned.path, "Qwen/Qwen3-4B", ".", "/", "")] == [None] * 5
    found = made_by(tuned.model_path)
    assert found == {**row, "data": files, "begun_from": earlier}
    data = load(run)
    assert data.manifest is not None
    data = replace(data, manifest={**data.manifest, "begun_from": found})
    subject = Subject("x", "u/x", "mit", "Be kind.", None)
    said = model_card(data, mint_config(OmegaConf.create(configured())), subject)
    names = "train.tsv, dialogues.json"
    assert f"| Trained before | `python -m mint.sft +recipe=sft_smol`, on {names} |" in said
    assert (
        "| Trained before | `python -m mint.prefer x=a`, on files that are not recorded |" in said
    )
    assert "(train.tsv, dialogues.json) has licences of its own" in said


def test_dialogues_are_rewarded_by_the_seeker(run: RunDir) -> None:
    from mint.config.schema import mint_config

    config = configured()
    config["mint"]["task"] = "dialogues"
    config["algorithm"] = {"adv_estimator": "gae"}
    data = load(run)
    subject = Subject("x", "u/x", "mit", "Be kind.", None)
    other = OmegaConf.create(config)
    text = model_card(data, mint_config(other), subject)
    assert "| seeker | rule, rlver_train | – | emotion, weight 1 |" in text
    assert re.search(r"\| judge \| judge embedded \| `b07d52ee` \| no: it only measures \|", text)
    assert "**Not measured.** `mint evaluate run=RUN protocol=probes`" in text


def test_text_from_outside_stays_text() -> None:
    assert plain("a|b\n<b> [x](y)") == "a\\|b &lt;b&gt; \\[x\\](y)"
    assert code("a`b|c") == "`abc`"
    assert block("x\n```\ny") == "````text\nx\n```\ny\n````"


@pytest.mark.parametrize(
    ("changes", "arguments", "says"),
    [
        ({"mint": {"policy": {"build": "none"}}}, [], "licence=ID is needed"),
        (None, [], r"model does not exist: the run has no trained model yet"),
        ({"mint": {"prefer": {}}}, [], "is a run of `mint prefer`: mint publishes runs of"),
        ({}, ["push=name"], "push=name must be USER/NAME"),
        ({}, ["push=user/na me"], "push=user/na me: "),
        ({}, ["push=user/name"], "HF_HUB_OFFLINE is set"),
    ],
)
def test_what_cannot_be_published_is_one_line(
    run: RunDir,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any] | None,
    arguments: list[str],
    says: str,
) -> None:
    import huggingface_hub.constants

    from mint.publish import PublishSettings, main
    from mint.shell import cli

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    other = RunDir(tmp_path / "run")
    shutil.copytree(run.path, other.path)
    config = OmegaConf.merge(OmegaConf.load(run.config_path), changes or {})
    OmegaConf.save(config, other.config_path)
    if changes is None:
        shutil.rmtree(other.model_path)
    given = [str(other.path), f"output={tmp_path / 'out'}", *arguments]
    assert cli.run(PublishSettings, main, given) == 2
    captured = capsys.readouterr()
    assert re.search(says, captured.err), captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_not_replaced(
    run: RunDir, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mint.publish import PublishSettings, main
    from mint.shell import cli

    assert cli.run(PublishSettings, main, [str(run.path), f"output={published}"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert cli.run(PublishSettings, main, [f"output={published}"]) == 2
    assert "give one run directory" in capsys.readouterr().err


@pytest.mark.slow
def test_push_sends_the_folder_with_the_login_of_the_hubs_library(
    run: RunDir,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from huggingface_hub import constants

    from mint.publish import PublishSettings, main
    from mint.shell import cli

    hub = hub_server.Hub("hf_secret")
    output = tmp_path / "out"
    given = [str(run.path), f"output={output}", "push=user/name"]
    for name, value in (("ENDPOINT", hub.url), ("HF_HUB_OFFLINE", False)):
        monkeypatch.setattr(constants, name, value)
    try:
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")
        assert cli.run(PublishSettings, main, given) == 2
        assert "refuses the login (status 401)" in capsys.readouterr().err
        assert not output.exists()
        assert "GET /api/whoami-v2" in hub.asked
        assert not [asked for asked in hub.asked if asked.startswith("POST")]
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        assert cli.run(PublishSettings, main, given) == 0
    finally:
        hub.stop()
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [str(output), f"{hub.url}/user/name"]
    assert hub.created[0]["visibility"] == "private"
    sent = {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}
    assert set(hub.files) >= sent
    for name in sent:
        assert hub.files[name] == (output / name).read_bytes(), name
    assert "hf_secret" not in captured.out + captured.err
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    other = [given[0], f"output={tmp_path / 'b'}", given[2]]
    assert cli.run(PublishSettings, main, other) == 2
    error = capsys.readouterr().err
    assert "cannot be reached" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "b").exists()


@pytest.mark.slow
def test_the_inspect_logs_hold_what_was_said(run: RunDir, tmp_path: Path) -> None:
    output = publish(run, tmp_path / "out", inspect=True)
    before, after = sorted(
        (output / "evaluation/inspect").iterdir(), key=lambda p: "after" in p.name
    )
    assert "_before_" in before.name
    log = read_json(after)
    replies = load(run).after_replies
    assert len(log["samples"]) == len(replies)
    first, reply = log["samples"][0], replies[0]
    assert (first["id"], first["epoch"]) == (f"{reply.conversation_id}/{reply.turn}", 1)
    assert first["messages"][-1]["content"] == reply.reply
    assert first["scores"]["empathy"]["value"] == reply.empathy
    scores = {score["name"]: score["metrics"] for score in log["results"]["scores"]}
    expected = read_json(run.after_path)["metrics"]["empathy"]["mean"]
    assert scores["empathy"]["mean"]["value"] == expected
    json.dumps(log, allow_nan=False)
