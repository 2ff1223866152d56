"""Rows, one for each record, and batches of them as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qoqdata.errors import UsageError
from qoqtrain.data.ecg import EcgWindows
from qoqtrain.model.branches import PADDING, PROMPT
from qoqtrain.rewards import Truth

#: Columns that stay with a row; images, signals and masks do not.
KEPT = (
    *("id", "source", "domain", "modality", "task", "kind", "split", "answer", "reasoning"),
    "position",
)


@dataclass(frozen=True, eq=False)
class Row:
    """What the policy is shown of one record, and what its answer is held against.

    facts         the columns of `KEPT` that the record has
    input_ids     int64 (tokens,)
    is_image      bool (tokens,)
    pixel_values  float32 (patches, values), or None without images
    grid          int64 (images, 3): time, down, across in patches; or None
    ecg           windows, or None
    truth         with the sizes and the frame that the policy saw
    """

    facts: Mapping[str, Any]
    input_ids: NDArray[np.int64]
    is_image: NDArray[np.bool_]
    pixel_values: NDArray[np.float32] | None
    grid: NDArray[np.int64] | None
    ecg: EcgWindows | None
    truth: Truth

    @property
    def id(self) -> str:
        """The record's id."""
        return str(self.facts.get("id"))

    @property
    def tokens(self) -> int:
        """Length of the prompt."""
        return len(self.input_ids)


_IDS = ("input_ids", "attention_mask", "mm_token_type_ids")
_INPUTS = (*_IDS, "pixel_values", "image_grid_thw", "ecg", "ecg_mask")


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """Prompts of B records, padded on the left to T tokens.

    input_ids, attention_mask, mm_token_type_ids   int64 (B, T)
    pixel_values    float32 (patches, values) of all images, row after row; None without any
    image_grid_thw  int64 (images, 3); None without any
    image_counts    images of each row
    ecg, ecg_mask   float32 mV and bool (windows, leads, samples); None without any
    window_counts   ECG windows of each row
    facts, truths   of each row
    """

    input_ids: Tensor
    attention_mask: Tensor
    mm_token_type_ids: Tensor
    pixel_values: Tensor | None
    image_grid_thw: Tensor | None
    image_counts: tuple[int, ...]
    ecg: Tensor | None
    ecg_mask: Tensor | None
    window_counts: tuple[int, ...]
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
        tensors: dict[str, Any] = {
            name: value.to(device, non_blocking=non_blocking)
            for name, value in self.inputs().items()
        }
        return replace(self, **tensors)

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
        pixels, grid = self._images_of(rows)
        ecg, ecg_mask = self._windows_of(rows)
        return ModelInputs(
            **merged,
            pixel_values=pixels,
            image_grid_thw=grid,
            image_counts=tuple(self.image_counts[row] for row in rows),
            ecg=ecg,
            ecg_mask=ecg_mask,
            window_counts=tuple(self.window_counts[row] for row in rows),
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
        inputs = self.inputs()
        text = torch.zeros_like(responses)
        extra = {
            "input_ids": responses,
            "attention_mask": mask.to(self.attention_mask.dtype),
            "mm_token_type_ids": text,
        }
        return inputs | {name: torch.cat([inputs[name], tail], 1) for name, tail in extra.items()}

    def with_branches(self, responses: Sequence[Sequence[Sequence[int]]]) -> dict[str, Tensor]:
        """Arguments of `Policy.forward` for prompts, each followed by all of its `responses`.

        Every prompt is there once, and so are its images (see `qoqtrain.model.branches`). The
        logits that predict the responses, one after the other, are those from position T - 1 on;
        behind the last of a row comes padding.
        """
        prompt = self.input_ids.shape[1] - 1
        lengths = [sum(len(one) for one in group) for group in responses]
        width = max(lengths)
        tail = self.input_ids[:, -1:].expand(-1, width).clone()
        segments = torch.full_like(tail, PADDING)
        for row, group in enumerate(responses):
            at = 0
            for number, one in enumerate(group, 1):
                end = at + len(one)
                tail[row, at + 1 : end] = torch.tensor(one[:-1], dtype=torch.long)
                segments[row, at:end] = number
                at = end
        own = torch.where(self.attention_mask[:, :prompt] > 0, PROMPT, PADDING)
        segments = torch.cat([own, segments], 1)
        ids = torch.cat([self.input_ids[:, :prompt], tail], 1)
        types = torch.cat([self.mm_token_type_ids[:, :prompt], torch.zeros_like(tail)], 1)
        present = (segments != PADDING).long()
        changed = {"input_ids": ids, "mm_token_type_ids": types, "attention_mask": present}
        return self.inputs() | changed | {"segments": segments}

    def _images_of(self, rows: Sequence[int]) -> tuple[Tensor | None, Tensor | None]:
        if self.pixel_values is None or self.image_grid_thw is None:
            return None, None
        grids = self.image_grid_thw.split(list(self.image_counts))
        patches = [int(grid.prod(-1).sum()) for grid in grids]
        pixels = self.pixel_values.split(patches)
        if not sum(self.image_counts[row] for row in rows):
            return None, None
        return torch.cat([pixels[row] for row in rows]), torch.cat([grids[row] for row in rows])

    def _windows_of(self, rows: Sequence[int]) -> tuple[Tensor | None, Tensor | None]:
        counts = list(self.window_counts)
        if self.ecg is None or self.ecg_mask is None or not sum(counts[row] for row in rows):
            return None, None
        signals, masks = self.ecg.split(counts), self.ecg_mask.split(counts)
        return torch.cat([signals[row] for row in rows]), torch.cat([masks[row] for row in rows])
