"""Weights of a published ECG-JEPA encoder under our names.

The checkpoint of ECG-JEPA (github.com/sehunfromdaegu/ECG_JEPA) is a dict whose `encoder` (or
`target_encoder`) is the state dict of a transformer of 12 blocks of width 768 and 16 heads over
8 leads x 50 patches x 50 samples, with this layout:

    W_P.weight, W_P.bias                                  the patch embedding
    pos_embed                                             (400, 768), fixed sines
    encoder_blocks.blocks.I.norm1 | attn.qkv | attn.proj | norm2 | mlp.fc1 | mlp.fc2
    norm.weight, norm.bias
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from qoqdata.errors import MissingFile, UnreadableFile, UsageError
from qoqtrain.model.ecg_branch import EcgEncoder
from qoqtrain.model.ecg_config import EIGHT, PLACES, EcgConfig

_WRAPPERS = ("encoder", "target_encoder", "state_dict", "model")
_PREFIX = re.compile(r"^(?:module\.)?(?:(?:target_)?encoder\.)?")
_NAMES = (
    (re.compile(r"^W_P\."), "patch_embedding."),
    (re.compile(r"^encoder_blocks\.blocks\."), "blocks."),
    (re.compile(r"(?<=\d)\.attn\.qkv\."), ".attention.qkv."),
    (re.compile(r"(?<=\d)\.attn\.proj\."), ".attention.out."),
    (re.compile(r"(?<=\d)\.mlp\.fc1\."), ".up."),
    (re.compile(r"(?<=\d)\.mlp\.fc2\."), ".down."),
)
_POSITIONS = "pos_embed"
_UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    pickle.UnpicklingError,
    SafetensorError,
)


def load_encoder(encoder: EcgEncoder, path: Path) -> None:
    """Fill `encoder` from an ECG-JEPA checkpoint or a safetensors file with its layout.

    Only tensors are read (`weights_only`). Raises MissingFile, UnreadableFile for a damaged file
    or one that holds code, and UsageError with the names where weights are missing, unexpected or
    of another shape, or where the positions are not the fixed sines.
    """
    fill_encoder(encoder, encoder_weights(path), str(path))


def check_encoder(config: EcgConfig, path: Path) -> None:
    """Raise as `load_encoder` for names and shapes that do not fit an encoder of these settings;
    no value is read."""
    with torch.device("meta"):
        encoder = EcgEncoder(config)
    _require_fit(encoder, _renamed(encoder_weights(path, device="meta")), str(path))


def encoder_weights(path: Path, *, device: str = "cpu") -> dict[str, Tensor]:
    """The encoder's state dict in a checkpoint, names as stored; on "meta" without its values."""
    if not path.is_file():
        raise MissingFile("no such checkpoint", where=str(path))
    try:
        if path.suffix == ".safetensors":
            state: Any = _safetensors(path, device)
        else:
            state = torch.load(path, map_location=device, weights_only=True)
    except _UNREADABLE as error:
        raise UnreadableFile("no weights can be read", where=str(path)) from error
    while isinstance(state, Mapping) and (inner := _inner(state)) is not None:
        state = inner
    if not isinstance(state, Mapping) or not state:
        raise UnreadableFile("holds no state dict", where=str(path))
    return {str(name): value for name, value in state.items() if isinstance(value, Tensor)}


def _safetensors(path: Path, device: str) -> dict[str, Tensor]:
    from safetensors import safe_open
    from safetensors.torch import load_file

    if device != "meta":
        return load_file(path, device=device)
    with safe_open(path, "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def _inner(state: Mapping[Any, Any]) -> Mapping[Any, Any] | None:
    return next((state[name] for name in _WRAPPERS if isinstance(state.get(name), Mapping)), None)


def fill_encoder(encoder: EcgEncoder, weights: Mapping[str, Tensor], where: str) -> None:
    """Fill `encoder` from weights with the names of ECG-JEPA or with ours; raises as above."""
    renamed = _renamed(weights)
    positions = renamed.pop(_POSITIONS, None)
    _require_fit(encoder, renamed, where)
    if positions is not None:
        _check_positions(encoder, positions, where)
    encoder.load_state_dict(renamed)


def _renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {our_name(name): value for name, value in weights.items()}


def _require_fit(encoder: EcgEncoder, renamed: Mapping[str, Tensor], where: str) -> None:
    """By names and shapes; fixed positions may be there or not."""
    own, names = encoder.state_dict(), renamed.keys() - {_POSITIONS}
    missing, unexpected = sorted(own.keys() - names), sorted(names - own.keys())
    shapes = [
        f"{name} {tuple(renamed[name].shape)} for {tuple(value.shape)}"
        for name, value in own.items()
        if name in renamed and renamed[name].shape != value.shape
    ]
    faults = [
        f"{kind}: {_some(found)}"
        for kind, found in (("missing", missing), ("unexpected", unexpected), ("shape", shapes))
        if found
    ]
    if faults:
        raise UsageError(
            f"does not fit the ECG encoder; {'; '.join(faults)}",
            where=where,
            fix="give the encoder the settings of the checkpoint (width, depth, heads, patch)",
        )


def our_name(name: str) -> str:
    """Our name of a weight of ECG-JEPA; other names stay."""
    name = _PREFIX.sub("", name, count=1)
    for pattern, ours in _NAMES:
        name = pattern.sub(ours, name, count=1)
    return name


def _check_positions(encoder: EcgEncoder, positions: Tensor, where: str) -> None:
    rows = encoder.positions[[PLACES[lead] for lead in EIGHT]]
    ours = rows.flatten(0, 1).float().cpu()
    # Half precision keeps three digits.
    if positions.shape != ours.shape or not torch.allclose(positions.float(), ours, atol=5e-3):
        raise UsageError(
            "its positions are not the fixed sines of 8 leads by time",
            where=where,
            fix="only checkpoints with pos_type='sincos' and 8 leads can be taken over",
        )


def _some(names: list[str]) -> str:
    first = ", ".join(names[:6])
    return first if len(names) <= 6 else f"{first} and {len(names) - 6} more"
