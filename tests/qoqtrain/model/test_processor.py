"""Sizes, placeholders and chat templates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import InputError, UsageError
from qoqtrain.model.ecg_config import TOKEN
from qoqtrain.model.family import FAMILIES as KNOWN
from qoqtrain.model.family import family_of
from qoqtrain.model.processor import Processor, make_processor
from qoqtrain.model.tiny import tiny_policy
from tests.qoqtrain.model.clinical import FAMILIES, texts

PROCESSORS = {family: tiny_policy(family, texts())[1] for family in FAMILIES}


@settings(max_examples=30)
@given(st.sampled_from(FAMILIES), st.integers(1, 400), st.integers(1, 400))
def test_the_size_seen_is_the_one_that_comes_out(family: str, width: int, height: int) -> None:
    processor = PROCESSORS[family]
    image = np.zeros((height, width, 3), np.uint8)
    try:
        across, down = processor.grid(width, height)
    except InputError:
        assert max(width, height) > 200 * min(width, height)
        return
    values, grid = processor.pixels([image])
    assert grid.tolist() == [[1, down, across]]
    assert len(values) == across * down
    patch = processor.image_processor.patch_size
    assert processor.seen_size(width, height) == (across * patch, down * patch)
    assert processor.image_tokens(width, height) == across * down // 4


def test_frames_of_the_families() -> None:
    # Qwen2.5-VL writes absolute pixels of what it saw, Qwen3-VL thousandths.
    assert KNOWN["qwen2_5_vl"].frame == "pixels"
    assert KNOWN["qwen3_vl"].frame == "thousandths"
    with pytest.raises(UsageError, match="llama"):
        family_of("llama", "here")


class Vocabulary:
    """A stand-in for a tokenizer: the names it knows."""

    pad_token_id = eos_token_id = 0
    padding_side = "right"
    chat_template: str | None = None

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    def get_vocab(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def add_tokens(self, names: list[str], special_tokens: bool) -> None:
        assert special_tokens
        self.names += names

    def convert_tokens_to_ids(self, name: str) -> int:
        return self.names.index(name)


QWEN = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")


def make(tokenizer: Any) -> Processor:
    tiny = PROCESSORS["qwen3_vl"]
    return make_processor(tokenizer, tiny.image_processor, tiny.family, tiny.ecg, "here")


def test_the_ecg_placeholder_is_added_once() -> None:
    first = make(Vocabulary(*QWEN))
    assert first.ecg_token_id == 3
    assert make(first.tokenizer).tokenizer.names == [*QWEN, TOKEN]
    assert first.silent_tokens == [0, 1, 2, 3]
    assert first.tokenizer.padding_side == "left"
    assert "<|im_start|>assistant" in first.tokenizer.chat_template


def test_other_tokenizers_are_refused() -> None:
    with pytest.raises(UsageError, match="image_pad"):
        make(Vocabulary("<|vision_start|>", "<|vision_end|>"))
    without = Vocabulary(*QWEN)
    without.pad_token_id = None  # type: ignore[assignment]
    with pytest.raises(UsageError, match="no padding"):
        make(without)


def test_a_template_of_its_own_is_kept() -> None:
    tokenizer = Vocabulary(*QWEN)
    tokenizer.chat_template = "mine"
    assert make(tokenizer).tokenizer.chat_template == "mine"
