"""When the client waits, rests and gives up; settings and tokens that cannot be used."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rewards.errors import ConfigError
from rewards.serving.client import GraderClient, token_headers
from rewards.serving.retry import backoff_s, retry_after_s
from rewards.serving.settings import EndpointConfig
from rewards.serving.urls import Breaker, UrlPool


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_breaker_opens_probes_and_closes() -> None:
    clock = Clock()
    breaker = Breaker(2, 30.0, clock)
    assert breaker.admit()
    breaker.failed()
    assert breaker.admit(), "one failure is not enough"
    breaker.failed()
    assert not breaker.admit()
    clock.now = 31.0
    assert breaker.admit(), "after the rest one probe is let through"
    assert not breaker.admit(), "but only one"
    breaker.failed()
    clock.now = 60.0
    assert not breaker.admit(), "a failed probe starts the rest anew"
    clock.now = 62.0
    assert breaker.admit()
    breaker.abandoned()
    assert breaker.admit(), "a cancelled probe leaves its place to another"
    breaker.succeeded()
    assert breaker.admit()
    assert breaker.admit()


def test_pool_prefers_the_longest_rested_when_all_rest() -> None:
    clock = Clock()
    pool = UrlPool(["http://a", "http://b"], 1, 10.0, clock)
    pool.failed("http://a")
    clock.now = 5.0
    pool.failed("http://b")
    assert [pool.pick() for _ in range(3)] == ["http://a"] * 3
    clock.now = 16.0
    assert {pool.pick() for _ in range(2)} == {"http://a", "http://b"}


@pytest.mark.parametrize("content", [None, "", "\n", "zwei wörter", "a\tb"])
def test_a_bad_token_file_is_a_clear_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=f"token_file {path}"):
        token_headers(str(path))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"urls": ["localhost:80"]}, "served.urls must be http://HOST:PORT"),
        ({"urls": ["http://a:1"], "concurrency": 0}, "served.concurrency must be >= 1, got 0"),
        ({"urls": ["http://a:1"], "read_timeout_s": 0}, "read_timeout_s must be > 0"),
        ({"urls": ["http://a:1"], "retries": -1}, "retries must be >= 0"),
        ({"urls": ["http://a:1"], "backoff_s": float("nan")}, "backoff_s must be >= 0"),
        ({"urls": ["http://a:1"], "record": "a", "replay": "b"}, "cannot both be set"),
        ({"urls": ["http://a:1"], "cache": "a"}, "needs served.revision"),
        ({}, "served.urls must be set"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        GraderClient(EndpointConfig(**changes))


def test_back_off_doubles_up_to_the_cap_and_is_seeded() -> None:
    waits = [backoff_s(n, 1.0, 8.0, random.Random(5)) for n in range(6)]
    assert waits == [backoff_s(n, 1.0, 8.0, random.Random(5)) for n in range(6)]
    for wait, full in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert full / 2 <= wait <= full


@pytest.mark.slow
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("12", 12.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    now = datetime(2015, 10, 21, 7, 28, tzinfo=UTC)
    assert retry_after_s(header, now) == seconds
