"""Randomness that belongs to one rollout, whatever it is generated with."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def seed_of(*parts: object) -> int:
    """128 bits from (run seed, step, question id, ...): equal parts, equal seed, on any machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def uniforms(seed: int, tokens: int) -> NDArray[np.float64]:
    """(tokens,) numbers in [0, 1): one for each token of a rollout (Philox, counter-based)."""
    return np.random.Generator(np.random.Philox(key=seed)).random(tokens)


def draw(logits: Tensor, numbers: Tensor, *, temperature: float, top_p: float) -> Tensor:
    """(B,) token ids by inverting the distribution function at `numbers` (B,), float64 in [0, 1).

    `logits` (B, V). The distribution is softmax(logits / temperature), cut to the smallest set of
    most probable tokens that holds `top_p` of the mass (Holtzman et al., arXiv 1904.09751). Row by
    row, so that a rollout does not depend on what shares its batch.
    """
    probabilities = (logits.float() / temperature).softmax(-1).double()
    if top_p >= 1.0:
        return _invert(probabilities.cumsum(-1), numbers)
    ordered, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
    mass = ordered.cumsum(-1)
    # A token stays when what comes before it does not reach top_p yet.
    kept = ordered.masked_fill(mass - ordered >= top_p, 0.0)
    place = _invert(kept.cumsum(-1), numbers)
    return tokens.gather(-1, place[:, None])[:, 0]


def _invert(mass: Tensor, numbers: Tensor) -> Tensor:
    """First place where the running `mass` (B, V) exceeds its share `numbers` (B,)."""
    import torch

    mass, whole = mass.contiguous(), mass[:, -1:].contiguous()
    place = torch.searchsorted(mass, numbers[:, None] * whole, right=True)
    # Rounding may reach the whole mass: then it is the last token that has any.
    return torch.minimum(place, torch.searchsorted(mass, whole))[:, 0]
