"""Several responses behind one prompt, in one sequence: what each token sees, and where it stands.

`segments` int64 (B, T) says what a token belongs to: PROMPT, a response (1, 2, ...), or PADDING.
Every response begins with a copy of the prompt's last token, so that the logits at its tokens are
those that predict it, and sees the prompt and itself, as if it stood behind the prompt alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

PROMPT, PADDING = 0, -1


def visible(segments: Tensor) -> Tensor:
    """bool (B, 1, T, T), true where a token (row) sees another (column): itself, and of what
    comes before it the prompt and its own response. Padding sees itself alone, so that no row is
    empty."""
    length = segments.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    own = segments[:, :, None] == segments[:, None, :]
    prompt = (segments == PROMPT)[:, None, :]
    present = segments != PADDING
    seen = (own | prompt) & earlier & present[:, :, None] & present[:, None, :]
    return (seen | torch.eye(length, dtype=torch.bool, device=segments.device))[:, None]


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """The same as what eager attention adds to its scores: 0, or the least number of `dtype`."""
    hidden = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return hidden.masked_fill_(~seen, torch.finfo(dtype).min)


def positions_behind(positions: Tensor, segments: Tensor) -> Tensor:
    """Rotary positions int64 (3, B, T): `positions` where the prompt is; every response goes on
    behind the largest of these."""
    prompt = segments == PROMPT
    behind = positions.masked_fill(~prompt, -1).amax((0, 2)) + 1
    place = torch.arange(segments.shape[1], device=segments.device).expand_as(segments)
    begins = segments != segments.roll(1, 1)
    begins[:, 0] = True
    within = place - place.masked_fill(~begins, 0).cummax(1).values
    return torch.where(prompt, positions, behind[:, None] + within)
