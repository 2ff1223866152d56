"""Readers' boxes on a film: all of them to be found, and one of them to be named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qoqdata.boxes import cut, iou, turned, within_pixel
from qoqdata.records.content import Image, Region
from qoqdata.sources.asking import pick
from qoqdata.sources.protocol import Skipped

#: What a given box is called: its finding is what is asked.
GIVEN = "abnormality"
#: Boxes of different findings that share so much are of one place.
SAME_PLACE = 0.5


def regions_of(
    facts: Mapping[str, Any], image: Image
) -> tuple[tuple[Region, ...], tuple[str, ...]] | Skipped:
    """Boxes in pixels of the image, and a note where some reached over its edge."""
    boxes = facts["boxes"]
    if not facts["agree"]:
        what = "readers' boxes and labels name different findings"
        return Skipped("boxes", "boxes_and_labels", what)
    if 2 * len({reader for reader, *_ in boxes}) <= facts["readers"]:
        return Skipped("boxes", "no_majority", "most readers drew no box")
    width, height = image.width, image.height
    across = width / (image.original_width or width)
    down = height / (image.original_height or height)
    regions, clipped = [], 0
    # The table gives them in pixels of the file, which the image may have been turned from.
    file_size = image.original_width or width, image.original_height or height
    if image.turn >= 5:
        file_size = file_size[::-1]
    for reader, label, corners in boxes:
        x_min, y_min, x_max, y_max = turned(tuple(corners), file_size, image.turn)
        stated = (x_min * across, y_min * down, x_max * across, y_max * down)
        box = cut(stated, (width, height))
        if box is None:
            return Skipped("boxes", "box_outside", f"a box of {label} {_fault(corners)}")
        clipped += box != stated
        region = Region(label, 0, *box, reader=reader or None)
        if region not in regions:  # a row that stands twice draws one box
            regions.append(region)
    return tuple(regions), (f"{clipped} boxes cut at the image's edge",) if clipped else ()


def _fault(corners: Sequence[float]) -> str:
    x_min, y_min, x_max, y_max = corners
    if x_max <= x_min or y_max <= y_min:
        return "ends before it begins"
    inside = within_pixel((x_min, y_min, x_max, y_max))
    return "is less than a pixel" if inside else "lies outside of the image"


def one_to_name(
    regions: Sequence[Region], votes: Mapping[str, int], readers: int, *, key: str
) -> tuple[Region, str] | Skipped:
    """A given box and its finding, which most readers saw and no box of another finding covers.

    Of several the image's key picks one.
    """
    clear = [
        region
        for region in regions
        if 2 * votes[region.label] > readers
        and all(
            iou(_corners(region), _corners(other)) < SAME_PLACE
            for other in regions
            if other.label != region.label
        )
    ]
    if not clear:
        what = "no box is of a finding that most readers saw and of no other"
        return Skipped("marked", "no_clear_box", what)
    chosen = clear[pick(key, len(clear))]
    return replace(chosen, label=GIVEN, role="given"), chosen.label


def _corners(region: Region) -> tuple[float, float, float, float]:
    return region.x_min, region.y_min, region.x_max, region.y_max
