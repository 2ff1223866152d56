"""Streamed records to batches: what the policy is shown, and what its response is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qoqdata.errors import InputError, QoqdataError, UsageError
from qoqtrain.data.batch import KEPT, ModelInputs, Row
from qoqtrain.data.chat import Chat
from qoqtrain.data.ecg import EcgPlaces, EcgWindows, ecg_windows
from qoqtrain.data.images import rgb
from qoqtrain.data.prompt import Boxes, Part, prompt
from qoqtrain.model.processor import Processor
from qoqtrain.rewards import Truth, truth_of_record

#: Width and height of an image in pixels, as it is stored.
StoredSize = tuple[int, int]

#: What is done with a record that cannot be shown: stop, or leave it out and count it.
Unfit = Literal["refuse", "skip"]


class TooLong(UsageError):
    """A prompt of more tokens than allowed; it is never shortened."""

    code = "too_long"


@dataclass(eq=False)
class Collator:
    """Records to batches for one processor.

    max_prompt_tokens  longest prompt; a longer one is never cut
    unfit              "refuse" raises for a record that cannot be shown, "skip" leaves it out
    boxes              when regions are asked for (see `prompt.prompt`)
    system             text of a system turn, or None
    skipped            how many records were left out, by the `code` of the error
    """

    processor: Processor
    max_prompt_tokens: int | None = 4096
    unfit: Unfit = "refuse"
    boxes: Boxes = "annotated"
    system: str | None = None
    skipped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chat = Chat(self.processor, self.system)

    @property
    def layout_bytes(self) -> int:
        """Bytes of what the chat template writes around the user's turn."""
        return len(f"{self._chat.before}{self._chat.after}".encode())

    @property
    def opened(self) -> str:
        """What the chat template itself writes of every response; it belongs to the scored text."""
        return self._chat.opened

    def response_text(self, tokens: Sequence[int]) -> str:
        """The text of a response that is scored: what the template writes of it, then `tokens`."""
        return self.opened + self.processor.decode(tokens)

    def __call__(self, records: Sequence[Mapping[str, Any]]) -> ModelInputs:
        """One batch. Raises UsageError where no record is left of it, and as `row`."""
        rows = self.rows(records)
        if not rows:
            raise UsageError(
                f"none of {len(records)} records can be shown", fix="see the reasons in `skipped`"
            )
        return self.batch(rows)

    def rows(self, records: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The rows of those records that can be shown; the others raise or are counted."""
        rows = []
        for record in records:
            try:
                rows.append(self.row(record))
            except (InputError, TooLong) as error:
                if self.unfit == "refuse":
                    raise
                self.skipped[error.code] += 1
        return rows

    def row(self, record: Mapping[str, Any]) -> Row:
        """One record ready for a batch. The only step that costs time; threads may share it.

        Raises TooLong for a prompt over the limit, InputError for images or an ECG that cannot be
        shown, for a region that the question gives on an image that is not shown, and for a record
        that shows nothing, UsageError where the policy has no ECG branch.
        """
        where = f"record {record.get('id')}"
        try:
            return self._row(record, where)
        except QoqdataError as error:
            if error.where is None:
                error.where = where
            raise

    def _row(self, record: Mapping[str, Any], where: str) -> Row:
        processor = self.processor
        images = [rgb(image, where) for image in record.get("images") or ()]
        sizes = [(image.shape[1], image.shape[0]) for image in images]
        ecg = self._windows(record, where)
        ids = self.prompt_ids(record, sizes, ecg)
        pixels, grid = processor.pixels(images) if images else (None, None)
        input_ids = np.asarray(ids, dtype=np.int64)
        return Row(
            facts={name: record[name] for name in KEPT if name in record},
            input_ids=input_ids,
            is_image=input_ids == processor.image_token_id,
            pixel_values=pixels,
            grid=grid,
            ecg=ecg,
            truth=self.truth(record, sizes),
        )

    def prompt_ids(
        self, record: Mapping[str, Any], sizes: Sequence[StoredSize], ecg: EcgPlaces | None = None
    ) -> list[int]:
        """Token ids of a record's prompt; no pixel and no signal is looked at.

        `sizes` (width, height) of its images as stored, `ecg` the windows that it shows. Raises
        TooLong and InputError as `row`.
        """
        where = f"record {record.get('id')}"
        image_tokens = [self.processor.image_tokens(*size) for size in sizes]
        parts = self.parts(record, sizes, ecg)
        ids = self._chat.ids(parts, image_tokens, ecg.tokens if ecg else ())
        if self.max_prompt_tokens is not None and len(ids) > self.max_prompt_tokens:
            raise TooLong(
                f"a prompt of {len(ids)} tokens, {sum(image_tokens)} of them of "
                f"{len(sizes)} images; {self.max_prompt_tokens} are allowed",
                where=where,
                fix="raise max_prompt_tokens, lower max_pixels or the number of images",
            )
        return ids

    def served_ids(self, record: Mapping[str, Any]) -> list[int]:
        """The ids of a prompt as engines take it: one placeholder for each of its images, which
        they read themselves."""
        sizes = [(int(one["width"]), int(one["height"])) for one in record.get("image_info") or ()]
        return self._chat.ids(self.parts(record, sizes), [1] * len(sizes), ())

    def parts(
        self, record: Mapping[str, Any], sizes: Sequence[StoredSize], ecg: EcgPlaces | None = None
    ) -> list[Part]:
        """The user turn of a record; arguments as in `prompt_ids`. Raises InputError for one that
        shows nothing and for a region that is given on an image that is not shown."""
        if not sizes and ecg is None and not record.get("context"):
            where, fix = f"record {record.get('id')}", "leave out records that show nothing"
            raise InputError("shows the policy nothing", where=where, fix=fix)
        return prompt(
            record,
            seen_sizes=[self.processor.seen_size(*size) for size in sizes],
            windows=ecg.captions if ecg else (),
            frame=self.processor.family.frame,
            boxes=self.boxes,
        )

    def truth(self, record: Mapping[str, Any], sizes: Sequence[StoredSize]) -> Truth:
        """What the response to a record is held against; `sizes` as in `truth_seen`."""
        return truth_seen(record, self.processor, sizes)

    def _windows(self, record: Mapping[str, Any], where: str) -> EcgWindows | None:
        ecg = record.get("ecg")
        if ecg is None:
            return None
        if self.processor.ecg is None:
            raise UsageError(
                "holds an ECG, and the policy has no ECG branch",
                where=where,
                fix="load the policy with ECG settings, or stream without these records",
            )
        return ecg_windows(ecg, self.processor.ecg, where)

    def batch(self, rows: Sequence[Row]) -> ModelInputs:
        """Rows as one batch, padded on the left."""
        longest = max(row.tokens for row in rows)
        ids = torch.full((len(rows), longest), self.processor.pad_token_id, dtype=torch.long)
        mask = torch.zeros_like(ids)
        types = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            start = longest - row.tokens
            ids[index, start:] = torch.from_numpy(row.input_ids)
            mask[index, start:] = 1
            types[index, start:] = torch.from_numpy(row.is_image).long()
        ecgs = [row.ecg for row in rows if row.ecg is not None]
        return ModelInputs(
            input_ids=ids,
            attention_mask=mask,
            mm_token_type_ids=types,
            pixel_values=_stacked([row.pixel_values for row in rows]),
            image_grid_thw=_stacked([row.grid for row in rows]),
            image_counts=tuple(0 if row.grid is None else len(row.grid) for row in rows),
            ecg=_stacked([ecg.signal for ecg in ecgs]),
            ecg_mask=_stacked([ecg.valid for ecg in ecgs]),
            window_counts=tuple(0 if row.ecg is None else len(row.ecg.tokens) for row in rows),
            facts=tuple(row.facts for row in rows),
            truths=tuple(row.truth for row in rows),
        )


def _stacked(parts: Sequence[NDArray[Any] | None]) -> Tensor | None:
    arrays = [torch.from_numpy(part) for part in parts if part is not None]
    return torch.cat(arrays) if arrays else None


def truth_seen(
    record: Mapping[str, Any], processor: Processor, sizes: Sequence[tuple[int, int]]
) -> Truth:
    """The truth of a record whose images are handed to `processor` in `sizes` (width, height).

    Regions stay in the pixels that `image_info` counts; the policy's corners are mapped to them:
    absolute pixels after the smart resize for Qwen2.5-VL, thousandths for Qwen3-VL. A record that
    shows no image has no regions to find. Raises as `qoqtrain.rewards.truth_of_record`.
    """
    if not sizes:
        return truth_of_record({**record, "regions": None, "image_info": None})
    seen = [processor.seen_size(*size) for size in sizes]
    frame = processor.family.frame
    return truth_of_record(record, seen_sizes=seen, frame=frame)
