"""How well claimed boxes agree with annotated regions, by intersection over union.

Areas are continuous: a box spans from edge to edge and a mask pixel is a unit square, so a
rectangle drawn as a box and the same rectangle as a mask give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqtrain.rewards.coordinates import Corners

Rule = Literal["matched", "union", "best"]


class Box(NamedTuple):
    """A box with area on image `image`: ordered edges in stored pixels."""

    image: int
    corners: Corners
    label: str | None = None

    @property
    def area(self) -> float:
        x_min, y_min, x_max, y_max = self.corners
        return (x_max - x_min) * (y_max - y_min)


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


Region = Box | Patch


def patch_of(image: int, column: int, row: int, pixels: NDArray[np.bool_]) -> Patch:
    """The patch of an (h, w) window of set pixels."""
    sums = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1))
    np.cumsum(np.cumsum(pixels, axis=0, dtype=np.float64), axis=1, out=sums[1:, 1:])
    return Patch(image, column, row, sums)


def iou(box: Box, region: Region) -> float:
    """Intersection over union, 0 to 1; 0 on different images."""
    if box.image != region.image:
        return 0.0
    if isinstance(region, Box):
        shared = _box_overlap(box.corners, region.corners)
    else:
        x_min, y_min, x_max, y_max = box.corners
        shared = float(
            _cell_areas(region, np.array([x_min, x_max]), np.array([y_min, y_max]))[0, 0]
        )
    return shared / (box.area + region.area - shared) if shared > 0 else 0.0


def matched(boxes: Sequence[Box], claimed: int, regions: Sequence[Region], labelled: bool) -> float:
    """Panoptic quality of the best one-to-one matching: 2 sum IoU / (claimed + annotated).

    Every claimed box meets at most one region and every region one box, so that the sum of IoU is
    largest (Hungarian method); misses and extras both cost half a region. Kirillov et al.,
    "Panoptic segmentation", 2019, equation 1, without the threshold on IoU, so that a reward
    exists below it. Several regions are never merged, nor one region covered piecewise.

    claimed   boxes of the response, those without area or image included
    labelled  a box meets only regions of its own label (unlabelled masks meet any)
    1 when nothing is claimed and nothing annotated.
    """
    if not claimed and not regions:
        return 1.0
    table = [
        [iou(box, region) if not labelled or _same(box, region) else 0.0 for region in regions]
        for box in boxes
    ]
    return 2 * _best_sum(table) / (claimed + len(regions))


def union(boxes: Sequence[Box], claimed: int, regions: Sequence[Region], labelled: bool) -> float:
    """IoU of all claimed boxes together with all regions together, over all images.

    Pieces that together cover a region score as one box does. 1 when nothing is claimed and
    nothing annotated; boxes without area cost nothing. With `labelled`, boxes that share no label
    with any region of their image keep their area and meet nothing.
    """
    if not claimed and not regions:
        return 1.0
    shared = total = 0.0
    for image in sorted({part.image for part in (*boxes, *regions)}):
        here = [box for box in boxes if box.image == image]
        there = [region for region in regions if region.image == image]
        meeting = [
            box for box in here if not labelled or any(_same(box, region) for region in there)
        ]
        common = _union_overlap(meeting, there)
        shared += common
        total += _area_of_union(here) + _area_of_union(there) - common
    return min(shared / total, 1.0) if total > 0 else 0.0


def best(boxes: Sequence[Box], claimed: int, regions: Sequence[Region], labelled: bool) -> float:
    """The largest IoU of any claimed box with any region (QoQ-Med, section 3.4).

    Misses and extras cost nothing. 1 when nothing is claimed and nothing annotated.
    """
    if not claimed and not regions:
        return 1.0
    pairs = ((box, region) for box in boxes for region in regions)
    return max(
        (iou(box, region) for box, region in pairs if not labelled or _same(box, region)),
        default=0.0,
    )


RULES: dict[Rule, Callable[[Sequence[Box], int, Sequence[Region], bool], float]] = {
    "matched": matched,
    "union": union,
    "best": best,
}


def _same(box: Box, region: Region) -> bool:
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


def _box_overlap(a: Corners, b: Corners) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


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
    boxes: Sequence[Box],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Distinct x edges (n + 1), y edges (m + 1) and which of the (m, n) cells the boxes cover."""
    corners = np.array([box.corners for box in boxes], np.float64)
    x_edges, y_edges = np.unique(corners[:, [0, 2]]), np.unique(corners[:, [1, 3]])
    covered = np.zeros((y_edges.size - 1, x_edges.size - 1), np.bool_)
    for x_min, y_min, x_max, y_max in corners:
        left, right = np.searchsorted(x_edges, (x_min, x_max))
        top, bottom = np.searchsorted(y_edges, (y_min, y_max))
        covered[top:bottom, left:right] = True
    return x_edges, y_edges, covered


def _area_of_union(regions: Sequence[Region]) -> float:
    """Area of the union. Patches of one image are disjoint by construction."""
    boxes = [region for region in regions if isinstance(region, Box)]
    patches = sum(region.area for region in regions if isinstance(region, Patch))
    if not boxes:
        return patches
    x_edges, y_edges, covered = _cells(boxes)
    sizes = np.outer(np.diff(y_edges), np.diff(x_edges))
    return patches + float(sizes[covered].sum())


def _union_overlap(boxes: Sequence[Box], regions: Sequence[Region]) -> float:
    """Area that the union of the boxes shares with the union of the regions."""
    if not boxes or not regions:
        return 0.0
    x_edges, y_edges, covered = _cells(boxes)
    shared = 0.0
    for patch in (region for region in regions if isinstance(region, Patch)):
        shared += float(_cell_areas(patch, x_edges, y_edges)[covered].sum())
    drawn = [region for region in regions if isinstance(region, Box)]
    if drawn:
        both = _area_of_union([*boxes, *drawn])
        shared += _area_of_union(boxes) + _area_of_union(drawn) - both
    return shared
