"""How well claimed boxes agree with annotated regions, by intersection over union.

Areas are continuous: a box spans from edge to edge and a mask pixel is a unit square, so a
rectangle drawn as a box and the same rectangle as a mask give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqdata.boxes import Box, Corners, iou, overlap
from qoqdata.errors import InputError
from qoqtrain.rewards.scheme import GroundingRule

_MAX_VALUES = 256


class RegionBox(NamedTuple):
    """A box on image `image`, in stored pixels."""

    image: int
    box: Box
    label: str | None = None

    @property
    def area(self) -> float:
        return self.box.area


@dataclass(frozen=True, slots=True)
class Patch:
    """A set of pixels of image `image`, inside a window whose first pixel is at column, row.

    sums  (h + 1, w + 1) float64; sums[i, j] is the number of pixels in the first i rows and j
          columns of the window (summed-area table)
    """

    image: int
    column: int
    row: int
    sums: NDArray[np.float64]
    label: str | None = None

    @property
    def area(self) -> float:
        return float(self.sums[-1, -1])

    @property
    def window(self) -> Corners:
        """The edges of the window."""
        rows, columns = self.sums.shape
        return self.column, self.row, self.column + columns - 1, self.row + rows - 1


Region = RegionBox | Patch


def patch_of(image: int, column: int, row: int, pixels: NDArray[np.bool_]) -> Patch:
    """The patch of an (h, w) window of set pixels."""
    sums = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1))
    np.cumsum(np.cumsum(pixels, axis=0, dtype=np.float64), axis=1, out=sums[1:, 1:])
    return Patch(image, column, row, sums)


def patches(image: int, mask: NDArray[Any], *, whole: bool = False) -> list[Patch]:
    """8-connected components of each positive value of an (H, W) label map, or with `whole` each
    value in one.

    Raises InputError for more than 256 values: that is an image.
    """
    from scipy.ndimage import find_objects, label

    parts: list[Patch] = []
    values = np.unique(mask[mask > 0])
    if values.size > _MAX_VALUES:
        raise InputError(f"a mask of {values.size} values is no label map")
    for value in values:
        alike = mask == value
        components, count = (
            (alike.astype(np.intp), 1) if whole else label(alike, structure=np.ones((3, 3)))
        )
        for number, (rows, columns) in enumerate(find_objects(components, count), start=1):
            pixels = components[rows, columns] == number
            parts.append(patch_of(image, columns.start, rows.start, pixels))
    return parts


def region_iou(claim: RegionBox, region: Region) -> float:
    """Intersection over union, 0 to 1; 0 on different images."""
    if claim.image != region.image:
        return 0.0
    if isinstance(region, RegionBox):
        return iou(claim.box, region.box)
    x_min, y_min, x_max, y_max = claim.box
    cells = _cell_areas(region, np.array([x_min, x_max]), np.array([y_min, y_max]))
    common = float(cells[0, 0])
    return common / (claim.area + region.area - common) if common > 0 else 0.0


def matched(
    boxes: Sequence[RegionBox], claims: int, regions: Sequence[Region], labelled: bool
) -> float:
    """Panoptic quality of the best one-to-one matching: 2 sum IoU / (claims + regions).

    Every claimed box meets at most one region and every region one box, so that the sum of IoU is
    largest (Hungarian method); misses and extras both cost half a region. Kirillov et al.,
    "Panoptic segmentation", 2019, equation 1, without the threshold on IoU, so that a reward
    exists below it. Several regions are never merged, nor one region covered piecewise.

    claims    boxes of the response, those without area or image included
    labelled  a box meets only regions of its own label (unlabelled masks meet any)
    1 when nothing is claimed and nothing annotated.
    """
    if not claims and not regions:
        return 1.0
    table = [
        [
            region_iou(box, region) if not labelled or _same(box, region) else 0.0
            for region in regions
        ]
        for box in boxes
    ]
    return 2 * _best_sum(table) / (claims + len(regions))


def union(
    boxes: Sequence[RegionBox], claims: int, regions: Sequence[Region], labelled: bool
) -> float:
    """IoU of all claimed boxes together with all regions together, over all images.

    Pieces that together cover a region score as one box does. 1 when nothing is claimed and
    nothing annotated; boxes without area cost nothing. With `labelled`, boxes that share no label
    with any region of their image keep their area and meet nothing.
    """
    if not claims and not regions:
        return 1.0
    common = total = 0.0
    for image in sorted({part.image for part in (*boxes, *regions)}):
        here = [box for box in boxes if box.image == image]
        there = _apart([region for region in regions if region.image == image])
        matches = [
            box for box in here if not labelled or any(_same(box, region) for region in there)
        ]
        both = _union_overlap(matches, there)
        common += both
        total += _area_of_union(here) + _area_of_union(there) - both
    return min(common / total, 1.0) if total > 0 else 0.0


def best(
    boxes: Sequence[RegionBox], claims: int, regions: Sequence[Region], labelled: bool
) -> float:
    """The largest IoU of any claimed box with any region (QoQ-Med, section 3.4).

    Misses and extras cost nothing. 1 when nothing is claimed and nothing annotated.
    """
    if not claims and not regions:
        return 1.0
    pairs = ((box, region) for box in boxes for region in regions)
    return max(
        (region_iou(box, region) for box, region in pairs if not labelled or _same(box, region)),
        default=0.0,
    )


RULES: dict[GroundingRule, Callable[[Sequence[RegionBox], int, Sequence[Region], bool], float]] = {
    "matched": matched,
    "union": union,
    "best": best,
}


def _same(box: RegionBox, region: Region) -> bool:
    return region.label is None or box.label == region.label


def _best_sum(table: Sequence[Sequence[float]]) -> float:
    """Largest sum of entries with no two in a row or column."""
    if not table or not table[0]:
        return 0.0
    if len(table) == 1 or len(table[0]) == 1:
        return max(max(row) for row in table)
    from scipy.optimize import linear_sum_assignment

    scores = np.array(table)
    return float(scores[linear_sum_assignment(scores, maximize=True)].sum())


def _cell_areas(
    patch: Patch, x_edges: NDArray[np.float64], y_edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(m, n) area of the patch in each cell between n + 1 rising x edges and m + 1 y edges.

    The area left of and above a point is bilinear inside a pixel, so interpolating the summed-area
    table gives fractions of pixels exactly.
    """
    top, down = _split(y_edges - patch.row, patch.sums.shape[0] - 1)
    left, across = _split(x_edges - patch.column, patch.sums.shape[1] - 1)
    rows = patch.sums[top] + (patch.sums[top + 1] - patch.sums[top]) * down[:, None]
    corners = rows[:, left] + (rows[:, left + 1] - rows[:, left]) * across
    return np.diff(np.diff(corners, axis=0), axis=1)


