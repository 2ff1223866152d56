"""From ECG windows to tokens of the language model: encoder, pooling, projector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qoqtrain.model.ecg_config import EcgConfig
from qoqtrain.model.ecg_encoder import EcgEncoder, present


class EcgBranch(nn.Module):
    """Encoder and projector. `width` is that of the language model's embeddings."""

    def __init__(self, config: EcgConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.encoder = EcgEncoder(config)
        self.projector = nn.Linear(config.width, width)
        nn.init.trunc_normal_(self.projector.weight, std=0.02)
        nn.init.zeros_(self.projector.bias)

    def forward(self, signal: Tensor, valid: Tensor, places: Tensor) -> Tensor:
        """Tokens (T, width), window by window and in time; arguments as in `EcgEncoder.forward`.

        A token is the projected mean of the existing patches of its stretch of time.
        """
        features, exists = self.encoder(signal, valid, places)
        tokens = self.config.tokens
        weight = exists.unflatten(2, (tokens, -1)).to(features.dtype)
        stretches = features.unflatten(2, (tokens, -1))
        # Features of patches that do not exist mean nothing but are finite.
        total = (stretches * weight[..., None]).sum((1, 3))
        count = weight.sum((1, 3))
        pooled = total / count.clamp(min=1)[..., None]
        return self.projector(pooled[count > 0])

    def idle(self, device: torch.device) -> Tensor:
        """A zero that depends on every parameter, for batches without an ECG.

        Ranks of one run must use the same parameters in the same order, or collective operations
        wait for each other for ever. One silent lead of one window is encoded and multiplied by 0;
        it never becomes a token.
        """
        signal = torch.zeros(1, 1, self.config.samples, device=device)
        valid = torch.ones_like(signal, dtype=torch.bool)
        places = torch.zeros(1, 1, dtype=torch.long, device=device)
        return self(signal, valid, places).sum() * 0.0


def token_counts(valid: Tensor, config: EcgConfig) -> Tensor:
    """Tokens of each window, int64 (R,), from its mask of samples, bool (R, L, samples)."""
    stretches = present(valid, config).unflatten(2, (config.tokens, -1))
    return stretches.any(3).any(1).sum(1)
