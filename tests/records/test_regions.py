"""Regions from the boxes of a mask."""

from __future__ import annotations

from qoqdata.readers.masks import LabelBox
from qoqdata.records.content import Region
from qoqdata.records.regions import from_boxes


def test_boxes_become_regions_of_their_image() -> None:
    boxes = [LabelBox("kidney", 1, 2, 3, 8, 9, 20), LabelBox("cyst", 3, 0, 0, 1, 1, 1)]
    assert from_boxes(boxes, image=4, reader="r1") == (
        Region("kidney", 4, 2, 3, 8, 9, 20, "r1"),
        Region("cyst", 4, 0, 0, 1, 1, 1, "r1"),
    )


def test_no_box_is_no_region() -> None:
    assert from_boxes((), image=0) == ()
