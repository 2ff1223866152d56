"""The exact way from the stored images of a record to the shown ones, and back.

Coordinates are pixel edges (see `qoqdata.boxes`), so a change of size is a plain ratio in x
and one in y. The facts of a decoded record (`shown`) hold all of it; `Transform.of` reads them.

Images and label maps are resized on the same grid: shown pixel j covers the stored columns from
j * s to (j + 1) * s, where s is stored width over shown width, and its centre is (j + 1/2) * s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qoqdata import boxes
from qoqdata.boxes import Box
from qoqdata.errors import InputError, Misaligned
from qoqdata.stream.decode.budget import Budget, Size, shown_sizes

Region = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ShownImage:
    """One shown image: its index among the stored ones, both sizes as (width, height)."""

    image: int
    stored: Size
    shown: Size

    @property
    def scale(self) -> tuple[float, float]:
        """Shown pixels for one stored pixel, in x and y."""
        return self.shown[0] / self.stored[0], self.shown[1] / self.stored[1]

    def to_shown(self, box: Box) -> Box:
        """A box in stored pixels as it lies on the shown image, unrounded."""
        return boxes.scale(box, self.stored, self.shown)

    def to_stored(self, box: Box) -> Box:
        """The reverse of `to_shown`."""
        return boxes.scale(box, self.shown, self.stored)

    def thousandths(self, box: Box) -> tuple[int, int, int, int]:
        """A box in shown pixels as Qwen3-VL writes it. Raises as `boxes.to_thousandths`."""
        return boxes.to_thousandths(box, self.shown)

    def from_thousandths(self, corners: tuple[float, float, float, float]) -> Box:
        """The box in shown pixels behind corners in thousandths of the sides."""
        return boxes.from_thousandths(corners, self.shown)

    def facts(self) -> dict[str, Any]:
        """The frame as plain values: image, width, height (shown), stored_*, scale_x, scale_y."""
        scale_x, scale_y = self.scale
        return {
            "image": self.image,
            "width": self.shown[0],
            "height": self.shown[1],
            "stored_width": self.stored[0],
            "stored_height": self.stored[1],
            "scale_x": scale_x,
            "scale_y": scale_y,
        }


@dataclass(frozen=True)
class Transform:
    """The frames of a record's shown images, in stored order."""

    frames: tuple[ShownImage, ...]

    @classmethod
    def plan(cls, sizes: Sequence[Size], budget: Budget | None) -> Transform:
        """Which images of `sizes` (width, height) are shown at what size; all as stored without
        a budget. Raises as `budget.shown_sizes`."""
        if budget is None:
            return cls(tuple(ShownImage(i, size, size) for i, size in enumerate(sizes)))
        choice = shown_sizes(sizes, budget)
        return cls(tuple(ShownImage(i, sizes[i], size) for i, size in choice))

    @classmethod
    def of(cls, shown: Iterable[Mapping[str, Any]]) -> Transform:
        """The transform behind the `shown` facts of a decoded record."""
        return cls(
            tuple(
                ShownImage(
                    facts["image"],
                    (facts["stored_width"], facts["stored_height"]),
                    (facts["width"], facts["height"]),
                )
                for facts in shown
            )
        )

    def place(self, image: int) -> int | None:
        """The place among the shown images of stored image `image`; None if left out."""
        return next((i for i, frame in enumerate(self.frames) if frame.image == image), None)

    def show(self, region: Region) -> dict[str, Any] | None:
        """A region of the record on the shown images; None when its image is left out.

        `image` becomes the place among the shown images; corners and area are scaled. Raises
        InputError for a box without area and Misaligned for one that leaves its image.
        """
        place = self.place(region["image"])
        if place is None:
            return None
        frame = self.frames[place]
        box = _box(region)
        if (
            min(box.x_min, box.y_min) < 0
            or box.x_max > frame.stored[0]
            or (box.y_max > frame.stored[1])
        ):
            raise Misaligned(f"box {tuple(box)} leaves its image of {frame.stored}")
        by = frame.scale
        return _moved(region, place, frame.to_shown(box), by[0] * by[1])

    def restore(self, region: Region) -> dict[str, Any]:
        """The reverse of `show`, for a region or a prediction on the shown images.

        Raises InputError for an impossible image or a box without area.
        """
        if not 0 <= region["image"] < len(self.frames):
            raise InputError(f"region on image {region['image']} of {len(self.frames)} shown")
        frame = self.frames[region["image"]]
        by = frame.scale
        box = frame.to_stored(_box(region))
        return _moved(region, frame.image, box, 1 / (by[0] * by[1]))


def resize_image(pixels: np.ndarray, size: Size) -> np.ndarray:
    """Pixels, uint8 (rows, columns) or (rows, columns, 3), at `size` (width, height).

    A side that shrinks by more than a tenth is averaged over the area of each shown pixel; one that
    grows, or shrinks by less, is interpolated by bicubic convolution (there is too little to
    average, and it is nearer to the antialiased bicubic filter of the policies' processors). The
    same array is returned when the size is right.
    """
    import cv2

    rows, columns = pixels.shape[:2]
    width, height = size
    area_size = (
        width if 10 * columns > 11 * width else columns,
        height if 10 * rows > 11 * height else rows,
    )
    if area_size != (columns, rows):
        pixels = cv2.resize(pixels, area_size, interpolation=cv2.INTER_AREA)
    if area_size != size:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    return pixels


def resize_labels(codes: np.ndarray, size: Size) -> np.ndarray:
    """Codes (rows, columns) at `size` (width, height), each from the stored pixel that holds the
    centre of the shown one (the lower right of two where the centre lies on their edge), in whole
    numbers. The same array is returned when the size is right."""
    rows, columns = codes.shape
    width, height = size
    if (columns, rows) == size:
        return codes
    return np.asarray(codes[_centres(rows, height)][:, _centres(columns, width)])


def lost_codes(codes: np.ndarray, view: np.ndarray) -> list[int]:
    """Codes of a label map that its shown form has no pixel of, ascending."""
    present = np.zeros(int(codes.max(initial=0)) + 1, bool)
    present[codes] = True
    present[view] = False
    return [int(code) for code in np.flatnonzero(present)]


def _box(region: Region) -> Box:
    return Box(region["x_min"], region["y_min"], region["x_max"], region["y_max"])


def _centres(length: int, count: int) -> np.ndarray:
    return (2 * np.arange(count, dtype=np.int64) + 1) * length // (2 * count)


def _moved(region: Region, image: int, box: Box, area_ratio: float) -> dict[str, Any]:
    """The region with another image, box and area."""
    result = {**region, "image": image, **box._asdict()}
    if region.get("area") is not None:
        result["area"] = region["area"] * area_ratio
    return result
