"""The policy: a small convolutional encoder, the question as an embedding, one answer token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo_vs_grpo.domains import DOMAINS, VOCABULARY

if TYPE_CHECKING:
    import torch

# Channels and strides of the convolutions: 32 pixels become 8, 4 and 2 places.
LAYERS = ((1, 64, 4, 4, 0), (64, 128, 3, 2, 1), (128, 256, 3, 2, 1))
HIDDEN = 384


def new_policy(seed: int) -> torch.nn.Module:
    """An untrained policy of about 1.1 million parameters.

    Called with images (N, 32, 32) uint8 and domains (N,) int64 it gives logits (N, 39) over the
    union vocabulary: every answer of every domain is admissible, and the question alone tells
    which belong to it.
    """
    import torch
    from torch import nn

    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            for shape in LAYERS:
                layers += [nn.Conv2d(*shape), nn.ReLU()]
            self.encoder = nn.Sequential(*layers, nn.Flatten())
            self.question = nn.Embedding(len(DOMAINS), HIDDEN)
            self.image = nn.Linear(4 * LAYERS[-1][1], HIDDEN)
            self.decoder = nn.Sequential(
                nn.LayerNorm(2 * HIDDEN), nn.Linear(2 * HIDDEN, HIDDEN), nn.ReLU()
            )
            self.answer = nn.Linear(HIDDEN, len(VOCABULARY))

        def forward(self, images: torch.Tensor, domains: torch.Tensor) -> torch.Tensor:
            seen = self.image(self.encoder((images[:, None].float() - 128.0) / 45.0))
            both = torch.cat([seen, self.question(domains)], dim=1)
            return self.answer(self.decoder(both))

    torch.manual_seed(seed)
    return Policy()


def log_probabilities(
    policy: torch.nn.Module, images: NDArray[np.uint8], domains: NDArray[np.int64]
) -> torch.Tensor:
    """(N, 39) log-probabilities of the answers; N may be any number, gradients are not kept."""
    import torch

    with torch.no_grad():
        parts = [
            torch.log_softmax(policy(shown, asked), dim=1)
            for shown, asked in zip(
                torch.from_numpy(images).split(1024),
                torch.from_numpy(domains).split(1024),
                strict=True,
            )
        ]
    return torch.cat(parts)
