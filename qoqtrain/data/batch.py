"""Rows as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from qoqdata.errors import UsageError
from qoqtrain.rewards import Truth

_IDS = ("input_ids", "attention_mask", "mm_token_type_ids")
_INPUTS = (*_IDS, "pixel_values", "image_grid_thw", "ecg", "ecg_mask")


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """Prompts of B records, padded on the left to T tokens.

    input_ids, attention_mask, mm_token_type_ids   int64 (B, T)
    pixel_values    float32 (patches, values) of all images, row after row; None without any
    image_grid_thw  int64 (images, 3); None without any
    images        images of each row
    ecg, ecg_mask   float32 mV and bool (windows, leads, samples); None without any
    windows         ECG windows of each row
    facts, truths   of each row
    """

    input_ids: Tensor
    attention_mask: Tensor
    mm_token_type_ids: Tensor
    pixel_values: Tensor | None
    image_grid_thw: Tensor | None
    images: tuple[int, ...]
    ecg: Tensor | None
    ecg_mask: Tensor | None
    windows: tuple[int, ...]
    facts: tuple[Mapping[str, Any], ...]
    truths: tuple[Truth, ...]

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    @property
    def ids(self) -> list[str]:
        """Record ids."""
        return [str(facts.get("id")) for facts in self.facts]

    @property
    def prompt_tokens(self) -> list[int]:
        """Tokens of each prompt without padding."""
        return self.attention_mask.sum(1).tolist()

    def inputs(self) -> dict[str, Tensor]:
        """The arguments of `Policy.forward` and `Policy.generate`."""
        return {name: value for name in _INPUTS if (value := getattr(self, name)) is not None}

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> ModelInputs:
        """The same batch on `device`."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=non_blocking)
            for name, value in self.inputs().items()
        }
        return replace(self, **moved)

    def pin_memory(self) -> ModelInputs:
        """The same batch in pinned memory."""
        pinned: dict[str, Any] = {name: value.pin_memory() for name, value in self.inputs().items()}
        return replace(self, **pinned)

    def take(self, rows: Sequence[int]) -> ModelInputs:
        """A batch of the given rows, in that order and as often as named, with less padding.

        `batch.take([0, 0, 1, 1])` repeats each prompt for two responses.
        """
        if not rows:
            raise UsageError("a batch of no rows")
        order = torch.tensor(list(rows), device=self.input_ids.device)
        mask = self.attention_mask[order]
        longest = int(mask.sum(1).max())
        merged = {name: getattr(self, name)[order][:, -longest:] for name in _IDS}
        images = tuple(self.images[row] for row in rows)
        windows = tuple(self.windows[row] for row in rows)
        pixels, grid = self._images_of(rows)
        ecg, ecg_mask = self._windows_of(rows)
        return ModelInputs(
            **merged,
            pixel_values=pixels,
            image_grid_thw=grid,
            images=images,
            ecg=ecg,
            ecg_mask=ecg_mask,
            windows=windows,
            facts=tuple(self.facts[row] for row in rows),
            truths=tuple(self.truths[row] for row in rows),
        )

    def with_responses(self, responses: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Arguments of `Policy.forward` for prompts followed by responses.

        responses  int64 (B, R), mask int64 or bool (B, R), 1 on tokens of the response

        Padding behind a response stays masked. The logits that predict the responses are those at
        positions T - 1 to T + R - 2: pass `logits_to_keep=R + 1` and drop the last.
        """
        if responses.shape != mask.shape or len(responses) != len(self):
            raise UsageError(
                f"responses {tuple(responses.shape)}, mask {tuple(mask.shape)} for {len(self)} rows"
            )
        given = self.inputs()
        text = torch.zeros_like(responses)
        extra = {
            "input_ids": responses,
            "attention_mask": mask.to(self.attention_mask.dtype),
            "mm_token_type_ids": text,
        }
        return given | {name: torch.cat([given[name], tail], 1) for name, tail in extra.items()}

    def _images_of(self, rows: Sequence[int]) -> tuple[Tensor | None, Tensor | None]:
        if self.pixel_values is None or self.image_grid_thw is None:
            return None, None
        grids = self.image_grid_thw.split(list(self.images))
        patches = [int(grid.prod(-1).sum()) for grid in grids]
        pixels = self.pixel_values.split(patches)
        if not sum(self.images[row] for row in rows):
            return None, None
        return torch.cat([pixels[row] for row in rows]), torch.cat([grids[row] for row in rows])

    def _windows_of(self, rows: Sequence[int]) -> tuple[Tensor | None, Tensor | None]:
        if self.ecg is None or self.ecg_mask is None or not sum(self.windows[row] for row in rows):
            return None, None
        signals, masks = (part.split(list(self.windows)) for part in (self.ecg, self.ecg_mask))
        return torch.cat([signals[row] for row in rows]), torch.cat([masks[row] for row in rows])
