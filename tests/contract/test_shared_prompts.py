"""Prompts once give what one plain forward and backward pass a reply gives, in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM

from mint.policy.sharing import ARCHITECTURES, why_not_shared
from mint.verl import shared_attention, token_scores
from mint.verl.shared_engine import scores_by_groups
from mint.verl.shared_layout import Row, distinct, lay_out, micro_batches, read_rows, split_further
from mint.verl.token_scores import Asked

pytestmark = pytest.mark.contract
WORDS = 97
SIZES = {
    "vocab_size": WORDS,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "attention_dropout": 0.0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
RAGGED = {7: (4, 9, 1, 6), 12: (3, 3), 5: (8,), 30: (1, 1, 2, 12, 5)}
"""Tokens of a prompt -> of its replies."""


class Batch(NamedTuple):
    ids: torch.Tensor
    starts: list[int]
    mask: torch.Tensor
    mask_starts: list[int]

    @property
    def rows(self) -> list[Row]:
        return read_rows(*self)


def batch(groups: dict[int, Sequence[int]], scored: float = 1.0, seed: int = 0) -> Batch:
    """Rows in a random order; each reply token is scored with that probability."""
    random = torch.Generator().manual_seed(seed)

    def tokens(count: int) -> torch.Tensor:
        return torch.randint(3, WORDS, (count,), generator=random)

    rows = []
    for length, replies in groups.items():
        prompt = tokens(length)
        rows += [(torch.cat([prompt, tokens(reply)]), reply) for reply in replies]
    rows = [rows[n] for n in torch.randperm(len(rows), generator=random).tolist()]
    masks = [torch.rand(reply, generator=random) < scored for _, reply in rows]
    starts = torch.tensor([0, *(len(row) for row, _ in rows)]).cumsum(0).tolist()
    mask_starts = torch.tensor([0, *(reply for _, reply in rows)]).cumsum(0).tolist()
    return Batch(torch.cat([row for row, _ in rows]), starts, torch.cat(masks), mask_starts)


def build(architecture: str = "qwen3", **changes: Any) -> Any:
    config = AutoConfig.for_model(architecture, **{**SIZES, **changes})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").float()
    for parameter in model.parameters():  # far from the start, where attention is nearly uniform
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.train()


class Result(NamedTuple):
    """At the place of the N tokens before each scored one."""

    log_probs: torch.Tensor
    entropy: torch.Tensor
    gradients: dict[str, torch.Tensor]


def weights(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    at = torch.arange(count).float()
    return at.sin() + 0.3, at.cos() / 7


def plainly(model: Any, data: Batch, temperature: float = 1.0) -> Result:
    """One forward and backward pass a reply, every token in it, by transformers itself."""
    model.zero_grad()
    log_probs, entropy = torch.zeros(2, len(data.ids))
    for_log_prob, for_entropy = weights(len(data.ids))
    for b, start in enumerate(data.starts[:-1]):
        end = data.starts[b + 1]
        mask = data.mask[data.mask_starts[b] : data.mask_starts[b + 1]]
        if not mask.any():
            continue
        row, places = (
            data.ids[start:end],
            torch.arange(end - start - len(mask) - 1, end - start - 1)[mask],
        )
        logits = model(row[None], use_cache=False).logits[0, places] / temperature
        found = -cross_entropy(logits, row[places + 1], reduction="none")
        all_log_probs = logits.log_softmax(-1)
        spread = -(all_log_probs.exp() * all_log_probs).sum(-1)
        home = start + places
        (found * for_log_prob[home] + spread * for_entropy[home]).sum().backward()
        log_probs[home], entropy[home] = found.detach(), spread.detach()
    return Result(log_probs, entropy, gradients(model))


def shared(
    model: Any, data: Batch, parts: list[list[int]] | None = None, temperature: Any = 1.0
) -> Result:
    """The same with prompts once, micro-batch by micro-batch; changes the model's attention."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    scores_by_groups(base)
    model.zero_grad()
    log_probs, entropy = torch.zeros(2, len(data.ids))
    for_log_prob, for_entropy = weights(len(data.ids))
    for part in parts or [list(range(len(data.rows)))]:
        layout = lay_out([data.rows[n] for n in part])
        home = layout.home_R
        found = model(
            input_ids=data.ids[layout.source_T][None],
            position_ids=layout.positions_T[None],
            layout=layout,
            asked=Asked(data.ids[home + 1], temperature, True),
            use_cache=False,
        )
        (
            found.log_probs_R * for_log_prob[home] + found.entropy_R * for_entropy[home]
        ).sum().backward()
        log_probs[home], entropy[home] = found.log_probs_R.detach(), found.entropy_R.detach()
    return Result(log_probs, entropy, gradients(model))


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def assert_same(found: Result, expected: Result) -> None:
    assert expected.log_probs.abs().max() > 1
    assert (found.log_probs - expected.log_probs).abs().max() <= 1e-5
    assert (found.entropy - expected.entropy).abs().max() <= 1e-5
    assert found.gradients.keys() == expected.gradients.keys()
    flat = [
        torch.cat([g.flatten() for _, g in sorted(r.gradients.items())]) for r in (found, expected)
    ]
    assert flat[1].norm() > 0.1
    assert (flat[0] - flat[1]).norm() / flat[1].norm() <= 1e-5
    for name, gradient in expected.gradients.items():
        difference = (found.gradients[name] - gradient).norm()
        assert difference <= 1e-4 * gradient.norm() + 1e-6 * flat[1].norm(), name


