"""MINT's reward as a task of verifiers (0.4), for prime-rl.

The reward of a rollout is the composite on fixed scales, 0 to 2 with the default weights: prime-rl
compares the rollouts of a group itself. Subclass `MintTask` in a taskset of your own. Needs mint's
core installation beside verifiers, in an environment without verl.
"""

from __future__ import annotations

import functools

import verifiers.v1 as vf

from mint import load_graders
from mint.library.grading import score_chats
from rewards.formula import RewardWeights, raw_reward

WEIGHTS = RewardWeights()
graders = functools.cache(load_graders)


class MintTask(vf.Task[vf.TaskData]):
    """A supporter's next reply to a conversation."""

    @vf.reward
    async def mint(self, trace: vf.Trace) -> float:
        """The composite; a grader that fails is an error of the rollout, never a number."""
        chat = [{"role": m.role, "content": str(m.content)} for m in trace.messages]
        lengths = [trace.num_output_tokens]
        (signals,) = await score_chats([chat[:-1]], [trace.last_reply], lengths, graders(), WEIGHTS)
        value = raw_reward(signals, WEIGHTS)
        if value is None:
            raise ValueError(f"the reply could not be graded: {signals.reason}")
        return value
