"""Slices of a volume, with its mask, as images, label maps and regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError
from qoqdata.readers import masks, volume
from qoqdata.readers.dicom import Window
from qoqdata.readers.dicom.windowing import Voi, describe_window, displayed
from qoqdata.readers.square_pixels import RESAMPLED, resample_linear
from qoqdata.readers.volume import SlicePolicy, Volume
from qoqdata.records.content import Image, Mask, Region
from qoqdata.records.images import regions_from_boxes

#: The 8-bit plane (in the order of the other two voxel axes) at an index along an axis, and the
#: window that was applied to it.
ShownPlane = Callable[[int, int], tuple[NDArray[np.uint8], Window | None]]


@dataclass(frozen=True)
class CutSlices:
    """Chosen slices in anatomical order; None for what the study does not have."""

    images: tuple[Image, ...] | None
    masks: tuple[Mask, ...] | None
    regions: tuple[Region, ...] | None
    notes: tuple[str, ...]


def cut_slices(
    image: Volume | None,
    mask: Volume | None,
    codes: Mapping[int, str],
    *,
    policy: SlicePolicy,
    window: Window | Sequence[Window] | None = None,
) -> CutSlices:
    """Cut slices by `policy` from a volume, its mask, or both on one grid; pixels are square.

    Grey values go through `window`, always as LINEAR_EXACT, or, without one, through the
    `percentile_range` of the whole volume. Of several windows a slice is shown through each before
    the next slice; its mask and boxes lie on the first. Mask codes must be in `codes`; 0 is
    background. Boxes are unions by code and slice, in pixels of the image. Raises Misaligned for
    grids that differ, what `label_volume` raises for the mask, InputError for a file of several
    volumes and for slices of a single row.
    """
    grid = image or mask
    if grid is None:
        raise ValueError("neither image nor mask")
    for part in (image, mask):
        if part is not None and part.voxels.ndim != 3:
            raise InputError(
                f"holds {part.voxels.shape[3]} volumes, over time or of several channels",
                where=part.where or None,
                fix=volume.channel_fix(part.voxels.shape[3]),
            )
    notes: tuple[str, ...] = () if image is None else image.repairs
    if mask is not None:
        if image is not None:
            notes += volume.check_same_grid(image, mask, where=mask.where or "mask")
        mask = volume.label_volume(mask, codes)
        of_mask = "" if image is None else "mask: "
        notes += tuple(of_mask + repair for repair in mask.repairs)
    axis, indices = volume.choose_slices(policy, grid, mask=mask)
    notes = (f"slices: {volume.describe(policy)}, of {grid.voxels.shape[axis]}", *notes)
    images = label_maps = regions = None
    shown = 1
    if image is not None:
        images, told = windowed_images(image, axis, indices, window)
        notes, shown = (*notes, *told), len(images) // len(indices)
    if mask is not None:
        label_maps = tuple(
            Mask(
                volume.slice_image(mask.voxels, grid.affine, axis, index, square=True, labels=True),
                place * shown,
            )
            for place, index in enumerate(indices)
        )
        regions = tuple(
            region
            for one in label_maps
            for region in regions_from_boxes(masks.boxes(one.codes, codes), image=one.image)
        )
    return CutSlices(images, label_maps, regions, notes)


def windowed_images(
    image: Volume, axis: int, indices: Sequence[int], window: Window | Sequence[Window] | None
) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """The slices, each through every window before the next one, and notes; as `cut_slices`."""
    windows = window if isinstance(window, Sequence) else (window,)
    stacks, notes = [], list[str]()
    for one in windows:
        grey, note = _volume_grey(image, one)
        stacks.append(slice_images(image, axis, indices, grey))
        notes += (note, *square_notes(stacks[-1]))
    images = tuple(image for slice_ in zip(*stacks, strict=True) for image in slice_)
    return images, tuple(dict.fromkeys(notes))


def slice_images(
    grid: Volume, axis: int, indices: Sequence[int], shown: ShownPlane
) -> tuple[Image, ...]:
    """The slices `indices` along voxel axis `axis` of the grid, upright, with square pixels.

    Grey first, then resampled, as frames are: so neither padding nor what a window cuts off bleeds
    into its surroundings.
    """
    images = []
    for index in indices:
        frame = volume.slice_frame(grid.voxels.shape, grid.affine, axis, index, square=True)
        pixels, window = shown(axis, index)
        rows, columns = frame.voxel_shape
        images.append(
            Image(
                resample_linear(volume.upright(pixels, frame), frame.shape),
                original_width=columns,
                original_height=rows,
                view=frame.plane,
                window=window,
                index=index,
                spacing=(*frame.spacing, grid.spacing[axis]),
            )
        )
    return tuple(images)


def square_notes(images: Sequence[Image]) -> tuple[str, ...]:
    """What to note about images that were enlarged to square pixels."""
    enlarged = any(
        (one.width, one.height) != (one.original_width, one.original_height) for one in images
    )
    return (RESAMPLED,) if enlarged else ()


def _volume_grey(image: Volume, window: Window | None) -> tuple[ShownPlane, str]:
    """Grey through a window, as LINEAR_EXACT, or through the range of the whole volume; its note.

    Raises UnreadableFile when a value to be shown is NaN or infinite.
    """
    voi: Voi
    if window is not None:
        # The record names the function that was applied (DICOM PS3.3 C.11.2.1.3.2).
        voi = window = replace(window, function="LINEAR_EXACT")
        note = f"grey: {describe_window(window)}"
    else:
        voi = volume.percentile_range(image.voxels)
        note = range_note(*voi)

    def plane(axis: int, index: int) -> tuple[NDArray[np.uint8], Window | None]:
        values = volume.finite(volume.voxel_plane(image.voxels, axis, index))
        return displayed(values, voi), window

    return plane, note


def range_note(bottom: float, top: float) -> str:
    """The range as recorded with an image."""
    if bottom == top:
        return f"grey: every voxel is {bottom:g}, shown black"
    return f"grey: percentiles 0.5 to 99.5, {bottom:g} to {top:g}"
