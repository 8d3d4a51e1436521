"""The client of served graders against a real server that misbehaves in every way we know."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rewards.errors import ConfigError
from rewards.serving.cassette import AnswerCache, Request, request_key
from rewards.serving.client import GraderClient
from rewards.serving.settings import EndpointConfig
from rewards.types import Failure

QUESTION = Request("/ask", {"text": "how are you?"})


def number(answer: Any) -> int | Failure:
    """Reads {"n": 3}."""
    if not isinstance(answer, dict) or "n" not in answer:
        return Failure("off_schema", "no n")
    return answer["n"]


def client(*urls: str, **changes: Any) -> GraderClient:
    """A client that does not wait between attempts but notes how long it should have."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    settings = EndpointConfig(
        urls=list(urls), **{"connect_timeout_s": 5.0, "read_timeout_s": 5.0, "retries": 3} | changes
    )
    made = GraderClient(settings, sleep=sleep)
    made.waited = waited  # type: ignore[attr-defined]
    return made


def ask(made: GraderClient, request: Request = QUESTION) -> Any:
    return asyncio.run(made.ask(request, number))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def answers(serve: Callable, loopback: ModuleType) -> Callable:
    """A server that gives these answers one after the other, the last one for good."""

    def start(*planned: Any) -> Any:
        left = list(planned)

        def handler(_: Any) -> Any:
            body = left.pop(0) if len(left) > 1 else left[0]
            return body if isinstance(body, loopback.Answer) else loopback.Answer(body)

        return serve(handler)

    return start


def test_a_good_answer_is_asked_for_once(answers: Callable) -> None:
    server = answers({"n": 7})
    made = client(server.url + "/")
    assert ask(made) == 7
    assert [(s.path, s.body) for s in server.seen] == [("/ask", {"text": "how are you?"})]
    assert made.counts == {"asked": 1, "sent": 1}


def test_server_errors_are_tried_again_until_it_works(
    answers: Callable, loopback: ModuleType
) -> None:
    server = answers(loopback.Answer(status=500), loopback.Answer(status=503), {"n": 1})
    made = client(server.url, backoff_s=2.0)
    assert ask(made) == 1
    assert len(server.seen) == 3
    assert 1.0 <= made.waited[0] <= 2.0 <= made.waited[1] <= 4.0


@pytest.mark.parametrize(
    ("answer", "kind", "sent"),
    [
        ({"status": 500, "body": b"broken"}, "server_error", 4),
        ({"status": 429}, "rate_limited", 4),
        ({"cut": True, "body": {"n": 123456}}, "connection", 4),
        ({"status": 400, "body": {"error": "prompt too long"}}, "client_error", 1),
        ({"status": 404, "body": {"error": "no such model"}}, "client_error", 1),
        ({"status": 302, "headers": {"Location": "/x"}}, "client_error", 1),
        ({"status": 401}, "unauthorized", 1),
        ({"body": b"{'n': 1"}, "malformed", 1),
        ({"body": b"\xff\xfe{}"}, "malformed", 1),
        ({"body": b'{"n": NaN}'}, "malformed", 1),
        ({"body": b"[" * 100_000}, "malformed", 1),
        ({"body": {"score": 3}}, "off_schema", 1),
        ({"body": None}, "off_schema", 1),
    ],
)
def test_failures_are_typed_and_only_passing_ones_are_tried_again(
    answers: Callable, loopback: ModuleType, answer: dict[str, Any], kind: str, sent: int
) -> None:
    server = answers(loopback.Answer(**answer))
    found = ask(client(server.url))
    assert isinstance(found, Failure)
    assert found.kind == kind
    assert len(server.seen) == sent
    if sent > 1:
        assert "(4 attempts)" in found.message


def test_a_message_shows_what_the_server_said(answers: Callable, loopback: ModuleType) -> None:
    server = answers(loopback.Answer(status=400, body={"error": "context of 9000 tokens"}))
    assert "status 400" in ask(client(server.url)).message
    assert "context of 9000 tokens" in ask(client(server.url)).message


