"""Boxes on the pixel grid: one type, their measures, and the ways between frames.

Coordinates are pixel edges, x to the right and y down from the top-left corner of the image: the
first pixel covers 0 to 1, so a box over columns 3 to 7 has x_min 3 and x_max 8, its width is
x_max - x_min, and a change of size is a plain ratio in x and one in y, without half-pixel terms.

Three frames occur. Regions and masks are kept in pixels of the stored image. The image is resized
before a policy sees it, and policies name corners in absolute pixels of the resized image
(Qwen2.5-VL) or in thousandths of its sides (Qwen3-VL), which is an image of 1000 x 1000.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, Self

from qoqdata.errors import InputError

#: x1, y1, x2, y2 as somebody wrote them, unchecked: any frame, any order.
Corners = tuple[float, float, float, float]
#: (width, height) in pixels.
Size = tuple[float, float]
#: What a policy's corners are in: pixels of the image it saw, or thousandths of its sides.
BoxFrame = Literal["pixels", "thousandths"]

THOUSANDTHS: Size = (1000, 1000)
#: How far a drawn box may reach over an edge of its image, of the side.
OVERREACH = 0.1


class _Edges(NamedTuple):
    x_min: float
    y_min: float
    x_max: float
    y_max: float


class Box(_Edges):
    """x_min, y_min, x_max, y_max in pixels, a tuple of the four.

    Raises InputError when not finite or without area.
    """

    __slots__ = ()

    def __new__(cls, x_min: float, y_min: float, x_max: float, y_max: float) -> Self:
        box = super().__new__(cls, x_min, y_min, x_max, y_max)
        if not all(map(math.isfinite, box)):
            raise InputError(f"box {tuple(box)} is not finite")
        if x_max <= x_min or y_max <= y_min:
            raise InputError(
                f"box {tuple(box)} has no area", fix="order is x_min y_min x_max y_max"
            )
        return box

    @property
    def width(self) -> float:
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        return self.y_max - self.y_min

    @property
    def area(self) -> float:
        return self.width * self.height


def overlap(a: Corners, b: Corners) -> float:
    """Area that two boxes share."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return 0.0 if width <= 0 or height <= 0 else width * height


def iou(a: Corners, b: Corners) -> float:
    """Intersection over union, 0 to 1, of two boxes in one frame."""
    common = overlap(a, b)
    if not common:
        return 0.0
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return common / (areas - common)


def ordered(corners: Corners) -> Corners:
    """The same corners with x1 <= x2 and y1 <= y2."""
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


def cut(corners: Corners, size: Size) -> Corners | None:
    """Corners of a table cut at the edge of the image of (width, height) that they were drawn on.

    None where no area is left, where they reach over an edge by more than a tenth of the side, for
    no hand slips so far, and where both sides are under a pixel. They are of another image, width
    and height were taken for corners, or shares of the image for pixels.
    """
    inside = clipped(corners, size)
    sides = zip(corners, inside, size * 2, strict=True)
    far = (abs(drawn - kept) > OVERREACH * side for drawn, kept, side in sides)
    if inside[0] >= inside[2] or inside[1] >= inside[3] or any(far) or within_pixel(corners):
        return None
    return inside


def within_pixel(corners: Corners) -> bool:
    """Whether both sides of a table's box are under a pixel, as of shares of an image."""
    return max(corners[2] - corners[0], corners[3] - corners[1]) < 1


