"""Whether the grader servers are alive, asked now and then during training."""

from __future__ import annotations

import time

from mint.config.schema import MintConfig
from rewards.build import probe_servers


class GraderHealth:
    """Asks the servers at most once in `mint.grading.health_interval_s`."""

    def __init__(self, config: MintConfig) -> None:
        self._config = config
        self._asked: float | None = None
        self._last: dict[str, float] = {}

    def metrics(self) -> dict[str, float]:
        """Share of servers that answer, slowest answer; {} without served graders."""
        now = time.monotonic()
        if self._asked is None or now - self._asked >= self._config.grading.health_interval_s:
            self._asked = now
            found = probe_servers(self._config.tagger, self._config.judge)
            if found:
                self._last = {
                    "grader/servers_up_frac": sum(server.up for server in found) / len(found),
                    "grader/servers_latency_s": max(server.latency_s for server in found),
                }
        return self._last
