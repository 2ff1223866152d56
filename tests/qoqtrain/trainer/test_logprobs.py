"""Chunked log-probabilities against log_softmax over the whole vocabulary."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from qoqdata.errors import UsageError  # noqa: E402
from qoqtrain.trainer.logprobs import token_logprobs  # noqa: E402


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
