"""Tokenizer, image processor and ECG view of one policy.

The composite processors of transformers need torchvision even where no video is read, so their
parts are used: the tokenizer, the image processor (with the torchvision or the Pillow back end,
whichever is there) and an expansion of placeholders of our own. Both back ends are given the same
arrays and the same bounds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.errors import UsageError
from qoqtrain.model.ecg_config import TOKEN, EcgConfig
from qoqtrain.model.family import CHATML, Family, family_of
from qoqtrain.model.storage import (
    ECG_FOLDER,
    check_name,
    stored_ecg_config,
    stored_file,
    unloadable,
)

IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"


@dataclass(frozen=True, eq=False)
class Processor:
    """What turns text, images and ECGs into the inputs of one policy.

    tokenizer, image_processor   transformers' own
    family              which says what frame its boxes are in
    ecg                 settings of the ECG branch, or None
    """

    tokenizer: Any
    image_processor: Any
    family: Family
    ecg: EcgConfig | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        ecg: EcgConfig | None = None,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
    ) -> Processor:
        """The processor of a model by hub name or folder.

        `ecg` adds an ECG placeholder; a folder with an ECG branch brings its own settings.
        `min_pixels` and `max_pixels` replace the stored bounds of an image after resizing.
        Raises UsageError where the model or a part of it is missing or of another family.
        """
        from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer

        check_name(name)
        try:
            family = family_of(AutoConfig.from_pretrained(name).model_type, str(name))
            tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left")
            image_processor = AutoImageProcessor.from_pretrained(name)
        except (OSError, ValueError, ImportError, KeyError) as error:
            raise unloadable(error, "tokenizer and image processor", name) from error
        stored = stored_ecg_config(name)
        if stored is not None and ecg not in (None, stored):
            raise UsageError(
                "the stored ECG branch has other settings", where=str(name), fix="leave them out"
            )
        bound(image_processor, min_pixels, max_pixels)
        if not tokenizer.chat_template:
            tokenizer.chat_template = stored_template(name)
        return make_processor(tokenizer, image_processor, family, stored or ecg, str(name))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write tokenizer, image processor and ECG settings into `folder`."""
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)
        if self.ecg is not None:
            below = Path(folder) / ECG_FOLDER
            below.mkdir(parents=True, exist_ok=True)
            (below / "config.json").write_text(self.ecg.to_json(), encoding="utf-8")

    @cached_property
    def image_token_id(self) -> int:
        """Id of the image placeholder."""
        return self.tokenizer.convert_tokens_to_ids(IMAGE)

    @cached_property
    def ecg_token_id(self) -> int:
        """Id of the ECG placeholder. Raises UsageError without an ECG branch."""
        if self.ecg is None:
            fix = "give settings `ecg` when loading the policy"
            raise UsageError("this policy reads no ECG", fix=fix)
        return self.tokenizer.convert_tokens_to_ids(TOKEN)

    @cached_property
    def silent_tokens(self) -> list[int]:
        """Ids that a policy must not sample, as they stand for images and ECGs."""
        names = [IMAGE, VIDEO, VISION_START, VISION_END, TOKEN]
        ids = self.tokenizer.get_vocab()
        return sorted(ids[name] for name in names if name in ids)

    @property
    def pad_token_id(self) -> int:
        """Id of padding."""
        return self.tokenizer.pad_token_id

    @property
    def eos_token_id(self) -> int:
        """Id that ends a response."""
        return self.tokenizer.eos_token_id

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """Patches across and down of an image of (width, height) pixels after resizing.

        Raises UnsupportedFormat for an image over 200 times as long as it is wide.
        """
        from qoqdata.stream.decode.budget import smart_size

        wide, tall = smart_size(
            (width, height),
            min_pixels=self.image_processor.size["shortest_edge"],
            max_pixels=self.image_processor.size["longest_edge"],
            multiple=self.image_processor.patch_size * self.image_processor.merge_size,
        )
        return wide // self.image_processor.patch_size, tall // self.image_processor.patch_size

    def seen_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) in pixels at which the policy sees an image of that size."""
        across, down = self.grid(width, height)
        return across * self.image_processor.patch_size, down * self.image_processor.patch_size

    def image_tokens(self, width: int, height: int) -> int:
        """Tokens of an image of (width, height) pixels."""
        across, down = self.grid(width, height)
        return across * down // self.image_processor.merge_size**2

    def pixels(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """float32 (patches, values) and int64 (images, 3) grids of uint8 (H, W, 3) images."""
        patches = self.image_processor(
            images=list(images), return_tensors="pt", input_data_format="channels_last"
        )
        values = np.asarray(patches["pixel_values"].float())
        return values, np.asarray(patches["image_grid_thw"].long())

    def decode(self, ids: Sequence[int]) -> str:
        """The text of response ids, without special tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)


def make_processor(
    tokenizer: Any, image_processor: Any, family: Family, ecg: EcgConfig | None, where: str
) -> Processor:
    """A processor of parts; adds the ECG placeholder and a chat template where they are missing.

    Raises UsageError for a tokenizer without Qwen's image placeholders or without padding.
    """
    vocabulary = tokenizer.get_vocab()
    if missing := [name for name in (IMAGE, VISION_START, VISION_END) if name not in vocabulary]:
        raise UsageError(f"the tokenizer has no {missing[0]}", where=where)
    if tokenizer.pad_token_id is None or tokenizer.eos_token_id is None:
        raise UsageError("the tokenizer has no padding or no end token", where=where)
    tokenizer.padding_side = "left"
    if ecg is not None and TOKEN not in vocabulary:
        tokenizer.add_tokens([TOKEN], special_tokens=True)
    if not tokenizer.chat_template:
        tokenizer.chat_template = CHATML
    return Processor(tokenizer, image_processor, family, ecg)


def stored_template(name: str | Path) -> str | None:
    """The chat template that a model keeps beside its tokenizer (`chat_template.json`)."""
    path = stored_file(name, "chat_template.json")
    if path is None:
        return None
    try:
        template = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
    except (ValueError, AttributeError) as error:
        raise UsageError("is no chat template", where=str(path)) from error
    return template if isinstance(template, str) else None


def bound(image_processor: Any, min_pixels: int | None, max_pixels: int | None) -> None:
    """Set the bounds of pixels after resizing. Raises UsageError for impossible ones."""
    low = image_processor.size["shortest_edge"] if min_pixels is None else min_pixels
    high = image_processor.size["longest_edge"] if max_pixels is None else max_pixels
    side = image_processor.patch_size * image_processor.merge_size
    if not 0 < low <= high or high < side * side:
        raise UsageError(
            f"images of {low} to {high} pixels are impossible",
            fix=f"min_pixels <= max_pixels, and max_pixels at least {side * side}",
        )
    image_processor.size = type(image_processor.size)(shortest_edge=low, longest_edge=high)
