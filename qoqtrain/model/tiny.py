"""Tiny policies with random weights, for tests, dry runs and the demo."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from qoqdata.errors import UsageError
from qoqtrain.model.ecg_config import TOKEN, EcgConfig
from qoqtrain.model.family import CHATML, FAMILIES
from qoqtrain.model.loading import assemble_policy
from qoqtrain.model.policy import Policy
from qoqtrain.model.processor import Processor, make_processor

#: An ECG branch of the shape of the full one, much smaller.
TINY_ECG = EcgConfig(width=32, depth=2, heads=2)

_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    TOKEN,
)
_WIDTH = 64


def tiny_policy(
    family: str = "qwen3_vl",
    texts: Iterable[str] = (),
    *,
    ecg: EcgConfig | None = TINY_ECG,
    seed: int = 0,
    vocabulary: int = 512,
    max_pixels: int = 64 * 64,
) -> tuple[Policy, Processor]:
    """A policy of about 0.2 million parameters and its processor, on the CPU in float32.

    family      "qwen2_5_vl" or "qwen3_vl"; other names raise UsageError
    texts       what the tokenizer is trained on, to at most `vocabulary` tokens, all bytes included
    seed        the same seed and texts give the same weights and tokens
    max_pixels  bound of an image after resizing
    """
    if family not in FAMILIES:
        raise UsageError(f"no tiny {family!r}", fix=f"choose of {', '.join(FAMILIES)}")
    tokenizer = tiny_tokenizer(texts, vocabulary)
    image_processor = _image_processor(family, max_pixels)
    processor = make_processor(tokenizer, image_processor, FAMILIES[family], ecg, "tiny")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vlm = _model(family, tokenizer)
    return assemble_policy(vlm, processor, seed + 1), processor


def write_tiny(folder: str | Path, family: str = "qwen3_vl", **options: Any) -> Path:
    """Save `tiny_policy(family, **options)` so that `load_policy(folder)` finds it."""
    policy, processor = tiny_policy(family, **options)
    policy.save_pretrained(folder)
    processor.save_pretrained(folder)
    return Path(folder)


def tiny_tokenizer(texts: Iterable[str], vocabulary: int = 512) -> Any:
    """A byte-level BPE tokenizer with Qwen's special tokens and the ECG placeholder."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(list(texts), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(_SPECIAL[1:]),
        chat_template=CHATML,
        padding_side="left",
        model_max_length=2048,
    )


def _image_processor(family: str, max_pixels: int) -> Any:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    patch = 14 if family == "qwen2_5_vl" else 16
    return Qwen2VLImageProcessorPil(
        patch_size=patch,
        size={"shortest_edge": (2 * patch) ** 2, "longest_edge": max_pixels},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )


def _model(family: str, tokenizer: Any) -> Any:
    ids = tokenizer.get_vocab()
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
    }
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": _WIDTH,
    }
    tokens = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": False,
    }
    build = _qwen2_5 if family == "qwen2_5_vl" else _qwen3
    model = build(text, vision, tokens).eval()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def _qwen2_5(text: dict[str, Any], vision: dict[str, Any], tokens: dict[str, Any]) -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text["rope_parameters"] = {
        "rope_type": "default",
        "mrope_section": [2, 3, 3],
        "rope_theta": 1e6,
    }
    vision |= {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **tokens)
    return Qwen2_5_VLForConditionalGeneration(config)


def _qwen3(text: dict[str, Any], vision: dict[str, Any], tokens: dict[str, Any]) -> Any:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    text["head_dim"] = 16
    text["rope_parameters"] = {
        "rope_type": "default",
        "mrope_section": [4, 2, 2],
        "mrope_interleaved": True,
        "rope_theta": 5e6,
    }
    vision |= {"patch_size": 16, "deepstack_visual_indexes": [0], "num_position_embeddings": 64}
    config = Qwen3VLConfig(text_config=text, vision_config=vision, **tokens)
    return Qwen3VLForConditionalGeneration(config)
