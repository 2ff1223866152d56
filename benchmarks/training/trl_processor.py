"""What TRL needs to take images where torchvision is absent: a processor of our own parts.

The Qwen processors of transformers need torchvision for videos, and TRL refuses images without a
processor. This one has the same tokenizer and the same image processor as our policy, and lays
prompts out in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import BatchFeature, ProcessorMixin

from qoqtrain.model.processor import IMAGE, VISION_END, VISION_START

Turns = list[dict[str, Any]]


class PillowProcessor(ProcessorMixin):
    """Tokenizer and image processor, with the calls that GRPOTrainer makes."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        super().__init__(image_processor, tokenizer)

    def apply_chat_template(self, conversation: Any, *_: Any, **options: Any) -> Any:
        """Text of the prompts, or ids and images; `conversation` is one or a list of them."""
        many = isinstance(conversation[0], list)
        prompts: list[Turns] = conversation if many else [conversation]
        texts = [self._text(prompt) for prompt in prompts]
        if not options.get("tokenize"):
            return texts if many else texts[0]
        return self(images=[_images(prompt) for prompt in prompts], text=texts)

    def __call__(
        self,
        images: Sequence[Sequence[Any] | None] | None = None,
        text: Any = None,
        padding: bool = False,
        return_tensors: str | None = None,
        **options: Any,
    ) -> BatchFeature:
        """Ids, and pixels of all images; every placeholder becomes the tokens of its image."""
        del options
        flat = [image for row in images or () for image in row or ()]
        pixels = dict(self.image_processor(images=flat, return_tensors="pt")) if flat else {}
        grids = pixels["image_grid_thw"].prod(-1).tolist() if flat else []
        tokens = iter([grid // self.image_processor.merge_size**2 for grid in grids])
        texts = []
        for template in text:
            head, *rest = template.split(IMAGE)
            texts.append(head + "".join(IMAGE * next(tokens) + part for part in rest))
        encoding = self.tokenizer(
            texts,
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

    def _text(self, prompt: Turns) -> str:
        turns = []
        for turn in prompt:
            parts = [
                part["text"] if part["type"] == "text" else f"{VISION_START}{IMAGE}{VISION_END}"
                for part in turn["content"]
            ]
            turns.append({"role": turn["role"], "content": "".join(parts)})
        return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


def _images(prompt: Turns) -> list[Any]:
    return [part["image"] for turn in prompt for part in turn["content"] if part["type"] == "image"]
