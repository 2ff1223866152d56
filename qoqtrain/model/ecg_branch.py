"""From ECG windows to tokens of the language model: encoder, pooling, projector.

The encoder is a transformer over patches of single leads, after ECG-JEPA (Kim 2024,
arXiv:2410.08559). Every patch of 0.2 s of one lead is a token. Positions are fixed sines of its
time and of its lead's place, and lead places go by name, so a recording may list its leads in any
order and miss some.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from qoqtrain.model.ecg_config import PLACES, EcgConfig


class Attention(nn.Module):
    """Multi-head self-attention under a mask of allowed pairs."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """(R, N, width) from the same, `allowed` bool (R, 1, N, N)."""
        rows, tokens, width = x.shape
        split = self.qkv(x).view(rows, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        return self.out(mixed.transpose(1, 2).reshape(rows, tokens, width))


class Block(nn.Module):
    """Pre-norm attention and MLP with residuals."""

    def __init__(self, config: EcgConfig) -> None:
        super().__init__()
        hidden = int(config.width * config.mlp_ratio)
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, hidden)
        self.down = nn.Linear(hidden, config.width)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """(R, N, width) from the same."""
        x = x + self.attention(self.norm1(x), allowed)
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class EcgEncoder(nn.Module):
    """Patch features of ECG windows."""

    positions: Tensor

    def __init__(self, config: EcgConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embedding = nn.Linear(config.patch, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        # Fixed, so it is made anew instead of stored.
        self.register_buffer("positions", positions(config), persistent=False)
        self._start()

    def forward(self, signal: Tensor, valid: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Features (R, L, P, width) and which of them exist, bool (R, L, P).

        signal  (R, L, samples) mV
        valid   bool, same shape; a patch exists where all its samples are valid
        places  int64 (R, L), rows of `PLACES`

        Patches that do not exist are seen by no other patch; their own features mean nothing.
        """
        rows, leads, _ = signal.shape
        shape = (rows, leads, self.config.patches, self.config.patch)
        exists = present(valid, self.config)
        weight = self.patch_embedding.weight
        # A sample of a patch that does not exist may hold anything, and 0 * anything is not 0.
        clean = torch.where(exists[..., None], signal.view(shape), 0.0).to(weight.dtype)
        x = self.patch_embedding(clean).flatten(1, 2)
        at = self.positions[places].flatten(1, 2).to(x.dtype)
        allowed = allowed_pairs(exists, self.config.attention)
        for block in self.blocks:
            x = block(x + at, allowed)
        return self.norm(x).view(*shape[:3], -1), exists

    def _start(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            for layer in (block.attention.out, block.down):
                with torch.no_grad():
                    layer.weight.div_(math.sqrt(2.0 * (index + 1)))


def present(valid: Tensor, config: EcgConfig) -> Tensor:
    """Which patches exist, bool (..., P), from the mask of samples (..., samples)."""
    return valid.view(*valid.shape[:-1], config.patches, config.patch).all(-1)


def allowed_pairs(exists: Tensor, attention: str) -> Tensor:
    """Which patch may look at which, bool (R, 1, L*P, L*P), from `exists` (R, L, P).

    Every patch may look at itself, so that no row is empty.
    """
    rows, leads, patches = exists.shape
    device = exists.device
    size = leads * patches
    allowed = exists.reshape(rows, 1, 1, size)
    if attention == "cross":
        token = torch.arange(size, device=device)
        lead, time = token // patches, token % patches
        near = (lead[:, None] == lead) | (time[:, None] == time)
        allowed = allowed & near
    return allowed | torch.eye(size, dtype=torch.bool, device=device)


def positions(config: EcgConfig) -> Tensor:
    """Sine positions, float32 (places, P, width): the first half is time, the second the lead."""
    time = _sines(config.patches, config.width // 2)
    lead = _sines(len(PLACES), config.width // 2)
    shape = (len(PLACES), config.patches, config.width // 2)
    return torch.cat([time[None].expand(shape), lead[:, None].expand(shape)], -1).contiguous()


def _sines(count: int, width: int) -> Tensor:
    rate = 10000.0 ** -(torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angle = torch.arange(count, dtype=torch.float64)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], -1).float()


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
