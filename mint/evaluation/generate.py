"""Replies of a model directory to chat prompts, with Hugging Face transformers.

Every reply draws its random numbers from its own generator, seeded by (seed, key of the prompt,
sample number): a reply does not depend on which others share its batch, and two models answering
the same prompt use the same numbers, which sharpens the paired comparison of before and after.
"""

from __future__ import annotations

import gc
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from mint.config.evaluation import EvaluationConfig, GenerationConfig
from mint.evaluation.batches import Load, model_size, plan_batches
from mint.evaluation.generation import Generation, Prompt
from mint.evaluation.generator import Generator, cannot_load, eos_ids
from mint.machine.limits import GIB, read_memory
from rewards.quiet import quiet_loading

_MEMORY_SHARE = 0.8


class ReplyGenerator(Generator):
    """A policy loaded by transformers: one GPU, or the CPU."""

    def __init__(self, model_path: str | Path, settings: GenerationConfig) -> None:
        """Raises ConfigError when the model cannot be loaded."""
        super().__init__(model_path, settings)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        try:
            with quiet_loading():
                self.model: Any = AutoModelForCausalLM.from_pretrained(model_path, dtype=dtype)
        except (OSError, ValueError) as error:
            raise cannot_load(model_path, error) from error
        self.model.to(self.device).eval()
        config = self.model.config.get_text_config()
        self._size = model_size(config, dtype.itemsize)
        longest = getattr(config, "max_position_embeddings", self.tokenizer.model_max_length)
        self.context = int(longest)
        self.eos_ids = eos_ids(self.model.generation_config, self.tokenizer)
        pad_id = self.tokenizer.pad_token_id
        self.pad_id = self.eos_ids[0] if pad_id is None else pad_id

    def close(self) -> None:
        self.model = None
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def batches(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[int, list[Generation]]]]:
        samples = self.settings.samples_per_prompt
        texts = [self.render(prompt) for prompt in prompts]
        encoded = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        planned = plan_batches(
            [len(ids) for ids in encoded],
            self._size,
            Load(samples, self.settings.max_new_tokens),
            self.settings.batch_size,
            self._free_bytes(),
        )
        for batch in planned:
            tokens = self._sample([encoded[i] for i in batch], [prompts[i].key for i in batch])
            yield [
                (
                    index,
                    [
                        self.decode(texts[index], row)
                        for row in tokens[position * samples : (position + 1) * samples]
                    ],
                )
                for position, index in enumerate(batch)
            ]

    def tokens(self, ids: list[int], key: str) -> Iterator[list[int]]:
        uniforms = reply_uniforms([key], self.settings).to(self.device)
        cache, made = DynamicCache(), []
        new = torch.tensor([ids], device=self.device)
        mask = torch.ones_like(new)
        for step in range(min(self.settings.max_new_tokens, self.context - len(ids))):
            with torch.inference_mode():
                logits = self._forward(new, mask, cache)
                new = choose_tokens(logits, uniforms[:1, step], self.settings)[:, None]
                mask = torch.cat([mask, mask.new_ones(1, 1)], dim=1)
            made.append(int(new))
            yield made
            if made[-1] in self.eos_ids:
                return

    def _free_bytes(self) -> int:
        """Memory that a batch may take; the rest is for what the allocator splits up."""
        if self.device == "cuda":
            torch.cuda.empty_cache()
            return int(_MEMORY_SHARE * torch.cuda.mem_get_info()[0])
        return int(_MEMORY_SHARE * read_memory().available_gib * GIB)

    @torch.inference_mode()
    def _sample(self, prompts: list[list[int]], keys: list[str]) -> list[list[int]]:
        """New tokens of each reply, prompt by prompt, sample by sample; an end token is kept.

        A prompt is read once for all its samples, and replies leave the batch when they end: both
        save more than half of the time `model.generate` takes for the same tokens.
        """
        samples = self.settings.samples_per_prompt
        ids, mask = self._pad(prompts)
        cache = DynamicCache()
        logits = self._forward(ids, mask, cache)
        cache.batch_repeat_interleave(samples)
        logits, mask = (x.repeat_interleave(samples, dim=0) for x in (logits, mask))
        uniforms = reply_uniforms(keys, self.settings).to(self.device)
        eos_ids = torch.tensor(self.eos_ids, device=self.device)
        live = torch.arange(len(mask), device=self.device)
        output = torch.full((len(mask), self.settings.max_new_tokens), -1, device=self.device)
        for step in range(self.settings.max_new_tokens):
            tokens = choose_tokens(logits, uniforms[live, step], self.settings)
            output[live, step] = tokens
            going = ~torch.isin(tokens, eos_ids)
            if step + 1 == self.settings.max_new_tokens or not going.any():
                break
            if not going.all():
                kept = going.nonzero()[:, 0]
                cache.batch_select_indices(kept)
                live, tokens, mask = live[kept], tokens[kept], mask[kept]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            logits = self._forward(tokens[:, None], mask, cache)
        return [[token for token in row if token >= 0] for row in output.tolist()]

    def _pad(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Left-padded token ids and attention mask, each [prompts, longest prompt]."""
        length = max(map(len, prompts))
        ids = torch.tensor([[self.pad_id] * (length - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (length - len(p)) + [1] * len(p) for p in prompts])
        return ids.to(self.device), mask.to(self.device)

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        """Next-token logits [rows, vocabulary] after `ids`, the last columns that `mask` covers."""
        positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]


def choose_tokens(
    logits: torch.Tensor, uniforms: torch.Tensor, settings: EvaluationConfig
) -> torch.Tensor:
    """The next token of each row [rows]: the likeliest at temperature 0, else sampled.

    Sampling is by inversion: the token at which the cumulative probability of row i passes
    `uniforms[i]` in [0, 1).
    """
    if settings.temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits.double() / settings.temperature, dim=-1)
    if settings.top_p < 1:
        probabilities = _nucleus(probabilities, settings.top_p)
    cumulative = probabilities.cumsum(dim=-1)
    target = uniforms[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, target, right=True)[:, 0]
    return tokens.clamp(max=logits.shape[-1] - 1)


def reply_uniforms(keys: Sequence[str], settings: EvaluationConfig) -> torch.Tensor:
    """[len(keys) * samples_per_prompt, max_new_tokens] uniform numbers in [0, 1), float64.

    A row depends on seed, key and sample number only.
    """
    rows = [
        np.random.default_rng([settings.seed, zlib.crc32(key.encode()), sample]).random(
            settings.max_new_tokens
        )
        for key in keys
        for sample in range(settings.samples_per_prompt)
    ]
    return torch.from_numpy(np.stack(rows))


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """`probabilities` with all but the smallest set of tokens that reaches `top_p` set to 0."""
    ordered, tokens = probabilities.sort(dim=-1, descending=True)
    before = ordered.cumsum(dim=-1) - ordered
    kept = torch.where(before < top_p, ordered, 0.0)
    return torch.zeros_like(probabilities).scatter_(1, tokens, kept)
