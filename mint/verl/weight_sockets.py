"""Imported, it has verl push weights through `mint.verl.weight_push`; it imports no vLLM itself."""

from __future__ import annotations

from verl.workers.rollout.base import _ROLLOUT_REGISTRY

_ROLLOUT_REGISTRY["vllm", "async"] = "mint.verl.weight_push.Sender"
