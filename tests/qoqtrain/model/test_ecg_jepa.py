"""Published ECG-JEPA weights, against the published forward pass written out again."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from qoqdata.errors import MissingFile, UnreadableFile, UsageError
from qoqtrain.model.ecg_branch import EcgEncoder
from qoqtrain.model.ecg_config import EcgConfig
from qoqtrain.model.ecg_jepa import load_encoder

WIDTH, DEPTH, HEADS = 32, 3, 4
CONFIG = EcgConfig(width=WIDTH, depth=DEPTH, heads=HEADS)


def sines(width: int, places: np.ndarray) -> np.ndarray:
    """One axis of the 2-D sine positions of MAE (He et al. 2021), as ECG-JEPA uses them."""
    angle = np.outer(places, 1 / 10000 ** (np.arange(width // 2) / (width / 2)))
    return np.concatenate([np.sin(angle), np.cos(angle)], 1)


def published_positions() -> torch.Tensor:
    """(400, width): row lead * 50 + time, half time, half lead."""
    time, lead = np.tile(np.arange(50.0), 8), np.repeat(np.arange(8.0), 50)
    return torch.tensor(
        np.concatenate([sines(WIDTH // 2, time), sines(WIDTH // 2, lead)], 1)
    ).float()


def published_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.1

    weights = {
        "pos_embed": published_positions(),
        "W_P.weight": draw(WIDTH, 50),
        "W_P.bias": draw(WIDTH),
    }
    for index in range(DEPTH):
        at = f"encoder_blocks.blocks.{index}."
        weights |= {
            at + "norm1.weight": 1 + draw(WIDTH),
            at + "norm1.bias": draw(WIDTH),
            at + "norm2.weight": 1 + draw(WIDTH),
            at + "norm2.bias": draw(WIDTH),
            at + "attn.qkv.weight": draw(3 * WIDTH, WIDTH),
            at + "attn.proj.weight": draw(WIDTH, WIDTH),
            at + "attn.proj.bias": draw(WIDTH),
            at + "mlp.fc1.weight": draw(4 * WIDTH, WIDTH),
            at + "mlp.fc1.bias": draw(4 * WIDTH),
            at + "mlp.fc2.weight": draw(WIDTH, 4 * WIDTH),
            at + "mlp.fc2.bias": draw(WIDTH),
        }
    return weights | {"norm.weight": 1 + draw(WIDTH), "norm.bias": draw(WIDTH)}


def published_forward(w: dict[str, torch.Tensor], ecg: torch.Tensor) -> torch.Tensor:
    """(400, width) features of one (8, 2500) recording, one head and one step at a time."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        spread = (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        return (x - x.mean(-1, keepdim=True)) / spread * w[name + ".weight"] + w[name + ".bias"]

    lead, time = np.repeat(np.arange(8), 50), np.tile(np.arange(50), 8)
    hidden = torch.tensor((lead[:, None] != lead) & (time[:, None] != time))
    x = ecg.reshape(400, 50) @ w["W_P.weight"].T + w["W_P.bias"]
    for index in range(DEPTH):
        at = f"encoder_blocks.blocks.{index}."
        x = x + w["pos_embed"]
        query, key, value = (norm(x, at + "norm1") @ w[at + "attn.qkv.weight"].T).chunk(3, -1)
        heads = []
        for part in range(HEADS):
            of = slice(part * WIDTH // HEADS, (part + 1) * WIDTH // HEADS)
            score = query[:, of] @ key[:, of].T / math.sqrt(WIDTH // HEADS)
            heads.append(score.masked_fill(hidden, -torch.inf).softmax(-1) @ value[:, of])
        x = x + torch.cat(heads, -1) @ w[at + "attn.proj.weight"].T + w[at + "attn.proj.bias"]
        up = norm(x, at + "norm2") @ w[at + "mlp.fc1.weight"].T + w[at + "mlp.fc1.bias"]
        up = up * 0.5 * (1 + torch.erf(up / math.sqrt(2)))
        x = x + up @ w[at + "mlp.fc2.weight"].T + w[at + "mlp.fc2.bias"]
    return norm(x, "norm")


def encode(encoder: EcgEncoder, ecg: torch.Tensor) -> torch.Tensor:
    valid = torch.ones(1, 8, 2500, dtype=torch.bool)
    with torch.no_grad():
        features, exists = encoder(ecg[None], valid, torch.arange(8)[None])
    assert exists.all()
    return features[0].reshape(400, WIDTH)


@pytest.mark.parametrize("layout", ["encoder", "target_encoder", "bare", "prefixed", "module"])
def test_features_are_those_of_the_published_encoder(tmp_path: Path, layout: str) -> None:
    weights = published_weights()
    held = {
        "encoder": {"encoder": weights, "epoch": 3},
        "target_encoder": {"target_encoder": weights},
        "bare": weights,
        "prefixed": {f"encoder.{name}": value for name, value in weights.items()},
        "module": {
            "state_dict": {f"module.encoder.{name}": value for name, value in weights.items()}
        },
    }[layout]
    torch.save(held, tmp_path / "encoder.pth")
    encoder = EcgEncoder(CONFIG)
    load_encoder(encoder, tmp_path / "encoder.pth")
    ecg = torch.randn(8, 2500, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(
        encode(encoder, ecg), published_forward(weights, ecg), atol=2e-5, rtol=1e-5
    )


def test_missing_unexpected_and_misshapen_weights_are_named(tmp_path: Path) -> None:
    weights = published_weights()
    del weights["encoder_blocks.blocks.1.mlp.fc1.bias"]
    weights["surplus"] = torch.zeros(1)
    weights["W_P.weight"] = torch.zeros(WIDTH, 25)
    torch.save({"encoder": weights}, tmp_path / "encoder.pth")
    with pytest.raises(UsageError) as raised:
        load_encoder(EcgEncoder(CONFIG), tmp_path / "encoder.pth")
    said = str(raised.value)
    assert "missing: blocks.1.up.bias" in said
    assert "unexpected: surplus" in said
    assert f"patch_embedding.weight ({WIDTH}, 25) for ({WIDTH}, 50)" in said


def test_other_positions_are_refused(tmp_path: Path) -> None:
    weights = published_weights()
    weights["pos_embed"] = weights["pos_embed"].flip(0)
    torch.save(weights, tmp_path / "encoder.pth")
    with pytest.raises(UsageError, match="positions"):
        load_encoder(EcgEncoder(CONFIG), tmp_path / "encoder.pth")


def test_no_code_is_run(tmp_path: Path) -> None:
    torch.save({"encoder": Path("x")}, tmp_path / "code.pth")
    with pytest.raises(UnreadableFile):
        load_encoder(EcgEncoder(CONFIG), tmp_path / "code.pth")


@pytest.mark.parametrize("data", [b"", b"nothing of the kind", b"PK\x03\x04 torn"])
def test_damaged_files(tmp_path: Path, data: bytes) -> None:
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnreadableFile):
            load_encoder(EcgEncoder(CONFIG), tmp_path / name)
    with pytest.raises(MissingFile):
        load_encoder(EcgEncoder(CONFIG), tmp_path / "none.pth")
