"""A policy on disk: transformers' own layout, and the ECG part in a folder of its own.

    config.json, model*.safetensors, generation_config.json    the vision-language model
    ecg/config.json, ecg/model.safetensors                     the ECG branch

Tools that know nothing of the ECG branch load the folder as the vision-language model that it is.
A model on the hub has the same files; it is fetched where it is not in the cache.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from qoqdata.errors import UnreadableFile, UsageError
from qoqtrain.model.ecg_branch import EcgBranch
from qoqtrain.model.ecg_config import EcgConfig, ecg_config

ECG_FOLDER = "ecg"
_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
#: How transformers calls weights in one file; in several, a list of them goes by it.
_PLAIN = (_WEIGHTS, "pytorch_model.bin")
#: How long the Hub may take to say whether it has a model.
_HUB_SECONDS = 10.0
_FIX = "give a folder or a hub name of a Qwen2.5-VL or Qwen3-VL model"


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
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    save_file(tensors, below / _WEIGHTS, metadata={"format": "pt"})


def stored_ecg_config(name: str | Path) -> EcgConfig | None:
    """The settings of the ECG branch that goes with a stored model; None where there is none.

    Raises UnreadableFile for a file that is no JSON object, UsageError for wrong settings.
    """
    path = stored_file(name, f"{ECG_FOLDER}/{_CONFIG}")
    if path is None:
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableFile("is no JSON", where=str(path)) from error
    if not isinstance(values, dict):
        raise UnreadableFile("holds no settings", where=str(path))
    return ecg_config(values, str(path))


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


def check_weights(name: str | Path) -> None:
    """Raise UsageError where a model's folder has no weights, or lacks some that it lists, and
    UnreadableFile for a file that is cut; headers alone are read.

    What is on the Hub is looked at when it is loaded.
    """
    folder = Path(name)
    if not folder.is_dir():
        return
    files = [folder / one for one in _stored(folder)]
    if not files:
        raise UsageError("has a configuration and no weights", where=str(name), fix=_FIX)
    if (folder / ECG_FOLDER / _CONFIG).is_file():
        files.append(folder / ECG_FOLDER / _WEIGHTS)
    for path in files:
        if not path.is_file():
            raise UsageError("weights are missing", where=str(path), fix="copy the model again")
        if path.suffix == ".safetensors":
            _require_header(path)


def _stored(folder: Path) -> list[str]:
    """The files of weights that a folder has or lists."""
    for plain in _PLAIN:
        index = folder / f"{plain}.index.json"
        if index.is_file():
            try:
                return sorted(
                    set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
                )
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UnreadableFile("is no list of weights", where=str(index)) from error
        if (folder / plain).is_file():
            return [plain]
    return []


def _require_header(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise UnreadableFile("is no whole safetensors file", where=str(path)) from error


def check_name(name: str | Path) -> None:
    """Raise UsageError where there is no model: no folder at a path, no such name on the Hub.

    The Hub is asked once, for seconds, and not at all for a model that is in its cache.
    """
    path = Path(name)
    if path.exists() and not path.is_dir():
        raise UsageError("is no folder of a model", where=str(name), fix=_FIX)
    if path.exists():
        return
    # "owner/model" and "model" are hub names unless such a folder exists.
    is_path = isinstance(name, Path) or path.is_absolute() or len(path.parts) > 2
    if is_path or str(name).startswith((".", "~")):
        raise UsageError("no such folder", where=str(name), fix=_FIX)
    if (fault := _hub_fault(str(name))) is not None:
        what, fix = fault
        raise UsageError(what, where=str(name), fix=fix)


@cache
def _hub_fault(name: str) -> tuple[str, str] | None:
    """What keeps the Hub from giving the model `name`, and what to do; None for nothing."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        if isinstance(try_to_load_from_cache(name, _CONFIG), str):
            return None
        HfApi().model_info(name, timeout=_HUB_SECONDS)
    except HFValidationError:
        return "is neither a folder nor a name on the Hub", _FIX
    except GatedRepoError:
        return "you may not read it on the Hub", "ask for access on its page, then `hf auth login`"
    except RepositoryNotFoundError:
        fix = "check its spelling; for a private model run `hf auth login`"
        return "there is no such folder, and no such model on the Hub for you", fix
    except OfflineModeIsEnabled:
        fix = "fetch it where there is a network, with `hf download`, or give a folder"
        return "is not in the cache, and HF_HUB_OFFLINE keeps from asking the Hub", fix
    except Exception as error:  # Of the HTTP client, which is not ours to name.
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        fix = "check its spelling and the network, or give a folder"
        return f"is not in the cache, and the Hub cannot be asked: {first}", fix
    return None


def unloadable(error: BaseException, part: str, name: str | Path) -> UsageError:
    """The error to raise for a part of the model `name` that transformers cannot load."""
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return UsageError(f"{part} cannot be loaded: {first.rstrip('.')}", where=str(name), fix=_FIX)


def stored_file(name: str | Path, file: str) -> Path | None:
    """The local path of `file` (relative, such as "ecg/config.json") of a model; None without it.

    Files of hub models are taken from the cache or fetched. Raises UsageError where that fails.
    """
    if Path(name).is_dir():
        own = Path(name) / file
        return own if own.is_file() else None
    check_name(name)
    from transformers.utils.hub import cached_file

    try:
        path = cached_file(str(name), file, _raise_exceptions_for_missing_entries=False)
    except (OSError, ValueError) as error:
        raise unloadable(error, file, name) from error
    return None if path is None else Path(path)
