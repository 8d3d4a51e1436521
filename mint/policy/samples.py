"""What a policy says to a few held-out prompts, for its card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from mint.policy.replies import decode_reply
from mint.policy.text import Dialogue, encode_turns


def sampling(tokenizer: Any, temperature: float = 1.0) -> GenerationConfig:
    """Plain sampling that ends with the tokenizer's end of a message."""
    return GenerationConfig(
        do_sample=True,
        temperature=temperature,
        top_k=0,
        top_p=1.0,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


@torch.no_grad()
def sample_replies(
    model: Any, tokenizer: Any, pool: Sequence[Dialogue], seed: int, count: int = 8
) -> list[dict[str, Any]]:
    """Replies to `count` prompts spread over `pool`, at most 80 tokens each, as the model is set to
    sample."""
    model.eval()
    torch.manual_seed(seed)
    samples = []
    for dialogue in pool[:: max(1, len(pool) // count)][:count]:
        prompt = encode_turns(tokenizer, [dialogue])[0].prompt
        output = model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=80,
        )[0, len(prompt) :].tolist()
        samples.append(
            {
                "system": dialogue.messages[0]["content"],
                "seeker": dialogue.messages[-1]["content"],
                "reply": decode_reply(tokenizer, "", output),
                "tokens": len(output),
                "ended": output[-1] == tokenizer.eos_token_id,
            }
        )
    return samples
