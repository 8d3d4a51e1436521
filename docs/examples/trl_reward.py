"""MINT's reward as a reward function of TRL's GRPOTrainer.

    trainer = GRPOTrainer(model, reward_funcs=MintReward(), args=..., train_dataset=...)

The data set's prompts are chats that end with the user. Needs mint's core installation beside TRL,
in an environment without verl (verl 0.9.1 breaks where trl is installed).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mint import load_graders
from mint.library.grading import Chat, chat_rewards
from rewards.formula import RewardWeights


class MintReward:
    """Empathy and novelty of tactics, scaled among the replies to one prompt."""

    __name__ = "mint"  # what TRL calls it in its logs

    def __init__(self, weights: RewardWeights | None = None) -> None:
        self._graders, self._weights = load_graders(), weights

    def __call__(
        self,
        prompts: Sequence[Chat],
        completions: Sequence[Chat],
        completion_ids: Sequence[Sequence[int]],
        **columns: Any,
    ) -> list[float]:
        """One reward a reply; TRL hands over whole groups, siblings side by side."""
        replies = [completion[-1]["content"] for completion in completions]
        lengths = [len(ids) for ids in completion_ids]
        return chat_rewards(prompts, replies, lengths, graders=self._graders, weights=self._weights)
