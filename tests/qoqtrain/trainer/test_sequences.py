"""Micro-batches, and log-probabilities of responses against one unpadded forward pass each."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    micro_batches,
    padded,
    response_logits,
    token_distribution,
    token_logprobs,
)


@given(
    lengths=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9)), min_size=1, max_size=20),
    count=st.integers(1, 8),
)
def test_every_example_counts_once_whatever_the_number_of_micro_batches(lengths, count):
    examples = [Example(row, (1,) * tokens) for row, (_, tokens) in enumerate(lengths)]
    found = micro_batches(examples, [prompt for prompt, _ in lengths], count)
    assert len(found) == count
    assert all(found)
    counted = [example for batch in found for example in batch if example.counts]
    assert sorted(example.row for example in counted) == list(range(len(lengths)))
    sizes = [sum(example.counts for example in batch) for batch in found]
    assert max(sizes) - min(sizes) <= 1


def test_no_example_is_refused():
    with pytest.raises(UsageError):
        micro_batches([], [], 2)


def test_padding_by_hand():
    found = padded([Example(0, (5, 6, 7), 0.5), Example(1, (8,), -1.0, counts=False)], pad=9)
    assert found.tokens.tolist() == [[5, 6, 7], [8, 9, 9]]
    assert found.present.tolist() == [[True] * 3, [True, False, False]]
    assert found.mask.tolist() == [[True] * 3, [False] * 3]
    assert found.advantages.tolist() == [0.5, -1.0]


@dataclass(frozen=True)
class Bare:
    """A policy that forwards as an engine does."""

    policy: Any

    @property
    def device(self):
        return torch.device("cpu")

    def forward(self, **inputs):
        return self.policy(**inputs)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_log_probabilities_do_not_depend_on_what_shares_the_batch(demo, family):
    """Images, several images, ECGs and plain prompts of different lengths in one batch."""
    torch.set_num_threads(1)
    stream = qoqdata.open(demo).stream("train", images="bytes", shuffle=False, epochs=1, workers=0)
    chosen: dict[tuple, Any] = {}
    for record in stream:
        kind = (record["domain"], len(record["images"] or ()), record["ecg"] is not None)
        chosen.setdefault(kind, record)
    policy, processor = tiny_policy(family)
    collator = Collator(processor)
    rows = collator.rows(list(chosen.values()))
    kinds = {(row.grid is not None and len(row.grid) > 1, row.ecg is not None) for row in rows}
    assert {(True, False), (False, True), (False, False)} <= kinds
    torch.manual_seed(0)
    examples = [
        Example(row, tuple(torch.randint(20, 250, (3 + row % 4,)).tolist()))
        for row in range(len(rows))
    ]
    bare = Bare(policy)
    with torch.no_grad():
        together = padded(examples, processor.pad_token_id)
        logits = response_logits(bare, collator, rows, examples, together)
        found = token_logprobs(logits, together.tokens, temperature=0.7)
        for place, example in enumerate(examples):
            batch = collator.batch([rows[example.row]])
            tokens = torch.tensor([example.tokens])
            whole = policy(**batch.with_responses(tokens, torch.ones_like(tokens)))
            start = batch.input_ids.shape[1]
            table = torch.log_softmax(whole[0].double() / 0.7, -1)
            expected = [table[start - 1 + t, token] for t, token in enumerate(example.tokens)]
            torch.testing.assert_close(
                found[place, : len(expected)].double(), torch.stack(expected), atol=2e-4, rtol=1e-4
            )


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
    found = token_logprobs(logits, tokens, temperature=temperature, chunk=chunk)
    expected = naive(logits, tokens, temperature)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    weights = torch.randn(3, 7)
    (ours,) = torch.autograd.grad((found * weights).sum(), logits)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), logits)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_half_precision_logits_are_summed_in_float32():
    logits = (20 * torch.randn(1, 4, 1000)).bfloat16()
    tokens = torch.randint(0, 1000, (1, 4))
    found = token_logprobs(logits, tokens)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), naive(logits, tokens, 1.0), rtol=1e-5, atol=1e-4)


def test_no_tokens_and_other_shapes():
    assert token_logprobs(torch.zeros(2, 0, 5), torch.zeros(2, 0).long()).shape == (2, 0)
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
