"""Slices side by side in one image, for policies that are shown few images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qoqdata.errors import InputError
from qoqdata.records.content import Image, Mask
from qoqdata.records.slices import CutSlices


def mosaic(cut: CutSlices, *, columns: int | None = None) -> CutSlices:
    """The slices of `cut` as tiles of one image, in reading order; masks and boxes move along.

    columns: tiles in a row, by default as square as it gets. Tiles that are left over are black.
    The image keeps what all tiles have in common: view, window, spacing. Raises InputError where
    there is no image, or tiles differ in size.
    """
    images = cut.images or ()
    if not images or len({image.pixels.shape for image in images}) > 1:
        raise InputError("a mosaic is of slices of one size", fix="show the slices one by one")
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    places = [divmod(place, columns) for place in range(len(images))]
    height, width = images[0].height, images[0].width
    tiled = replace(
        _alike(images),
        pixels=_tiled([image.pixels for image in images], places),
        encoded=None,
        original_width=None,
        original_height=None,
        index=None,
    )
    masks = None
    if cut.masks is not None:
        if len({mask.reader for mask in cut.masks}) > 1:
            raise InputError("a mosaic has one mask", fix="show the slices one by one")
        of = {mask.image: mask.codes for mask in cut.masks}
        empty = np.zeros((height, width), np.uint16)
        masks = (Mask(_tiled([of.get(n, empty) for n in range(len(images))], places)),)
    regions = None
    if cut.regions is not None:
        regions = tuple(
            replace(
                region,
                image=0,
                x_min=region.x_min + places[region.image][1] * width,
                x_max=region.x_max + places[region.image][1] * width,
                y_min=region.y_min + places[region.image][0] * height,
                y_max=region.y_max + places[region.image][0] * height,
            )
            for region in cut.regions
        )
    indices = ", ".join(str(image.index) for image in images)
    note = f"mosaic: {len(images)} tiles, {columns} in a row, of the slices {indices}"
    return CutSlices((tiled,), masks, regions, (*cut.notes, note))


def _alike(images: Sequence[Image]) -> Image:
    """The first image without what others do not share."""
    first, *others = images

    def shared(name: str) -> Any:
        value = getattr(first, name)
        return value if all(getattr(image, name) == value for image in others) else None

    return replace(
        first,
        view=shared("view"),
        laterality=shared("laterality"),
        window=shared("window"),
        spacing=shared("spacing"),
    )


def _tiled(tiles: Sequence[np.ndarray], places: Sequence[tuple[int, int]]) -> np.ndarray:
    rows, columns = (max(axis) + 1 for axis in zip(*places, strict=True))
    height, width = tiles[0].shape[:2]
    canvas = np.zeros((rows * height, columns * width, *tiles[0].shape[2:]), tiles[0].dtype)
    for tile, (row, column) in zip(tiles, places, strict=True):
        canvas[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return canvas
