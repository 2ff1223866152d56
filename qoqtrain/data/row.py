"""One record, ready to be put into a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqtrain.data.ecg import EcgWindows
from qoqtrain.rewards import Truth

#: Columns that stay with a row; images, signals and masks do not.
KEPT = ("id", "source", "domain", "modality", "task", "split", "answer", "reasoning", "position")


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
