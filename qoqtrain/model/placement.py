"""Which ECG token replaces which placeholder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qoqdata.errors import UsageError


@dataclass(frozen=True)
class Placement:
    """ECG tokens of one pass and where they go.

    index   int64 (B, T) of the prompts: row of `tokens`, or -1
    tokens  (n, width), or None without an ECG
    idle    a zero that keeps the branch in the graph, or None
    """

    index: Tensor
    tokens: Tensor | None
    idle: Tensor | None

    def into(self, embeddings: Tensor) -> Tensor:
        """`embeddings` (B * n, t, width) with the ECG tokens in their places.

        They may be of the prompts, of the prompts repeated n times each, either with generated
        tokens behind, or of one generated token a row.
        """
        if self.idle is not None:
            embeddings = embeddings + self.idle.to(embeddings.dtype)
        rows, length = self.index.shape
        if self.tokens is None or embeddings.shape[1] < length:
            return embeddings
        index = self.index.repeat_interleave(embeddings.shape[0] // rows, 0)
        marks = torch.nn.functional.pad(index >= 0, (0, embeddings.shape[1] - length))
        values = self.tokens[index[index >= 0]].to(embeddings.dtype)
        return embeddings.masked_scatter(marks[..., None], values)


def placement(
    input_ids: Tensor, token_id: int, tokens: Tensor | None, idle: Tensor | None
) -> Placement:
    """Number the placeholders row by row. Raises UsageError unless there are as many as tokens."""
    marks = input_ids == token_id
    count = int(marks.sum())
    have = 0 if tokens is None else tokens.shape[0]
    if count != have:
        raise UsageError(f"{count} ECG placeholders for {have} ECG tokens")
    order = torch.cumsum(marks.flatten(), 0).view_as(marks) - 1
    return Placement(torch.where(marks, order, -1), tokens, idle)
