"""Log-probabilities of sampled tokens, without a second copy of the vocabulary."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qoqdata.errors import UsageError

#: Positions whose logits are held in float32 at once: 512 x 151,936 are 0.3 GB a row.
CHUNK = 512


def token_logprobs(
    logits: Tensor, tokens: Tensor, *, temperature: float = 1.0, chunk: int = CHUNK
) -> Tensor:
    """(B, T) float32 log-probabilities of `tokens` (B, T) under `logits` (B, T, V) / temperature.

    Computed in float32 whatever the logits are, `chunk` positions at a time, and so is the
    gradient, which has the logits' dtype: beside the logits no tensor of their size is kept.
    Raises UsageError for shapes that do not fit.
    """
    if logits.shape[:2] != tokens.shape:
        raise UsageError(f"logits {tuple(logits.shape)} for tokens {tuple(tokens.shape)}")
    return _Chosen.apply(logits, tokens, temperature, chunk)


class _Chosen(torch.autograd.Function):
    """log softmax(logits / temperature) at the tokens; its gradient is (1[token] - softmax)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor, temperature: float, chunk: int) -> Tensor:
        picked = logits.new_empty(tokens.shape, dtype=torch.float32)
        norms = torch.empty_like(picked)
        for at in range(0, tokens.shape[1], chunk):
            part = slice(at, at + chunk)
            scaled = logits[:, part].float() / temperature
            norms[:, part] = scaled.logsumexp(-1)
            picked[:, part] = scaled.gather(-1, tokens[:, part, None])[..., 0]
        ctx.save_for_backward(logits, tokens, norms)
        ctx.temperature, ctx.chunk = temperature, chunk
        return picked - norms

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None, None]:
        logits, tokens, norms = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        for at in range(0, tokens.shape[1], ctx.chunk):
            part = slice(at, at + ctx.chunk)
            scaled = logits[:, part].float() / ctx.temperature
            slope = slopes[0][:, part, None] / ctx.temperature
            piece = (scaled - norms[:, part, None]).exp_().mul_(-slope)
            piece.scatter_add_(-1, tokens[:, part, None], slope)
            gradient[:, part] = piece
        return gradient, None, None, None
