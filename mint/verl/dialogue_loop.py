"""verl's agent loop for one dialogue: policy and seeker talk, one training row comes out.

verl makes one loop object for each dialogue of a batch and runs all of them in one event loop, so
none waits for another. What they share (the seeker with its connections) is made once a process.
A dialogue that fails is a row with mask 0 that says why: an exception would make verl drop it in
silence.
"""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput

from mint.config.dialogue import DialogueRules
from mint.config.schema import MintConfig, mint_config
from mint.dialogue.build import build_seeker
from mint.dialogue.curriculum import preset_at
from mint.dialogue.people import person_of_row
from mint.dialogue.protocol import Lost, Person, Seeker, Who
from mint.dialogue.record import TalkRecord
from mint.dialogue.talk import converse
from mint.verl.dialogue_wire import DIALOGUE, SPANS
from mint.verl.token_policy import Room, TokenPolicy
from rewards.build import build_graders

_NODES = ("data", "seeker", "curriculum", "dialogue", "encoder", "tagger", "judge")
"""Nodes of mint's configuration that a dialogue depends on."""


class DialogueLoop(AgentLoopBase):
    """Registered in agent_loops.yaml, and only there."""

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        """One dialogue with the person of the data row."""
        mint = self.config.mint
        shared = _shared(
            json.dumps({name: OmegaConf.to_container(mint[name], resolve=True) for name in _NODES})
        )
        rules, rollout = shared.rules, self.rollout_config
        policy = TokenPolicy(
            self.continuous_token_builder,
            self.tokenizer,
            self.server_manager,
            sampling_params,
            Room(
                int(rollout.prompt_length),
                int(rollout.response_length),
                rollout.max_model_len and int(rollout.max_model_len),
                rules.min_turn_tokens,
            ),
            uuid4().hex,
        )
        info, step = row["extra_info"], int(row["global_steps"])
        if not info["person"]:
            # A safety probe among held-out people: one reply to a prompt that is given.
            await answer_probe(policy, row["raw_prompt"], rules.turn_tokens)
            return as_output(policy, None, step)
        person = person_of_row(info)
        seed = talk_seed(info, step)
        # Held-out people are always met by the seeker that the run measures with.
        seeker = shared.seeker(person.id, step if info["split"] == "train" else None)
        try:
            record = await converse(policy, seeker, person, seed, rules, _system(row["raw_prompt"]))
        except Exception as error:
            record = _broken(person, seed, seeker, error)
        return as_output(policy, record, step)


def talk_seed(info: Mapping[str, Any], step: int) -> int:
    """The seeker's seed: siblings share it; a person met again in training is in another mood,
    while held-out dialogues are the same at every validation."""
    seed = int(info["seed"])
    return seed if info["split"] != "train" else zlib.crc32(f"{seed}/{step}".encode())


def as_output(policy: TokenPolicy, record: TalkRecord | None, step: int) -> AgentLoopOutput:
    """The training row; `record` None: a single reply. verl stores only fields that are given here,
    and needs the weights' version of every row, of one without any reply too."""
    tokens = policy.tokens()
    lost = record is not None and record.lost is not None
    mask = [0] * len(tokens.mask) if lost else tokens.mask
    told = "" if record is None else json.dumps(record.as_json(), ensure_ascii=False)
    steps = policy.steps or [max(0, step - 1)]
    return AgentLoopOutput(
        prompt_ids=tokens.prompt,
        response_ids=tokens.response,
        response_mask=mask,
        response_logprobs=tokens.log_probs,
        num_turns=2 * len(policy.spans),
        metrics={"num_preempted": policy.num_preempted},
        extra_fields={
            DIALOGUE: told,
            SPANS: [list(span) for span in policy.spans],
            "min_global_steps": min(steps),
            "max_global_steps": max(steps),
            "turn_scores": [],
            "tool_rewards": [],
        },
    )


class _Shared:
    """What all dialogues of a process share."""

    def __init__(self, mint: MintConfig) -> None:
        self.rules: DialogueRules = mint.dialogue
        self._config = mint.seeker
        self._graders = functools.cache(
            lambda: build_graders(mint.encoder, mint.tagger, mint.judge)
        )
        self._stages = mint.curriculum.stages
        self._seekers: dict[str, Seeker] = {}

    def seeker(self, person: str, step: int | None) -> Seeker:
        """Who plays the person in a step; None: in a validation."""
        preset = self._config.preset
        if step is not None:
            preset = preset_at(self._stages, step, person, preset)
        if preset not in self._seekers:
            self._seekers[preset] = build_seeker(
                replace(self._config, preset=preset), self._graders
            )
        return self._seekers[preset]


@functools.lru_cache(maxsize=1)
def _shared(settings: str) -> _Shared:
    return _Shared(mint_config(OmegaConf.create({"mint": json.loads(settings)})))


async def answer_probe(policy: TokenPolicy, messages: Any, max_tokens: int) -> None:
    """Raises RuntimeError without a reply: verl drops the row then, and it counts as missing. As
    an empty reply it would be graded."""
    if not await policy.start(messages):
        raise RuntimeError("the prompt of a safety probe is longer than data.max_prompt_length")
    made = await policy.reply(max_tokens)
    if isinstance(made, Lost):
        raise RuntimeError(f"no reply to a safety probe: {made.kind}: {made.detail}")


def _system(messages: Any) -> str | None:
    first = next(iter(messages), None)
    return str(first["content"]) if first is not None and first["role"] == "system" else None


def _broken(person: Person, seed: int, seeker: Seeker, error: Exception) -> TalkRecord:
    told = f"{type(error).__name__}: {error}"[:300]
    return TalkRecord(
        person=person.id,
        intention=person.intention,
        seed=seed,
        seeker="",
        start=seeker.rules.start,
        opening=None,
        lost=Lost(Who.SERVER, "dialogue", "exception", told),
    )