def test_a_slow_server_is_a_timeout(answers: Callable, loopback: ModuleType) -> None:
    server = answers(loopback.Answer({"n": 1}, delay_s=1.0))
    found = ask(client(server.url, read_timeout_s=0.05, connect_timeout_s=0.05, retries=1))
    assert found.kind == "timeout"
    assert len(server.seen) == 2


def test_a_refused_connection_is_a_failure_with_the_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    found = ask(client(url))
    assert found.kind == "connection"
    assert url in found.message


@pytest.mark.parametrize(("header", "waits"), [("7", 7.0), ("900", 30.0), (None, None)])
def test_retry_after_is_honoured_up_to_the_cap(
    answers: Callable, loopback: ModuleType, header: str | None, waits: float | None
) -> None:
    headers = {"Retry-After": header} if header else {}
    server = answers(loopback.Answer(status=429, headers=headers), {"n": 1})
    made = client(server.url, backoff_cap_s=30.0)
    assert ask(made) == 1
    assert made.waited == [waits] if waits else 0.5 <= made.waited[0] <= 1.0


def test_requests_in_flight_are_bounded(serve: Callable, loopback: ModuleType) -> None:
    server = serve(lambda _: loopback.Answer({"n": 1}, delay_s=0.02))
    made = client(server.url, concurrency=3)
    requests = [Request("/ask", {"i": i}) for i in range(20)]
    assert asyncio.run(made.ask_all(requests, [number] * 20)) == [1] * 20
    assert server.peak == 3


def test_addresses_take_turns_and_a_dead_one_costs_nothing(answers: Callable) -> None:
    one, two = answers({"n": 1}), answers({"n": 2})
    made = client(one.url, f"http://127.0.0.1:{free_port()}", two.url, url_failures=1)
    found = [ask(made, Request("/ask", {"i": i})) for i in range(9)]
    assert {*found} == {1, 2}
    assert len(one.seen) + len(two.seen) == 9
    assert made.counts["retried"] == 1, "the dead address was asked again although it rests"


def test_works_in_several_event_loops_and_closes_its_connections(answers: Callable) -> None:
    server = answers({"n": 1})
    made = client(server.url)

    async def many() -> list[int | Failure]:
        requests = [Request("/ask", {"i": i}) for i in range(10)]
        return await made.ask_all(requests, [number] * 10)

    assert asyncio.run(many()) == asyncio.run(many()) == [1] * 10
    for _ in range(100):
        if server.opened == server.closed:
            break
        asyncio.run(asyncio.sleep(0.02))
    assert server.opened == server.closed > 0


