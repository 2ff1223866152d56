"""A policy on disk: transformers' own layout, and the ECG part in a folder of its own.

    config.json, model*.safetensors, generation_config.json    the vision-language model
    ecg/config.json, ecg/model.safetensors                     the ECG branch

Tools that know nothing of the ECG branch load the folder as the vision-language model that it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from qoqdata.errors import UnreadableFile, UsageError
from qoqtrain.model.ecg_branch import EcgBranch
from qoqtrain.model.ecg_config import EcgConfig, ecg_config
from qoqtrain.model.model_name import stored_file

ECG_FOLDER = "ecg"
_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"


def save_policy(
    vlm: Any, ecg: EcgBranch | None, folder: Path, state_dict: dict[str, Tensor] | None
) -> None:
    """Write the parts of a policy below `folder`; see `Policy.save_pretrained`."""
    from safetensors.torch import save_file

    parts: dict[str, dict[str, Tensor]] = {"vlm": {}, "ecg": {}}
    for name, value in (state_dict or {}).items():
        part, _, inner = name.partition(".")
        if part not in parts:
            raise UsageError(f"{name!r} is no parameter of a policy", fix="pass its state dict")
        parts[part][inner] = value
    vlm.save_pretrained(folder, state_dict=parts["vlm"] or None)
    if ecg is None:
        return
    below = folder / ECG_FOLDER
    below.mkdir(parents=True, exist_ok=True)
    weights = parts["ecg"] or ecg.state_dict()
    (below / _CONFIG).write_text(ecg.config.to_json(), encoding="utf-8")
    held = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    save_file(held, below / _WEIGHTS, metadata={"format": "pt"})


def stored_ecg_config(name: str | Path) -> EcgConfig | None:
    """The settings of the ECG branch that goes with a stored model; None where there is none.

    Raises UnreadableFile for a file that is no JSON object, UsageError for wrong settings.
    """
    path = stored_file(name, f"{ECG_FOLDER}/{_CONFIG}")
    if path is None:
        return None
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableFile("is no JSON", where=str(path)) from error
    if not isinstance(given, dict):
        raise UnreadableFile("holds no settings", where=str(path))
    return ecg_config(given, str(path))


def load_ecg_weights(branch: EcgBranch, name: str | Path) -> None:
    """Fill `branch` from what `save_policy` wrote beside the model `name`.

    Raises UsageError where they are missing or of another shape or name, UnreadableFile for a
    damaged file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = stored_file(name, f"{ECG_FOLDER}/{_WEIGHTS}")
    if path is None:
        raise UsageError(f"has no {ECG_FOLDER}/{_WEIGHTS}", where=str(name))
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UnreadableFile("is no safetensors file", where=str(path)) from error
    try:
        branch.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(
            f"does not fit the ECG branch: {error}", where=str(path), fix="see ecg/config.json"
        ) from error
