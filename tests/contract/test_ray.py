"""What mint relies on in Ray, on a real local cluster."""

from __future__ import annotations

import pytest

from rewards.errors import ConfigError

pytest.importorskip("ray", reason="needs the cpu or gpu extra")
pytestmark = pytest.mark.contract


def test_the_runner_stays_on_the_drivers_machine_and_is_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a real Ray of this process: the second runner is refused, the first keeps its place."""
    import ray

    from mint.verl import runner

    class Sleeper:
        def where(self) -> str:
            return str(ray.get_runtime_context().get_node_id())

    monkeypatch.setattr(runner, "MintTaskRunner", Sleeper)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # nobody's; a local start must not look
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        first = runner.RunnerHere().options(runtime_env={}).remote()
        here = ray.get_runtime_context().get_node_id()
        assert ray.get(first.where.remote(), timeout=60) == here
        with pytest.raises(ConfigError, match="another run of verl or mint"):
            runner.RunnerHere().remote()
    finally:
        ray.shutdown()
