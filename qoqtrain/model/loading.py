"""Loading a policy and its processor by name or from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from qoqdata.errors import UsageError
from qoqtrain.model.ecg_branch import EcgBranch
from qoqtrain.model.ecg_config import EcgConfig
from qoqtrain.model.family import family_of
from qoqtrain.model.policy import Policy
from qoqtrain.model.processor import Processor
from qoqtrain.model.storage import check_name, load_ecg_weights, stored_ecg_config, unloadable

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_policy(
    name: str | Path,
    *,
    dtype: str = "auto",
    ecg: EcgConfig | None = None,
    ecg_weights: str | Path | None = None,
    attention: str = "sdpa",
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    seed: int = 0,
) -> tuple[Policy, Processor]:
    """A policy and the processor that goes with it.

    name         a folder, or a name on the hub, of a Qwen2.5-VL or Qwen3-VL model
    dtype        "auto" (as stored), "float32", "bfloat16" or "float16"
    ecg          settings of a new ECG branch, its weights drawn from `seed`; a folder that holds
                 a branch already brings its own, and then `ecg` must be None or equal
    ecg_weights  checkpoint of an ECG-JEPA encoder to start from (see `ecg_jepa`)
    attention    transformers' attn_implementation
    min_pixels, max_pixels   bounds of an image after resizing; None: as stored

    Raises UsageError for a model that cannot be found or is of another family, and for ECG
    settings that contradict the stored ones.
    """
    if dtype not in ("auto", *DTYPES):
        raise UsageError(f"dtype {dtype!r}", fix=f"choose of auto, {', '.join(DTYPES)}")
    processor = Processor.from_pretrained(
        name, ecg=ecg, min_pixels=min_pixels, max_pixels=max_pixels
    )
    vlm = load_vlm(name, DTYPES.get(dtype, dtype), attention)
    policy = assemble_policy(vlm, processor, seed)
    if policy.ecg is not None:
        if stored_ecg_config(name) is not None:
            load_ecg_weights(policy.ecg, name)
        if ecg_weights is not None:
            from qoqtrain.model.ecg_jepa import load_encoder

            load_encoder(policy.ecg.encoder, Path(ecg_weights))
    elif ecg_weights is not None:
        raise UsageError("ECG weights without an ECG branch", fix="give the settings `ecg` too")
    return policy, processor


def load_vlm(name: str | Path, dtype: Any, attention: str = "sdpa") -> Any:
    """The transformers model. Raises UsageError where there is none or it is damaged."""
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForImageTextToText

    check_name(name)
    try:
        config = AutoConfig.from_pretrained(name)
        family_of(config.model_type, str(name))
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            name, dtype=dtype, attn_implementation=attention, output_loading_info=True
        )
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        raise unloadable(error, "the model", name) from error
    except RuntimeError as error:
        if "ignore_mismatched_sizes" not in str(error):
            raise
        raise UsageError(
            "weights have other shapes than config.json says", where=str(name)
        ) from error
    vlm, report = loaded
    if missing := sorted(report["missing_keys"]):
        # transformers would go on with random weights in their place.
        raise UsageError(
            f"{len(missing)} weights are missing, {missing[0]} among them", where=str(name)
        )
    return vlm


def assemble_policy(vlm: Any, processor: Processor, seed: int = 0) -> Policy:
    """A policy from a model and its processor; a new ECG branch is drawn from `seed`."""
    branch = None
    if processor.ecg is not None:
        rows = vlm.config.text_config.vocab_size
        if processor.ecg_token_id >= rows:
            vlm.resize_token_embeddings(processor.ecg_token_id + 1, pad_to_multiple_of=64)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            branch = EcgBranch(processor.ecg, vlm.config.text_config.hidden_size)
        branch = branch.to(device=vlm.device, dtype=vlm.dtype)
    return Policy(
        vlm,
        branch,
        processor.ecg_token_id if branch is not None else None,
        processor.silent_tokens,
    )
