"""Before training: servers that are missing or wrong, identities, the adapters' input format."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from grader_configs import DEAD, REPLY, built, judge, lora

from mint import train
from mint.config import compose, recipes
from mint.config.schema import mint_config
from mint.rundir.directory import RunDir
from mint.rundir.manifest import RunFacts, require_same_graders, start_manifest
from rewards.build import JudgeConfig, check_servers
from rewards.errors import ConfigError
from rewards.graders.served.lora_format import read_formats
from rewards.graders.served.tagger import LoraTagger
from rewards.tactics import TACTIC_NAMES
from rewards.types import Tagging

# --- checks before the first step ----------------------------------------------------------------


def test_good_servers_pass_and_name_what_they_serve(url: str, annotations: Path) -> None:
    graders = built(lora(url, annotations), judge(url, revision="abc"))
    check_servers(graders)
    tagger, rater = graders.tagger.identity, graders.judge.identity
    assert (tagger.name, tagger.revision) == ("served_lora:llama", "unpinned")
    assert tagger.details["served_as"]["advice"] == "weights/advice"
    assert len(tagger.details["prompts"]) == 64
    assert (rater.name, rater.revision) == ("served:chat", "abc")
    assert rater.details["served_as"] == {"chat": "weights/chat"}


def test_a_dead_server_is_named(annotations: Path) -> None:
    with pytest.raises(ConfigError, match=f"no server answers at {DEAD}.*mint.tagger.served.urls"):
        check_servers(
            built(lora(DEAD, annotations), JudgeConfig(kind="served", served=judge(DEAD).served))
        )


def test_all_that_is_wrong_is_told_in_the_order_of_the_settings(
    url: str, annotations: Path
) -> None:
    rater = judge(url, model="chatt", urls=[url, DEAD])
    with pytest.raises(ConfigError) as error:
        check_servers(built(lora(DEAD, annotations), rater))
    assert re.fullmatch(
        rf"mint.tagger.served: no server answers at {DEAD} .*; "
        rf"mint.judge.served: {url} does not serve chatt; .*; "
        rf"mint.judge.served: no server answers at {DEAD} .*",
        str(error.value),
    )


def test_missing_adapters_are_named(url: str, server: Any, annotations: Path) -> None:
    server.models = [name for name in server.models if name not in ("advice", "reappraisal")]
    with pytest.raises(ConfigError, match=r"does not serve advice, reappraisal; it serves .*llama"):
        check_servers(built(lora(url, annotations), judge(url)))


def test_a_wrong_model_name_lists_the_right_ones(url: str, annotations: Path) -> None:
    graders = built(lora(url, annotations), judge(url, model="chatt"))
    with pytest.raises(ConfigError, match=r"mint.judge.served: .* does not serve chatt.* chat"):
        check_servers(graders)


@pytest.mark.parametrize("given", [None, "wrong"])
def test_a_missing_or_wrong_token_is_told(
    url: str, server: Any, annotations: Path, tmp_path: Path, given: str | None
) -> None:
    server.token = "right"
    changes = {}
    if given:
        (tmp_path / "token").write_text(f"{given}-s3cret")
        changes["token_file"] = str(tmp_path / "token")
    with pytest.raises(ConfigError) as error:
        check_servers(built(lora(url, annotations, **changes), judge(url, **changes)))
    text = str(error.value)
    assert re.fullmatch(
        r"mint.tagger.served: .* refuses .*; set mint.tagger.served.token_file .*; "
        r"mint.judge.served: .* refuses .*; set mint.judge.served.token_file .*",
        text,
    )
    assert "s3cret" not in text


def test_the_right_token_passes(url: str, server: Any, annotations: Path, tmp_path: Path) -> None:
    server.token = "right"
    (tmp_path / "token").write_text("right\n")
    token = {"token_file": str(tmp_path / "token")}
    check_servers(built(lora(url, annotations, **token), judge(url, **token)))


def test_servers_that_serve_different_weights_are_refused(
    serve: Callable, loopback: ModuleType, annotations: Path
) -> None:
    one, two = loopback.GraderServer(), loopback.GraderServer()
    two.root = "other"
    urls = [serve(one).url, serve(two).url]
    config = judge(urls[0], urls=urls)
    with pytest.raises(ConfigError, match=r"must all serve the same models"):
        check_servers(built(lora(urls[0], annotations), config))


def test_what_is_no_model_server_is_told(
    serve: Callable, loopback: ModuleType, annotations: Path
) -> None:
    page = serve(lambda _: loopback.Answer(b"<html>hello</html>"))
    with pytest.raises(ConfigError, match="is no usable server: malformed"):
        check_servers(built(lora(page.url, annotations), judge(page.url)))


def test_a_reward_model_with_sigmoid_is_refused_before_the_run(
    serve: Callable, loopback: ModuleType, annotations: Path
) -> None:
    def handler(seen: Any) -> Any:
        if seen.path == "/v1/models":
            return loopback.Answer(loopback.models("rm", "llama", *TACTIC_NAMES))
        return loopback.Answer({"data": [{"probs": [0.3]}]})

    url = serve(handler).url
    graders = built(lora(url, annotations), judge(url, "reward_model", model="rm"))
    with pytest.raises(ConfigError, match="need raw logits"):
        check_servers(graders)


@pytest.mark.slow
def test_training_says_it_in_one_line_before_anything_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = train.main(
        [
            "+recipe=mint_tiny",
            "mint.judge.kind=served",
            f"mint.judge.served.urls=[{DEAD}]",
            "mint.judge.served.model=m",
            "--dry-run",
        ]
    )
    captured = capsys.readouterr()
    assert status == 2
    assert captured.err.startswith(f"error: mint.judge.served: no server answers at {DEAD}")
    assert captured.err.strip().count("\n") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("mint.judge.kind=serve", "mint.judge.kind must be one of embedded, served, reward_model"),
        ("mint.judge.kind=served", "mint.judge.served.urls must be set"),
        ("mint.tagger.kind=served_lora", "mint.tagger.served.urls must be set"),
        ("mint.judge.served.urls=[localhost]", "mint.judge.served.urls must be http://HOST:PORT"),
        ("mint.judge.served.repeats=0", "mint.judge.served.repeats must be >= 1, got 0"),
        ("mint.judge.served.repeat=2", "did you mean 'mint.judge.served.repeats'?"),
        ("mint.tagger.served.unit=word", "mint.tagger.served.unit must be reply or sentence"),
        ("mint.tagger.served.cache=x", "mint.tagger.served.cache needs"),
    ],
)
def test_bad_settings_are_one_line(
    capsys: pytest.CaptureFixture[str], override: str, says: str
) -> None:
    assert train.main(["+recipe=mint_tiny", override, "--dry-run"]) == 2
    text = capsys.readouterr().err
    assert says in text
    assert text.strip().count("\n") == 0


@pytest.mark.slow
def test_the_served_recipe_is_the_papers_set_up() -> None:
    recipes.register(recipes.find_recipes())
    mint = mint_config(compose.compose_config(["+recipe=mint_4b_served"]))
    assert (mint.tagger.kind, mint.judge.kind) == ("served_lora", "reward_model")
    mint.tagger.served.require("urls", "model")
    mint.judge.served.require("urls", "model")


# --- identity ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_runs_graded_differently_do_not_compare(
    url: str, server: Any, annotations: Path, tmp_path: Path
) -> None:
    def identities(**changes: Any) -> dict[str, Any]:
        graders = built(lora(url, annotations), judge(url, **changes))
        check_servers(graders)
        return {"tagger": graders.tagger.identity, "judge": graders.judge.identity}

    run = RunDir.create(tmp_path / "run")
    start_manifest(run, RunFacts(command=["x"], graders=identities()))
    require_same_graders(run, identities())
    require_same_graders(run, identities(concurrency=2, retries=3))
    for changes in ({"revision": "b"}, {"temperature": 0.5}, {"expectation": True}, {"repeats": 3}):
        with pytest.raises(ConfigError, match="judge is not the one this run was trained with"):
            require_same_graders(run, identities(**changes))
    server.root = "retrained"
    with pytest.raises(ConfigError, match=r"served_as .*weights.* then, .*retrained.* now"):
        require_same_graders(run, identities())


# --- adapters' format ----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_released_format_is_read_from_the_users_copy(upstream: Path) -> None:
    formats = read_formats(upstream)
    assert list(formats) == list(TACTIC_NAMES)
    source = upstream / "data/tagger_annotations/val/questioning.jsonl"
    for line in source.read_text(encoding="utf-8").splitlines()[:40]:
        system, user, _ = json.loads(line)["messages"]
        form = formats["questioning"]
        reply, _, sentence = user["content"][
            len(form.before_reply) : -len(form.after_sentence)
        ].partition(form.before_sentence)
        assert form.messages(reply, sentence) == [system, user]
    for folder in ("data/tagger_annotations", "data/tagger_annotations/val"):
        assert read_formats(upstream / folder) == formats


def test_each_adapter_is_asked_in_its_own_words(
    serve: Callable, server: Any, annotations: Path
) -> None:
    started = serve(server)
    (tags,) = asyncio.run(LoraTagger(lora(started.url, annotations).served).tag([REPLY]))
    assert isinstance(tags, Tagging)
    assert [s.tactics for s in tags.sentences] == [("questioning",), ("questioning",)]
    # Asked at the same time, so they arrive in either order.
    asked = sorted(
        (seen.body for seen in started.posts() if seen.body["model"] == "advice"),
        key=lambda body: str(body["messages"]),
    )
    assert [body["messages"] for body in asked] == [
        [
            {"role": "system", "content": "You know advice."},
            {
                "role": "user",
                "content": f"Look for advice.\nReply:\n{REPLY.text}\n\nSentence:\n{s}\nAnswer:",
            },
        ]
        for s in ("I hear you.", "What happened?")
    ]
    assert asked[0]["logprobs"] is True
    assert asked[0]["structured_outputs"] == {"regex": "<score>[01]</score>"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, r"holds no information\.jsonl"),
        ("not json\n", r"information\.jsonl:1: expected a chat"),
        ('{"messages": []}\n', r"information\.jsonl:1: expected a chat"),
        ("", "must have one system message, found 0"),
    ],
)
def test_a_wrong_copy_is_a_clear_error(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "information.jsonl").write_text(content)
    with pytest.raises(ConfigError, match=says):
        read_formats(tmp_path)


@pytest.mark.slow
def test_lines_that_are_all_alike_have_no_format(annotations: Path, tmp_path: Path) -> None:
    first = (annotations / "information.jsonl").read_text().splitlines()[0]
    (tmp_path / "information.jsonl").write_text(f"{first}\n{first}\n")
    with pytest.raises(ConfigError, match="the input format cannot be told from its 2 lines"):
        read_formats(tmp_path)
