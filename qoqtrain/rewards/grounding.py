"""The grounding part: claimed boxes against the regions or masks of the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qoqdata.boxes import Box, Size, clipped, ordered, pixel_edges, ratios, scaled, with_area
from qoqtrain.rewards.matching import RULES, Region, RegionBox, patches
from qoqtrain.rewards.object_list import Mention, ObjectList
from qoqtrain.rewards.scheme import GroundingRule, Part
from qoqtrain.rewards.truth import Truth

Canvases = tuple[tuple[Size, Size] | None, ...] | None


class Reading(NamedTuple):
    """The regions of one reader. `apart`: they are told one from the other; the components of a
    mask that says only what each pixel is are not, since two lesions may touch and one lesion may
    lie in pieces."""

    regions: tuple[Region, ...]
    apart: bool = True


@dataclass(frozen=True, slots=True)
class Grounds:
    """What there is to find.

    readings  what each reader drew
    canvases  see `canvases_of`
    missing   why there is no truth
    """

    readings: tuple[Reading, ...]
    canvases: Canvases = None
    missing: str | None = None


def grounds_of(truth: Truth, name: Callable[[str], str]) -> Grounds:
    """The regions of a truth.

    Masks come first where any pixel is set: every 8-connected component of every label value is a
    region, without a label; of a mask that shows one instance, all pixels of a value are. Else the
    boxes; `name` brings labels to the form in which they are compared. Both are kept apart by
    reader where readers are named, and a reader whose masks are empty found nothing. No regions
    and no set pixel, or the box 0, 0, 0, 0, is missing truth; an empty list of regions says that
    there is nothing to find.
    """
    masks = truth.placed_masks
    readings: dict[str | None, list[Region]] = {}
    semantic: set[str | None] = set()
    if any(np.any(mask > 0) for _, mask in masks):
        for place, mask in masks:
            whole = place.instance is not None
            semantic |= set() if whole else {place.reader}
            readings.setdefault(place.reader, []).extend(patches(place.image, mask, whole=whole))
        drawn = [Reading(tuple(parts), who not in semantic) for who, parts in readings.items()]
        return Grounds(tuple(drawn), canvases_of(truth))
    if truth.regions is None:
        missing = "no pixel of the mask is set" if masks else "no region is annotated"
        return Grounds((), missing=missing)
    for region in truth.regions:
        if region.is_blank:
            return Grounds((), missing="the box 0, 0, 0, 0 stands for no annotation")
        box = RegionBox(region.image, Box(*region.corners), name(region.label))
        readings.setdefault(region.reader, []).append(box)
    boxes = [Reading(tuple(parts)) for parts in readings.values()] or [Reading(())]
    return Grounds(tuple(boxes), canvases_of(truth))


def grounding(
    objects: ObjectList,
    grounds: Grounds,
    *,
    rule: GroundingRule = "matched",
    labelled: bool = False,
    inclusive: bool = False,
    name: Callable[[str], str] = str,
) -> Part:
    """0 to 1 by `rule` (see `matching`); None with status missing_truth without annotation.

    "matched" takes instances one by one; where a mask tells none apart, the union of all claims
    with all its pixels counts too, whichever is more. With several readers the one counts that the
    response agrees with most: what one reader would have drawn is right. A response without boxes
    is right where nothing is annotated. `inclusive` reads corners as first and last pixel instead
    of edges (`qoqdata.boxes.pixel_edges`).
    """
    if grounds.missing:
        return Part(None, "missing_truth", grounds.missing)
    if objects.reason:
        return Part(0.0, "unparsable", objects.reason)
    boxes = stored_boxes(objects.mentions, grounds.canvases, inclusive=inclusive, name=name)
    claims = len(objects.mentions)
    value = max(
        RULES[one](boxes, claims, reading.regions, labelled)
        for reading in grounds.readings
        for one in (rule, "union")
        if one == rule or (rule == "matched" and not reading.apart)
    )
    if not objects.mentions:
        return Part(value, "no_boxes", "the response names no box")
    return Part(value, "ok", _unusable(claims - len(boxes)))


def stored_boxes(
    mentions: Sequence[Mention],
    canvases: Canvases,
    *,
    inclusive: bool = False,
    name: Callable[[str], str] = str,
) -> list[RegionBox]:
    """The mentions as boxes in stored pixels: corners ordered, mapped, clipped to the image.

    Those without four numbers, area inside the image, or an image of that index are left out.
    Where no stored size is known the corners are taken to be in stored pixels.
    """
    boxes: list[RegionBox] = []
    for label, image, corners in mentions:
        if corners is None or image < 0:
            continue
        corners = pixel_edges(corners) if inclusive else ordered(corners)
        if canvases is not None:
            if image >= len(canvases):
                continue
            if canvas := canvases[image]:
                size, by = canvas
                corners = clipped(scaled(corners, by), size)
        if box := with_area(corners):
            boxes.append(RegionBox(image, box, name(label or "")))
    return boxes


def canvases_of(truth: Truth) -> Canvases:
    """(stored size, ratios to it from the policy's frame) of every image of a truth.

    None for an image of unknown size, and altogether where the number of images is unknown.
    """
    if not (count := truth.images):
        return None
    sizes = [truth.size(image) for image in range(count)]
    return tuple(
        size
        and (
            size,
            ratios(
                stored_size=size,
                seen_size=(truth.seen_sizes or sizes)[i] or size,
                frame=truth.frame,
            ),
        )
        for i, size in enumerate(sizes)
    )


def _unusable(count: int) -> str | None:
    return f"{count} claimed boxes have no area in an image" if count else None
