"""The grounding part: claimed boxes against the regions or masks of the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError
from qoqtrain.rewards.coordinates import Size, clipped, ordered, pixel_edges, ratios, scaled
from qoqtrain.rewards.matching import RULES, Box, Patch, Region, Rule, patch_of
from qoqtrain.rewards.normal_form import normal_form
from qoqtrain.rewards.object_list import Mention, ObjectList
from qoqtrain.rewards.part import Part
from qoqtrain.rewards.truth import Truth

Canvases = tuple[tuple[Size, Size] | None, ...] | None

_MAX_VALUES = 256


@dataclass(frozen=True, slots=True)
class Grounds:
    """What there is to find.

    readings  one set of regions for each reader
    canvases  see `canvases_of`
    missing   why there is no truth
    """

    readings: tuple[tuple[Region, ...], ...]
    canvases: Canvases = None
    missing: str | None = None


def grounds_of(truth: Truth, name: Callable[[str], str]) -> Grounds:
    """The regions of a truth.

    Masks come first where any pixel is set: every 8-connected component of every label value is a
    region, without a label. Else the boxes, kept apart by reader where readers are named; `name`
    brings labels to the form in which they are compared. No regions and no set pixel, or the box
    0, 0, 0, 0, is missing truth; an empty list of regions says that there is nothing to find.
    """
    masks = [(image, mask) for image, mask in enumerate(truth.masks or ()) if mask is not None]
    if any(np.any(mask > 0) for _, mask in masks):
        found = tuple(patch for image, mask in masks for patch in patches(image, mask))
        return Grounds((found,), canvases_of(truth))
    if truth.regions is None:
        missing = "no pixel of the mask is set" if masks else "no region is annotated"
        return Grounds((), missing=missing)
    readings: dict[str | None, list[Region]] = {}
    for region in truth.regions:
        if region.is_blank:
            return Grounds((), missing="the box 0, 0, 0, 0 stands for no annotation")
        box = Box(region.image, region.corners, name(region.label))
        readings.setdefault(region.reader, []).append(box)
    return Grounds(tuple(map(tuple, readings.values())) or ((),), canvases_of(truth))


def patches(image: int, mask: NDArray[Any]) -> list[Patch]:
    """8-connected components of each positive value of an (H, W) label map.

    Raises InputError for more than 256 values: that is an image.
    """
    from scipy.ndimage import find_objects, label

    found: list[Patch] = []
    values = np.unique(mask[mask > 0])
    if values.size > _MAX_VALUES:
        raise InputError(f"a mask of {values.size} values is no label map")
    for value in values:
        components, count = label(mask == value, structure=np.ones((3, 3)))
        for number, (rows, columns) in enumerate(find_objects(components, count), start=1):
            pixels = components[rows, columns] == number
            found.append(patch_of(image, columns.start, rows.start, pixels))
    return found


def grounding(
    objects: ObjectList,
    grounds: Grounds,
    *,
    rule: Rule = "matched",
    labelled: bool = False,
    inclusive: bool = False,
    name: Callable[[str], str] = str,
) -> Part:
    """0 to 1 by `rule` (see `matching`); None with status missing_truth without annotation.

    With several readers the one counts that the response agrees with most: what one reader would
    have drawn is right. A response without boxes is right where nothing is annotated. `inclusive`
    reads corners as first and last pixel instead of edges (`coordinates.pixel_edges`).
    """
    if grounds.missing:
        return Part(None, "missing_truth", grounds.missing)
    if objects.reason:
        return Part(0.0, "unparsable", objects.reason)
    boxes = stored_boxes(objects.mentions, grounds.canvases, inclusive=inclusive, name=name)
    claimed = len(objects.mentions)
    value = max(RULES[rule](boxes, claimed, regions, labelled) for regions in grounds.readings)
    if not objects.mentions:
        return Part(value, "no_boxes", "the response names no box")
    return Part(value, "ok", _unusable(claimed - len(boxes)))


def stored_boxes(
    mentions: Sequence[Mention],
    canvases: Canvases,
    *,
    inclusive: bool = False,
    name: Callable[[str], str] = str,
) -> list[Box]:
    """The mentions as boxes in stored pixels: corners ordered, mapped, clipped to the image.

    Those without four numbers, area inside the image, or an image of that index are left out.
    Where no stored size is known the corners are taken to be in stored pixels.
    """
    placed: list[Box] = []
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
        if corners[0] < corners[2] and corners[1] < corners[3]:
            placed.append(Box(image, corners, name(label or "")))
    return placed


def canvases_of(truth: Truth) -> Canvases:
    """(stored size, ratios to it from the policy's frame) of every image of a truth.

    None for an image of unknown size, and altogether where the number of images is unknown.
    """
    known = (truth.stored_sizes, truth.masks, truth.seen_sizes)
    if not (count := max(len(values or ()) for values in known)):
        return None
    sizes = [truth.size(image) for image in range(count)]
    return tuple(
        size
        and (
            size,
            ratios(stored=size, seen=(truth.seen_sizes or sizes)[i] or size, frame=truth.frame),
        )
        for i, size in enumerate(sizes)
    )


def _unusable(count: int) -> str | None:
    return f"{count} claimed boxes have no area in an image" if count else None


def name_of(classes: Mapping[str, str]) -> Callable[[str], str]:
    """Label -> the normal form of what it means, for comparing labels of boxes."""

    def name(label: str) -> str:
        form = normal_form(label)
        return classes.get(form, form)

    return name
