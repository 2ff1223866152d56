"""Regions from mask boxes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from qoqdata.records.content import Region

if TYPE_CHECKING:
    from qoqdata.readers.masks import LabelBox


def from_boxes(
    boxes: Iterable[LabelBox], *, image: int, reader: str | None = None
) -> tuple[Region, ...]:
    """Regions of image `image` from the boxes of its mask, in stored pixels."""
    return tuple(
        Region(box.label, image, box.x_min, box.y_min, box.x_max, box.y_max, box.area, reader)
        for box in boxes
    )