VARIANTS = [
    *((name, {}) for name in ARCHITECTURES),
    ("qwen3", {"tie_word_embeddings": True}),
    ("qwen2", {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
    (
        "gemma3_text",
        {
            "sliding_window": 6,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "num_hidden_layers": 4,
        },
    ),
    ("llama", {"num_key_value_heads": 4, "attention_bias": True}),
]


@pytest.mark.parametrize(("architecture", "changes"), VARIANTS)
@pytest.mark.parametrize("scored", [1.0, 0.5])
def test_shared_prompts_equal_plain_rows(
    architecture: str, changes: dict[str, Any], scored: float
) -> None:
    """Ragged groups, lone replies, replies of one token; with gaps: dialogues, failed replies."""
    data, model = batch(RAGGED, scored), build(architecture, **changes)
    assert why_not_shared(model.config.to_dict()) is None
    expected = plainly(model, data)
    assert_same(shared(model, data), expected)
    rows = data.rows
    parts = micro_batches(rows, 40)
    assert len(parts) > 1
    assert_same(shared(model, data, parts), expected)


def test_a_window_matters() -> None:
    data = batch({30: (3, 12)})
    narrow, wide = (
        plainly(build("gemma3_text", sliding_window=w, layer_types=["sliding_attention"] * 3), data)
        for w in (6, 100)
    )
    assert (narrow.log_probs - wide.log_probs).abs().max() > 1e-3


@pytest.mark.parametrize("most", [0, 2**22])
def test_long_replies_after_a_short_prompt(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in dialogues, where siblings share their first prompt only; and short ones row by row."""
    monkeypatch.setattr(shared_attention, "_MOST_SCORES", most)
    model = build()
    for groups in ({6: (40, 25, 90, 3)}, {50: (4, 4, 9)}):
        data = batch(groups, 0.6)
        assert_same(shared(model, data), plainly(build(), data))


def test_checkpointed_layers_give_the_same() -> None:
    data, model = batch(RAGGED), build()
    expected = plainly(model, data)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert_same(shared(model, data), expected)


def test_lora_gives_the_same() -> None:
    peft = pytest.importorskip("peft")
    model = build()
    model.enable_input_require_grads()
    lora = peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False
    )
    model = peft.get_peft_model(model, lora)
    data = batch(RAGGED)
    expected = plainly(model, data)
    assert expected.gradients
    assert all("lora" in name for name in expected.gradients)
    assert_same(shared(model, data), expected)


def test_temperatures() -> None:
    data, model = batch(RAGGED), build()
    expected = plainly(model, data, temperature=0.7)
    count = len(lay_out(data.rows).home_R)
    for temperature in (0.7, torch.full((count,), 0.7)):
        assert_same(shared(model, data, temperature=temperature), expected)


def test_the_fused_head_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """verl's torch form of it; the triton kernel needs a GPU (`python -m mint.bench part=gpu`)."""
    data, model = batch(RAGGED), build()
    expected = plainly(model, data, temperature=0.7)

    def head(hidden_RH: torch.Tensor, head: torch.nn.Linear, asked: Asked) -> Any:
        return token_scores.fused(hidden_RH, head.weight, asked, asked.temperature)

    monkeypatch.setattr("mint.verl.shared_engine.score", head)
    assert_same(shared(model, data, temperature=0.7), expected)


def test_logits_are_not_rounded_under_autocast() -> None:
    """Inputs are; a large logit in bfloat16 would be off by more than all layers before it."""
    torch.manual_seed(0)
    head = torch.nn.Linear(64, 500, bias=False)
    token_scores.scores_itself(head)
    hidden, labels = 20 * torch.randn(9, 64), torch.arange(9)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = token_scores.score(hidden, head, Asked(labels, 0.7, False))
    found.sum().backward()
    logits = hidden.bfloat16().double() @ head.weight.detach().bfloat16().double().T
    exact = torch.log_softmax(logits / 0.7, -1)[torch.arange(9), labels].float()
    assert torch.allclose(found, exact, atol=1e-4)
    coarse = torch.log_softmax(logits.bfloat16().double() / 0.7, -1)[torch.arange(9), labels]
    assert (coarse - exact).abs().max() > 0.01
    assert head.weight.grad is not None
    assert head.weight.grad.dtype == torch.float32


def test_the_kernel_gets_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch's kernel is called with; the kernel itself needs a GPU."""
    from torch.nn.attention import varlen

    layout = lay_out(batch(RAGGED).rows)
    window = None

    def kernel(  # type: ignore[no-untyped-def]
        q, k, v, starts_q, starts_k, longest_q, longest_k, *, scale, window_size, enable_gqa
    ):
        assert (enable_gqa, window_size[1]) == (True, 0)
        assert starts_q.dtype == starts_k.dtype == torch.int32
        assert longest_q == max(starts_q.diff()), starts_q
        assert longest_k == max(starts_k.diff())
        assert starts_q[-1] == len(q)
        assert starts_k[-1] == len(k) == len(v)
        parts = []
        for a, b, c, d in zip(starts_q, starts_q[1:], starts_k, starts_k[1:], strict=False):
            seen = torch.ones(b - a, d - c).tril(d - c - (b - a))  # aligned at the last key
            if window_size[0] >= 0:
                seen = seen.triu(d - c - (b - a) - window_size[0])
            heads = (x.transpose(0, 1)[None] for x in (q[a:b], k[c:d], v[c:d]))
            out = torch.nn.functional.scaled_dot_product_attention(
                *heads, seen.bool(), scale=scale, enable_gqa=True
            )
            parts.append(out[0].transpose(0, 1))
        return torch.cat(parts)

    monkeypatch.setattr(varlen, "varlen_attn", kernel)
    T = len(layout.source_T)
    for window in (None, 6):
        inputs = [torch.randn(heads, T, 16, requires_grad=True) for heads in (4, 2, 2)]
        found = shared_attention.by_kernel(*inputs, layout.pieces, 0.25, window)
        expected = shared_attention.shared_attention(*inputs, layout, 0.25, window)
        assert found.shape == (T, 4, 16)
        assert torch.allclose(found, expected, atol=1e-6)
        weight = torch.randn_like(found)
        pairs = zip(
            *(torch.autograd.grad((x * weight).sum(), inputs) for x in (found, expected)),
            strict=True,
        )
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)
    assert layout.pieces is layout.pieces  # worked out once, not once a layer


def test_only_tokens_that_are_needed_are_laid_out() -> None:
    """Prompt once; no last token of a reply, nothing behind the last scored one."""
    ids = torch.tensor([5, 6, 7, 10, 11, 12, 5, 6, 7, 20, 21, 22, 5, 6, 7, 30])
    mask = torch.tensor([1, 1, 1, 1, 0, 0, 0])
    layout = lay_out(read_rows(ids, [0, 6, 12, 16], mask, [0, 3, 6, 7]))
    assert ids[layout.source_T].tolist() == [5, 6, 7, 10, 11]
    assert layout.positions_T.tolist() == [0, 1, 2, 3, 4]
    assert layout.scored_R.tolist() == [2, 3, 4, 2]
    assert ids[layout.home_R + 1].tolist() == [10, 11, 12, 20]
    assert layout.groups == ((0, 3, (2,)),)


def test_nothing_scored_is_still_one_pass() -> None:
    data = batch({5: (3, 2)}, scored=0.0)
    layout = lay_out(data.rows)
    assert (len(layout.source_T), layout.home_R.tolist()) == (5, [4])
    assert distinct(data.rows, [0, 1]) == 0


def test_a_row_without_a_prompt_is_an_error() -> None:
    with pytest.raises(ValueError, match="row 0 has 0 tokens of a prompt"):
        read_rows(torch.arange(3), [0, 3], torch.ones(3), [0, 3])


def test_micro_batches_keep_siblings_and_the_limit() -> None:
    data = batch({100: (20,) * 8, 90: (10,) * 8, 50: (5,) * 4, 10: (400, 3)})
    rows = data.rows
    for limit in (270, 300, 1000):
        parts = micro_batches(rows, limit)
        assert sorted(n for part in parts for n in part) == list(range(len(rows)))
        costs = [distinct(rows, part) for part in parts]
        alone = [len(part) for part, cost in zip(parts, costs, strict=True) if cost > limit]
        assert alone == ([1] if limit < 400 else [])  # the row of 410 tokens
        for part in parts:
            for prompt in {rows[n].prompt for n in part}:
                members = [n for n, row in enumerate(rows) if row.prompt == prompt]
                assert set(members) <= set(part) or distinct(rows, members) > limit
    # 252 + 162 + 66 + 411 tokens of the groups
    assert [len(part) for part in micro_batches(rows, 1000)] == [22]
    parts = micro_batches(rows, 300)
    more = split_further(rows, parts, len(parts) + 3)
    assert len(more) == len(parts) + 3
    assert sorted(n for part in more for n in part) == list(range(len(rows)))
    assert all(more)
    assert len(split_further(rows, parts, len(rows))) == len(rows)
    with pytest.raises(ValueError, match="22 rows cannot make 23"):
        split_further(rows, parts, 23)
