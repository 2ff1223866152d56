"""Axis-aligned boxes on the pixel grid.

Coordinates are pixel edges, x to the right and y down from the top-left corner of the image: the
first pixel covers 0 to 1, so a box over columns 3 to 7 has x_min 3 and x_max 8, its width is
x_max - x_min, and scaling needs no half-pixel terms.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

from qoqdata.errors import InputError


@dataclass(frozen=True)
class Box:
    """x_min, y_min, x_max, y_max in pixels. Raises InputError when not finite or without area."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    def __post_init__(self) -> None:
        corners = astuple(self)
        if not all(math.isfinite(value) for value in corners):
            raise InputError(f"box {corners} is not finite")
        if self.x_max <= self.x_min or self.y_max <= self.y_min:
            raise InputError(f"box {corners} has no area", fix="order is x_min y_min x_max y_max")

    @property
    def width(self) -> float:
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        return self.y_max - self.y_min

    @property
    def area(self) -> float:
        return self.width * self.height


def clip(box: Box, width: float, height: float) -> Box | None:
    """The part of the box inside an image of `width` x `height` pixels; None when none remains."""
    return _intersection(box, Box(0, 0, width, height))


def scale(box: Box, from_size: tuple[float, float], to_size: tuple[float, float]) -> Box:
    """The box after its image was resized; sizes are (width, height) in pixels."""
    _check_size(*from_size)
    _check_size(*to_size)
    (from_width, from_height), (to_width, to_height) = from_size, to_size
    return Box(
        box.x_min * to_width / from_width,
        box.y_min * to_height / from_height,
        box.x_max * to_width / from_width,
        box.y_max * to_height / from_height,
    )


def crop(box: Box, window: Box) -> Box | None:
    """The part of the box inside `window`, in the window's own coordinates; None when none."""
    inside = _intersection(box, window)
    if inside is None:
        return None
    return Box(
        inside.x_min - window.x_min,
        inside.y_min - window.y_min,
        inside.x_max - window.x_min,
        inside.y_max - window.y_min,
    )


def flip(box: Box, width: float) -> Box:
    """The box after its image of `width` pixels was mirrored left to right."""
    return Box(width - box.x_max, box.y_min, width - box.x_min, box.y_max)


def iou(a: Box, b: Box) -> float:
    """Intersection over union, 0 to 1."""
    inside = _intersection(a, b)
    if inside is None:
        return 0.0
    return inside.area / (a.area + b.area - inside.area)


def to_normalised_1000(box: Box, width: float, height: float) -> tuple[int, int, int, int]:
    """Corners as whole thousandths of the image size, the form that Qwen-VL models read.

    Rounded to nearest; a side that would vanish is rounded outwards instead, so a box never
    loses its area. Raises InputError for a box that leaves the image: clip it first.
    """
    _check_size(width, height)
    if box.x_min < 0 or box.y_min < 0 or box.x_max > width or box.y_max > height:
        raise InputError(f"box {astuple(box)} leaves the image of {width} x {height} pixels")
    x_min, x_max = _thousandths(box.x_min, box.x_max, width)
    y_min, y_max = _thousandths(box.y_min, box.y_max, height)
    return x_min, y_min, x_max, y_max


def from_normalised_1000(
    corners: tuple[float, float, float, float], width: float, height: float
) -> Box:
    """The box in pixels of an image of `width` x `height` from corners in thousandths of it."""
    _check_size(width, height)
    x_min, y_min, x_max, y_max = corners
    return Box(
        x_min * width / 1000, y_min * height / 1000, x_max * width / 1000, y_max * height / 1000
    )


def _thousandths(low: float, high: float, length: float) -> tuple[int, int]:
    first, last = low * 1000 / length, high * 1000 / length
    if math.floor(first + 0.5) < math.floor(last + 0.5):
        return math.floor(first + 0.5), math.floor(last + 0.5)
    start = min(math.floor(first), 999)
    return start, min(max(math.ceil(last), start + 1), 1000)


def _intersection(a: Box, b: Box) -> Box | None:
    x_min, x_max = max(a.x_min, b.x_min), min(a.x_max, b.x_max)
    y_min, y_max = max(a.y_min, b.y_min), min(a.y_max, b.y_max)
    if x_max <= x_min or y_max <= y_min:
        return None
    return Box(x_min, y_min, x_max, y_max)


def _check_size(width: float, height: float) -> None:
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        raise InputError(f"image size {width} x {height} is impossible")
