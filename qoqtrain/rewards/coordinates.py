"""Box corners between what the policy saw and the image that is stored.

The image is resized before a policy sees it, and policies name corners in absolute pixels of
the resized image (Qwen2.5-VL) or in thousandths of its sides (Qwen3-VL). Regions and masks are
kept in stored pixels. Corners are pixel edges, x to the right and y down: pixel i spans i to i + 1,
so a change of size is a plain ratio and no half-pixel terms arise.
"""

from __future__ import annotations

import math
from typing import Literal

from qoqdata.errors import InputError

Corners = tuple[float, float, float, float]
#: (width, height) in pixels.
Size = tuple[float, float]
BoxFrame = Literal["pixels", "thousandths"]


def to_stored(corners: Corners, *, stored: Size, seen: Size, frame: BoxFrame = "pixels") -> Corners:
    """x1, y1, x2, y2 in stored pixels.

    stored  (width, height) of the stored image
    seen    (width, height) that the policy saw, after every resize; unused for thousandths
    frame   what the corners are in: "pixels" of `seen`, or "thousandths" of either side
    Raises InputError for an impossible size.
    """
    return scaled(corners, ratios(stored=stored, seen=seen, frame=frame))


def from_stored(
    corners: Corners, *, stored: Size, seen: Size, frame: BoxFrame = "pixels"
) -> Corners:
    """The reverse of `to_stored`: corners as the policy should have written them, unrounded."""
    x_ratio, y_ratio = ratios(stored=stored, seen=seen, frame=frame)
    x1, y1, x2, y2 = corners
    return x1 / x_ratio, y1 / y_ratio, x2 / x_ratio, y2 / y_ratio


def scaled(corners: Corners, by: Size) -> Corners:
    """Corners times (x ratio, y ratio)."""
    x_ratio, y_ratio = by
    x1, y1, x2, y2 = corners
    return x1 * x_ratio, y1 * y_ratio, x2 * x_ratio, y2 * y_ratio


def ratios(*, stored: Size, seen: Size, frame: BoxFrame = "pixels") -> Size:
    """Stored pixels for one unit of the policy's frame, in x and y. Raises as `to_stored`."""
    for name, size in (("stored", stored), ("seen", seen)):
        if not (0 < size[0] < math.inf and 0 < size[1] < math.inf):
            raise InputError(f"{name} image size {size} is impossible")
    if frame == "thousandths":
        return stored[0] / 1000, stored[1] / 1000
    return stored[0] / seen[0], stored[1] / seen[1]


def pixel_edges(corners: Corners) -> Corners:
    """Edges of a box whose corners name its first and last pixel, both included.

    Fractions are cut off; a box whose corners share a column or row has no area and keeps none.
    """
    left, right = sorted((math.trunc(corners[0]), math.trunc(corners[2])))
    top, bottom = sorted((math.trunc(corners[1]), math.trunc(corners[3])))
    if left == right or top == bottom:
        return float(left), float(top), float(right), float(bottom)
    return float(left), float(top), float(right + 1), float(bottom + 1)


def ordered(corners: Corners) -> Corners:
    """The same box with x1 <= x2 and y1 <= y2."""
    x1, y1, x2, y2 = corners
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def clipped(corners: Corners, size: Size) -> Corners:
    """Ordered corners moved into an image of (width, height); no area is left of a box outside."""
    width, height = size
    x1, y1, x2, y2 = corners
    if x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height:
        return corners
    return (
        min(max(x1, 0.0), width),
        min(max(y1, 0.0), height),
        min(max(x2, 0.0), width),
        min(max(y2, 0.0), height),
    )