def with_area(corners: Corners) -> Box | None:
    """Ordered corners as a box; None where they hold no area. Raises InputError as `Box`."""
    x1, y1, x2, y2 = corners
    return Box(x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def pixel_edges(corners: Corners) -> Corners:
    """Edges of a box whose corners name its first and last pixel, both included.

    Fractions are cut off; a box whose corners share a column or row has no area and keeps none.
    """
    left, right = sorted((math.trunc(corners[0]), math.trunc(corners[2])))
    top, bottom = sorted((math.trunc(corners[1]), math.trunc(corners[3])))
    if left == right or top == bottom:
        return float(left), float(top), float(right), float(bottom)
    return float(left), float(top), float(right + 1), float(bottom + 1)


def turned(corners: Corners, size: Size, orientation: int) -> Corners:
    """Corners on an image of (width, height), once it is brought upright from the Exif orientation
    1 to 8."""
    x1, y1, x2, y2 = corners
    width, height = size
    if orientation >= 5:
        x1, y1, x2, y2, width, height = y1, x1, y2, x2, height, width
    if orientation in (2, 3, 6, 7):
        x1, x2 = width - x2, width - x1
    if orientation in (3, 4, 7, 8):
        y1, y2 = height - y2, height - y1
    return x1, y1, x2, y2


def scale(box: Box, from_size: Size, to_size: Size) -> Box:
    """The box after its image was resized. Raises InputError for an impossible size.

    Multiplies before it divides: corners that come out whole are whole.
    """
    _check_size(from_size)
    _check_size(to_size)
    return Box(*_resized(box, from_size, to_size))


def to_thousandths(box: Box, size: Size) -> tuple[int, int, int, int]:
    """Corners as whole thousandths of an image of `size`, the form that Qwen3-VL reads and writes.

    Raises as `whole_corners`.
    """
    return whole_corners(box, stored_size=size, seen_size=size, frame="thousandths")


def whole_corners(
    box: Box, *, stored_size: Size, seen_size: Size, frame: BoxFrame = "pixels"
) -> tuple[int, int, int, int]:
    """A stored box in whole numbers of the policy's frame, as it writes and is told boxes.

    stored_size  (width, height) of the stored image
    seen_size    (width, height) that the policy sees, whole pixels; no matter for thousandths

    Rounded to nearest; a side that would vanish is rounded outwards instead, so a box never
    loses its area. Raises InputError for a box that leaves the image: clip it first.
    """
    _check_size(stored_size)
    _check_size(seen_size)
    width, height = stored_size
    if box.x_min < 0 or box.y_min < 0 or box.x_max > width or box.y_max > height:
        raise InputError(f"box {tuple(box)} leaves the image of {width} x {height} pixels")
    frame_size = THOUSANDTHS if frame == "thousandths" else seen_size
    x_min, y_min, x_max, y_max = _resized(box, stored_size, frame_size)
    left, right = _whole(x_min, x_max, int(frame_size[0]))
    top, bottom = _whole(y_min, y_max, int(frame_size[1]))
    return left, top, right, bottom


def from_thousandths(corners: Corners, size: Size) -> Box:
    """The box in pixels of an image of `size` from corners in thousandths of it."""
    _check_size(size)
    return Box(*_resized(corners, THOUSANDTHS, size))


def to_stored(
    corners: Corners, *, stored_size: Size, seen_size: Size, frame: BoxFrame = "pixels"
) -> Corners:
    """What a policy wrote, in stored pixels.

    stored_size  (width, height) of the stored image
    seen_size    (width, height) that the policy saw, after every resize; no matter for thousandths
    frame        what the corners are in
    Raises InputError for an impossible size.
    """
    return scaled(corners, ratios(stored_size=stored_size, seen_size=seen_size, frame=frame))


def from_stored(
    corners: Corners, *, stored_size: Size, seen_size: Size, frame: BoxFrame = "pixels"
) -> Corners:
    """The reverse of `to_stored`: corners as the policy should have written them, unrounded."""
    _check_size(stored_size)
    _check_size(seen_size)
    frame_size = THOUSANDTHS if frame == "thousandths" else seen_size
    return scaled(corners, (frame_size[0] / stored_size[0], frame_size[1] / stored_size[1]))


def ratios(*, stored_size: Size, seen_size: Size, frame: BoxFrame = "pixels") -> Size:
    """Stored pixels for one unit of the policy's frame, in x and y. Raises as `to_stored`."""
    _check_size(stored_size)
    _check_size(seen_size)
    frame_size = THOUSANDTHS if frame == "thousandths" else seen_size
    return stored_size[0] / frame_size[0], stored_size[1] / frame_size[1]


def scaled(corners: Corners, by: Size) -> Corners:
    """Corners times (x ratio, y ratio), for many boxes of one image."""
    x_ratio, y_ratio = by
    x1, y1, x2, y2 = corners
    return x1 * x_ratio, y1 * y_ratio, x2 * x_ratio, y2 * y_ratio


def _resized(corners: Corners, from_size: Size, to_size: Size) -> Corners:
    (from_width, from_height), (to_width, to_height) = from_size, to_size
    x_min, y_min, x_max, y_max = corners
    return (
        x_min * to_width / from_width,
        y_min * to_height / from_height,
        x_max * to_width / from_width,
        y_max * to_height / from_height,
    )


def _whole(low: float, high: float, length: int) -> tuple[int, int]:
    """Both ends of a side in whole numbers up to `length`, at least one apart."""
    if math.floor(low + 0.5) < math.floor(high + 0.5):
        return math.floor(low + 0.5), math.floor(high + 0.5)
    start = min(math.floor(low), length - 1)
    return start, min(max(math.ceil(high), start + 1), length)


def _check_size(size: Size) -> None:
    if not (0 < size[0] < math.inf and 0 < size[1] < math.inf):
        raise InputError(f"image size {size[0]} x {size[1]} is impossible")
