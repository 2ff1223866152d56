"""Micro-batches, and log-probabilities of responses against one unpadded forward pass each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import qoqdata  # noqa: E402
from qoqdata.errors import UsageError  # noqa: E402
from qoqtrain.data.collate import Collator  # noqa: E402
from qoqtrain.model.tiny import tiny_policy  # noqa: E402
from qoqtrain.trainer.step.sequences import (  # noqa: E402
    Example,
    in_step,
    micro_batches,
    padded,
    response_distribution,
    token_distribution,
    token_logprobs,
)


@given(
    lengths=st.lists(
        st.tuples(st.integers(1, 90), st.lists(st.integers(1, 9), min_size=1, max_size=5)),
        min_size=1,
        max_size=12,
    ),
    most=st.integers(1, 8),
    tokens=st.none() | st.integers(1, 400),
    shared=st.booleans(),
)
def test_every_example_is_in_one_micro_batch_that_is_not_too_large(lengths, most, tokens, shared):
    prompts = [prompt for prompt, _ in lengths]
    examples = [Example(row, (1,) * n) for row, (_, many) in enumerate(lengths) for n in many]
    cuts = micro_batches(examples, prompts, sequences=most, tokens=tokens, shared=shared)
    assert sorted(map(id, (e for cut in cuts for e in cut))) == sorted(map(id, examples))
    for cut in cuts:
        if tokens is None:
            assert len(cut) <= most
        elif len(cut) > 1:
            rows = {e.row for e in cut} if shared else range(len(cut))
            by_row = (
                [[e for e in cut if e.row == row] for row in rows] if shared else [[e] for e in cut]
            )
            widths = [prompts[part[0].row] + sum(len(e.tokens) for e in part) for part in by_row]
            assert len(widths) * max(widths) <= tokens
    if tokens is None:
        assert len(cuts) == math.ceil(len(examples) / most)
    # Responses to one row lie together.
    order = [e.row for cut in cuts for e in cut]
    assert sum(a != b for a, b in pairwise(order)) == len(lengths) - 1


def test_ranks_with_fewer_micro_batches_fill_up_with_what_does_not_count():
    one, two = Example(0, (1, 2)), Example(1, (1,))
    found = in_step([[one], [two]], 3)
    assert found[:2] == [[one], [two]]
    assert [(e.row, e.counts) for e in found[2]] == [(1, False)]


def test_no_example_is_refused():
    with pytest.raises(UsageError):
        in_step([], 2)


def test_padding_by_hand():
    found = padded([Example(0, (5, 6, 7), 0.5), Example(1, (8,), -1.0, counts=False)], pad=9)
    assert found.tokens.tolist() == [[5, 6, 7], [8, 9, 9]]
    assert found.present.tolist() == [[True] * 3, [True, False, False]]
    assert found.mask.tolist() == [[True] * 3, [False] * 3]
    assert found.advantages.tolist() == [0.5, -1.0]


@dataclass(frozen=True)
class Bare:
    """A policy that forwards as an engine does; `shares_prompts` as an engine says it."""

    policy: Any
    shares_prompts: bool

    @property
    def device(self):
        return torch.device("cpu")

    def forward(self, **inputs):
        return self.policy(**inputs)


@pytest.fixture(scope="module")
def kinds(demo) -> list[Any]:
    """A record each of images, several images, ECGs and none of them."""
    torch.set_num_threads(1)
    stream = qoqdata.open(demo).stream("train", images="bytes", shuffle=False, epochs=1, workers=0)
    chosen: dict[tuple, Any] = {}
    for record in stream:
        kind = (record["domain"], len(record["images"] or ()), record["ecg"] is not None)
        chosen.setdefault(kind, record)
    return list(chosen.values())


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("shares", [True, False])
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_log_probabilities_do_not_depend_on_what_shares_the_batch(kinds, family, shares, attention):
    """Two or three responses to prompts of different lengths in one batch, in any order."""
    policy, processor = tiny_policy(family)
    policy.vlm.set_attn_implementation(attention)
    assert policy.shares_prompts
    collator = Collator(processor)
    rows = collator.rows(kinds)
    held = {(row.grid is not None and len(row.grid) > 1, row.ecg is not None) for row in rows}
    assert {(True, False), (False, True), (False, False)} <= held
    torch.manual_seed(0)
    examples = [
        Example(row, tuple(torch.randint(20, 250, (1 + (row + copy) % 4,)).tolist()))
        for copy in range(3)
        for row in range(len(rows))
        if copy < 2 or row % 2
    ]
    pixels: list[int] = []
    embedding = policy.core.visual.patch_embed
    embedding.register_forward_pre_hook(lambda _, given: pixels.append(len(given[0])))
    with torch.no_grad():
        found, responses = response_distribution(
            Bare(policy, shares), collator, rows, examples, temperature=0.7
        )
        if shares:
            assert pixels == [sum(len(row.pixel_values) for row in rows if row.grid is not None)]
        assert found.logprobs.shape == responses.tokens.shape
        for place, example in enumerate(examples):
            batch = collator.batch([rows[example.row]])
            tokens = torch.tensor([example.tokens])
            whole = policy(**batch.with_responses(tokens, torch.ones_like(tokens)))
            start = batch.input_ids.shape[1]
            table = torch.log_softmax(whole[0].double() / 0.7, -1)[start - 1 : -1]
            expected = table.gather(-1, tokens[0, :, None])[:, 0]
            spread = -(table.exp() * table).sum(-1)
            own = slice(0, len(example.tokens))
            close = {"atol": 2e-4, "rtol": 1e-4}
            torch.testing.assert_close(found.logprobs[place, own].double(), expected, **close)
            torch.testing.assert_close(found.entropies[place, own].double(), spread, **close)


def test_shared_prompts_give_the_gradient_of_prompts_apart(kinds):
    policy, processor = tiny_policy("qwen3_vl")
    collator = Collator(processor)
    rows = collator.rows(kinds[:3])
    torch.manual_seed(0)
    examples = [
        Example(row, tuple(torch.randint(20, 250, (4 + copy,)).tolist()))
        for row in range(len(rows))
        for copy in range(2)
    ]
    gradients = []
    for shares in (True, False):
        policy.zero_grad()
        found, responses = response_distribution(Bare(policy, shares), collator, rows, examples)
        weights = torch.arange(1.0, 1 + len(examples))[:, None] * responses.mask
        (found.logprobs * weights - 0.1 * found.entropies * responses.mask).sum().backward()
        gradients.append({name: p.grad.clone() for name, p in policy.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-3, atol=1e-4)


def naive(logits, tokens, temperature):
    table = torch.log_softmax(logits.double() / temperature, dim=-1)
    return torch.stack(
        [
            torch.stack([table[b, t, tokens[b, t]] for t in range(tokens.shape[1])])
            for b in range(tokens.shape[0])
        ]
    )


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_equal_to_log_softmax_with_any_chunk(chunk, temperature):
    torch.manual_seed(0)
    logits = (8 * torch.randn(3, 7, 11)).requires_grad_()
    tokens = torch.randint(0, 11, (3, 7))
    found = token_logprobs(logits, tokens, temperature=temperature, chunk=chunk).logprobs
    expected = naive(logits, tokens, temperature)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    weights = torch.randn(3, 7)
    (ours,) = torch.autograd.grad((found * weights).sum(), logits)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), logits)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_half_precision_logits_are_summed_in_float32():
    logits = (20 * torch.randn(1, 4, 1000)).bfloat16()
    tokens = torch.randint(0, 1000, (1, 4))
    found = token_logprobs(logits, tokens).logprobs
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), naive(logits, tokens, 1.0), rtol=1e-5, atol=1e-4)


def test_no_tokens_and_other_shapes():
    empty = token_logprobs(torch.zeros(2, 0, 5), torch.zeros(2, 0).long())
    assert empty.logprobs.shape == (2, 0)
    with pytest.raises(UsageError, match="tokens"):
        token_logprobs(torch.zeros(2, 3, 5), torch.zeros(2, 2).long())


def test_entropies_and_both_gradients_are_torch_s():
    torch.manual_seed(0)
    tokens = torch.randint(0, 11, (2, 5))
    one = torch.randn(2, 5, 11, requires_grad=True)
    other = one.detach().clone().requires_grad_()
    found = token_distribution(one, tokens, temperature=0.7, chunk=2)
    plain = torch.distributions.Categorical(logits=other / 0.7)
    torch.testing.assert_close(found.entropies, plain.entropy())
    torch.testing.assert_close(found.logprobs, plain.log_prob(tokens))
    slopes = torch.randn(2, 5)
    (found.logprobs * slopes - 0.3 * found.entropies * slopes.square()).sum().backward()
    (plain.log_prob(tokens) * slopes - 0.3 * plain.entropy() * slopes.square()).sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_a_token_that_cannot_be_drawn_has_no_part_in_the_entropy():
    logits = torch.tensor([[[0.0, 0.0, -torch.inf]]], requires_grad=True)
    found = token_distribution(logits, torch.tensor([[0]]))
    assert found.entropies.item() == pytest.approx(math.log(2))
    found.entropies.sum().backward()
    assert torch.isfinite(logits.grad).all()
