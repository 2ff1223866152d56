"""What GRPOTrainer needs to take images where torchvision is absent: a processor of our own parts.

The Qwen processors of transformers need torchvision for videos, and TRL refuses images without a
processor. This one has the tokenizer and the image processor of our own policies
(`qoqtrain.model.processor`), and lays prompts out as they do:

    DRPOTrainer(MODEL, processing_class=TrlProcessor.from_pretrained(MODEL), ...)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import BatchFeature, ProcessorMixin

from qoqdata.errors import InputError
from qoqtrain.data.images import rgb
from qoqtrain.model.processor import IMAGE, VISION_END, VISION_START, Processor

Turns = list[dict[str, Any]]


class TrlProcessor(ProcessorMixin):
    """Tokenizer and image processor, with the calls that GRPOTrainer makes."""

    # Attributes of the parent, whose types are left open there.
    image_processor: Any
    tokenizer: Any

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        super().__init__(image_processor, tokenizer)  # type: ignore[no-untyped-call]

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, name: str | Path, *, min_pixels: int | None = None, max_pixels: int | None = None
    ) -> TrlProcessor:
        """The processor of a model by hub name or folder, such as a checkpoint of TRL.

        `min_pixels` and `max_pixels` replace the stored bounds of an image after resizing. Raises
        UsageError where the model or a part of it is missing, or of a family that is not Qwen's.
        """
        parts = Processor.from_pretrained(name, min_pixels=min_pixels, max_pixels=max_pixels)
        return cls(parts.image_processor, parts.tokenizer)

    def save_pretrained(self, save_directory: str | Path, **_: Any) -> None:  # type: ignore[override]
        """Write both parts, and no name of this class: any reader of the model's family takes them.

        Nothing is pushed anywhere.
        """
        self.tokenizer.save_pretrained(save_directory)
        self.image_processor.save_pretrained(save_directory)

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any:  # type: ignore[override]
        """Text of the prompts or, with `tokenize`, their ids and images.

        `conversation` is a list of turns or a list of such lists; the content of a turn is text, or
        a list of parts, {"type": "text", "text": ...} and {"type": "image", "image": ...}. Raises
        InputError for parts of other kinds, and for text that holds the mark of an image.
        """
        many = isinstance(conversation[0], list)
        prompts: list[Turns] = conversation if many else [conversation]
        tokenize = options.pop("tokenize", False)
        options.pop("return_dict", None)
        texts = [
            self.tokenizer.apply_chat_template([_plain(turn) for turn in prompt], tokenize=False,
                                               **options)
            for prompt in prompts
        ]  # fmt: skip
        if not tokenize:
            return texts if many else texts[0]
        return self(images=[_images(prompt) for prompt in prompts], text=texts)

    def __call__(
        self,
        images: Sequence[Sequence[Any] | None] | None = None,
        text: Sequence[str] | str = (),
        padding: bool = False,
        return_tensors: str | None = None,
        **_: Any,
    ) -> BatchFeature:
        """Ids of texts (padded on the left where asked), and pixels of all images in one stack.

        images  for each text those that it shows, as PIL images, uint8 arrays or encoded bytes
        text    with one placeholder an image, which becomes as many as the image has tokens

        `pixel_values` are float32 (patches, values), `image_grid_thw` (images, 3), and
        `mm_token_type_ids`, shaped as `input_ids`, are 1 at tokens of images. Raises InputError
        where a text has more or fewer placeholders than images, and for an image that cannot be
        shown.
        """
        texts = [text] if isinstance(text, str) else list(text)
        shown = [list(row or ()) for row in images or [()] * len(texts)]
        flat = [rgb(image, "images") for row in shown for image in row]
        pixels: dict[str, Any] = {}
        if flat:
            pixels = dict(
                self.image_processor(
                    images=flat, return_tensors="pt", input_data_format="channels_last"
                )
            )
        grids = pixels["image_grid_thw"].prod(-1).tolist() if flat else []
        tokens = iter([grid // self.image_processor.merge_size**2 for grid in grids])
        expanded = []
        for template, row in zip(texts, shown, strict=True):
            head, *rest = template.split(IMAGE)
            if len(rest) != len(row):
                what = f"a prompt has {len(rest)} places of images, and {len(row)} images"
                raise InputError(what, where=template[:80])
            expanded.append(head + "".join(IMAGE * next(tokens) + part for part in rest))
        encoding = self.tokenizer(
            expanded,
            padding=padding,
            return_tensors=return_tensors,
            add_special_tokens=False,
            return_token_type_ids=False,
        )
        image = self.tokenizer.convert_tokens_to_ids(IMAGE)
        ids = encoding["input_ids"]
        if return_tensors is None:
            encoding["mm_token_type_ids"] = [[int(token == image) for token in row] for row in ids]
        else:
            encoding["mm_token_type_ids"] = (ids == image).long()
        return BatchFeature({**encoding, **pixels})


def _plain(turn: dict[str, Any]) -> dict[str, Any]:
    """A turn whose content is text, with a placeholder for each image."""
    content = turn["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or ()
    return {**turn, "content": "".join(map(_part, parts))}


def _part(part: dict[str, Any]) -> str:
    if part["type"] == "image":
        return f"{VISION_START}{IMAGE}{VISION_END}"
    if part["type"] != "text":
        raise InputError(
            f"a prompt with a part of type {part['type']!r}", fix="text and image only"
        )
    if IMAGE in part["text"]:
        raise InputError(
            f"a text holds {IMAGE}, which stands for an image",
            where=part["text"][:80],
            fix="leave the record out, as `qoqdata export --to trl` does",
        )
    return str(part["text"])


def _images(prompt: Turns) -> list[Any]:
    return [
        part["image"]
        for turn in prompt
        if isinstance(turn["content"], list)
        for part in turn["content"]
        if part["type"] == "image"
    ]