def _split(
    places: NDArray[np.float64], length: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Whole pixel and fraction of each place, kept within 0 .. length."""
    places = np.minimum(np.maximum(places, 0.0), length)
    whole = np.minimum(places.astype(np.intp), length - 1)
    return whole, places - whole


def _cells(
    boxes: Sequence[RegionBox],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Distinct x edges (n + 1), y edges (m + 1) and which of the (m, n) cells the boxes cover."""
    corners = np.array([region.box for region in boxes], np.float64)
    x_edges, y_edges = np.unique(corners[:, [0, 2]]), np.unique(corners[:, [1, 3]])
    cover = np.zeros((y_edges.size - 1, x_edges.size - 1), np.bool_)
    for x_min, y_min, x_max, y_max in corners:
        left, right = np.searchsorted(x_edges, (x_min, x_max))
        top, bottom = np.searchsorted(y_edges, (y_min, y_max))
        cover[top:bottom, left:right] = True
    return x_edges, y_edges, cover


def _apart(regions: Sequence[Region]) -> list[Region]:
    """The regions of one image with patches that share a window in one, so that none overlap."""
    apart = [region for region in regions if isinstance(region, RegionBox)]
    windows: list[Patch] = []
    for patch in (region for region in regions if isinstance(region, Patch)):
        while other := next((one for one in windows if overlap(one.window, patch.window)), None):
            windows.remove(other)
            patch = _merged(other, patch)
        windows.append(patch)
    return [*apart, *windows]


def _merged(one: Patch, other: Patch) -> Patch:
    """The pixels that are in either patch."""
    left, top = min(one.column, other.column), min(one.row, other.row)
    right, bottom = max(one.window[2], other.window[2]), max(one.window[3], other.window[3])
    pixels = np.zeros((int(bottom) - top, int(right) - left), np.bool_)
    for patch in (one, other):
        own = np.diff(np.diff(patch.sums, axis=0), axis=1) > 0
        row, column = patch.row - top, patch.column - left
        pixels[row : row + own.shape[0], column : column + own.shape[1]] |= own
    return patch_of(one.image, left, top, pixels)


def _area_of_union(regions: Sequence[Region]) -> float:
    """Area of the union. Patches of one image do not overlap (`_apart`)."""
    boxes = [region for region in regions if isinstance(region, RegionBox)]
    patches = sum(region.area for region in regions if isinstance(region, Patch))
    if not boxes:
        return patches
    x_edges, y_edges, cover = _cells(boxes)
    sizes = np.outer(np.diff(y_edges), np.diff(x_edges))
    return patches + float(sizes[cover].sum())


def _union_overlap(boxes: Sequence[RegionBox], regions: Sequence[Region]) -> float:
    """Area that the union of the boxes shares with the union of the regions."""
    if not boxes or not regions:
        return 0.0
    x_edges, y_edges, cover = _cells(boxes)
    common = 0.0
    for patch in (region for region in regions if isinstance(region, Patch)):
        common += float(_cell_areas(patch, x_edges, y_edges)[cover].sum())
    others = [region for region in regions if isinstance(region, RegionBox)]
    if others:
        both = _area_of_union([*boxes, *others])
        common += _area_of_union(boxes) + _area_of_union(others) - both
    return common