def test_the_token_is_sent_and_never_written_down(answers: Callable, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    server = answers({"n": 1})
    record = tmp_path / "record.jsonl"
    made = client(server.url, token_file=str(tmp_path / "token"), record=str(record))
    assert ask(made) == 1
    assert server.seen[0].headers["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in record.read_text()


# --- circuit breaker -----------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_dead_servers_fail_fast_and_come_back(answers: Callable, loopback: ModuleType) -> None:
    clock = Clock()
    server = answers(*[loopback.Answer(status=500)] * 3, {"n": 5})
    settings = EndpointConfig(
        urls=[server.url], retries=0, breaker_failures=3, breaker_rest_s=30, concurrency=1
    )
    made = GraderClient(settings, clock=clock)
    requests = [Request("/ask", {"i": i}) for i in range(8)]
    found = asyncio.run(made.ask_all(requests, [number] * 8))
    assert [f.kind for f in found] == ["server_error"] * 3 + ["circuit_open"] * 5
    assert len(server.seen) == 3
    assert server.url in found[-1].message
    clock.now = 31.0
    assert asyncio.run(made.ask_all(requests, [number] * 8)) == [5] * 8


def test_a_server_that_answers_nonsense_is_not_dead(answers: Callable) -> None:
    server = answers({"wrong": 1})
    made = client(server.url, breaker_failures=2)
    kinds = {ask(made, Request("/ask", {"i": i})).kind for i in range(6)}
    assert kinds == {"off_schema"}


# --- cache, record, replay -----------------------------------------------------------------------


def test_a_cache_hit_needs_no_request(answers: Callable, tmp_path: Path) -> None:
    server = answers({"n": 1}, {"n": 2})
    settings = {"cache": str(tmp_path / "sub" / "cache.sqlite"), "revision": "r1"}
    assert ask(client(server.url, **settings)) == 1
    again = client(server.url, **settings)
    assert ask(again) == 1
    assert len(server.seen) == 1
    assert again.counts == {"asked": 1, "cached": 1}
    assert ask(client(server.url, **{**settings, "revision": "r2"})) == 2


def test_failures_and_unusable_answers_are_not_cached(
    answers: Callable, loopback: ModuleType, tmp_path: Path
) -> None:
    server = answers(loopback.Answer(status=400), {"wrong": 1}, {"n": 3})
    made = client(server.url, cache=str(tmp_path / "c"), revision="r")
    assert [ask(made) for _ in range(2)] != [3, 3]
    assert ask(made) == ask(made) == 3
    assert len(server.seen) == 3


def test_a_cached_answer_that_can_no_longer_be_read_is_replaced(
    answers: Callable, tmp_path: Path
) -> None:
    server = answers({"n": 8})
    settings = {"cache": str(tmp_path / "c"), "revision": "r"}
    AnswerCache(settings["cache"]).put(request_key(QUESTION, "", "r"), {"old form": 1})
    assert [ask(client(server.url, **settings)) for _ in range(2)] == [8, 8]
    assert len(server.seen) == 1


def test_the_key_depends_on_everything_an_answer_depends_on() -> None:
    base = request_key(QUESTION, "m", "r")
    others = [
        request_key(QUESTION._replace(path="/other"), "m", "r"),
        request_key(QUESTION._replace(body={"text": "how are you!"}), "m", "r"),
        request_key(QUESTION._replace(sample=1), "m", "r"),
        request_key(QUESTION, "m2", "r"),
        request_key(QUESTION, "m", "r2"),
    ]
    assert len({base, *others}) == 6
    swapped = Request("/ask", {"b": 1, "a": {"d": 1, "c": 2}})
    ordered = Request("/ask", {"a": {"c": 2, "d": 1}, "b": 1})
    assert request_key(swapped, "m", "r") == request_key(ordered, "m", "r")


@pytest.mark.slow
def test_several_processes_may_write_one_cache(tmp_path: Path) -> None:
    path = str(tmp_path / "cache")
    code = (
        "import sys\n"
        "from rewards.serving.cassette import AnswerCache\n"
        "cache = AnswerCache(sys.argv[1])\n"
        "for i in range(int(sys.argv[2]), int(sys.argv[2]) + 50):\n"
        "    cache.put(str(i), {'n': i})\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, path, s]) for s in ("0", "30")]
    cache = AnswerCache(path)
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert [cache.get(str(i)) for i in range(80)] == [{"n": i} for i in range(80)]


def test_another_file_is_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("this is not a database, but it is long enough to look like one" * 20)
    with pytest.raises(ConfigError, match="cannot be opened"):
        AnswerCache(path)


def test_replay_answers_what_was_recorded_without_network(
    answers: Callable, loopback: ModuleType, tmp_path: Path
) -> None:
    server = answers({"n": 4}, loopback.Answer(status=400, body="too long"))
    path = str(tmp_path / "cassette.jsonl")
    recording = client(server.url, record=path)
    other = Request("/ask", {"text": "long"})
    recorded = [ask(recording), ask(recording, other)]
    server.stop()
    replaying = client(replay=path)
    assert [ask(replaying), ask(replaying, other)] == recorded
    unknown = ask(replaying, Request("/ask", {"text": "new"}))
    assert unknown.kind == "not_recorded"
    assert len(server.seen) == 2
    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert rows[0]["request"] == {"text": "how are you?"}
    assert rows[1]["failure"]["kind"] == "client_error"


@pytest.mark.slow
def test_a_torn_last_line_is_left_out_and_a_broken_one_refused(tmp_path: Path) -> None:
    good = json.dumps({"key": request_key(QUESTION, "", ""), "answer": {"n": 2}})
    path = tmp_path / "c.jsonl"
    path.write_text(f'{good}\n{{"key": "x"')
    assert ask(client(replay=str(path))) == 2
    path.write_text(f"nonsense\n{good}\n")
    with pytest.raises(ConfigError, match=r"c\.jsonl:1 is no recorded answer"):
        client(replay=str(path))
