"""Responses written token by token from the keys and values of their prompts.

Transformers' generate repeats a prompt for each of its responses before it reads it, and carries on
until the last of them ends. Here a prompt is read once, and responses that have ended leave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

#: Tokens int64 (B,), their positions int64 (B,), the mask bool (B, T) of all tokens, theirs
#: included, and the cache, to logits (B, vocabulary).
NextLogits = Callable[[Tensor, Tensor, Tensor, Any], Tensor]


@dataclass(eq=False)
class Decoding:
    """`logits` (B, vocabulary) of the next token of every response that is still written."""

    logits: Tensor
    next_logits: NextLogits
    cache: Any
    mask: Tensor
    positions: Tensor

    def write(self, tokens: Tensor) -> None:
        """Append `tokens` (B,), one to each response."""
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=True)
        self.logits = self.next_logits(tokens, self.positions, self.mask, self.cache)
        self.positions = self.positions + 1

    def keep(self, rows: Tensor) -> None:
        """Go on with the responses `rows` (int64) alone, before their tokens are written."""
        self.cache.batch_select_indices(rows)
        self.mask, self.positions = self.mask[rows], self.positions[rows]


def begin(
    logits: Tensor, cache: Any, mask: Tensor, positions: Tensor, n: int, next_logits: NextLogits
) -> Decoding:
    """`n` responses to each of B prompts, next to each other: `logits` (B, vocabulary) behind the
    prompts, `cache` of their keys and values, `mask` (B, T) true on tokens, `positions` int64 (B,)
    of what comes next."""
    cache.batch_repeat_interleave(n)
    mask = mask.bool()
    return Decoding(
        logits.repeat_interleave(n, 0),
        next_logits,
        cache,
        mask.repeat_interleave(n, 0),
        positions.repeat_interleave(n, 0),
    )
