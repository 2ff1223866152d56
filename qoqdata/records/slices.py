"""Slices of a volume, with its mask, as images, label maps and regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from qoqdata.errors import InputError
from qoqdata.readers import masks, volume
from qoqdata.readers.dicom import Window
from qoqdata.readers.volume import SlicePolicy, Volume
from qoqdata.records.content import Image, Mask, Region
from qoqdata.records.images import regions_from_boxes


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
    window: Window | None = None,
) -> CutSlices:
    """Cut slices by `policy` from a volume, its mask, or both on one grid.

    Grey values go through `window`, always as LINEAR_EXACT, or, without one, through the 0.5th to
    99.5th percentile of the whole volume. Mask codes must be in `codes`; 0 is background. Boxes
    are unions by code and slice. Raises Misaligned for grids that differ, what `label_volume`
    raises for the mask, InputError for a file of several volumes.
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
    # The record names the function that was applied (DICOM PS3.3 C.11.2.1.3.2).
    window = window and replace(window, function="LINEAR_EXACT")
    axis, indices = volume.choose_slices(policy, grid, mask=mask)
    notes = (f"slices: {volume.describe(policy)}, of {grid.voxels.shape[axis]}", *notes)
    images: list[Image] = []
    label_maps: list[Mask] = []
    regions: list[Region] = []
    grey = None if image is None else _Grey(image, window)
    for place, index in enumerate(indices):
        if image is not None and grey is not None:
            images.append(_image(image, axis, index, grey, window))
        if mask is not None:
            plane = volume.slice_image(mask.voxels, grid.affine, axis, index, labels=True)
            label_maps.append(Mask(plane, place))
            regions += regions_from_boxes(masks.boxes(plane, codes), image=place)
    return CutSlices(
        images=tuple(images) if image is not None else None,
        masks=tuple(label_maps) if mask is not None else None,
        regions=tuple(regions) if mask is not None else None,
        notes=notes if grey is None else (*notes, grey.note),
    )


class _Grey:
    """The map from voxel values to 8 bits, one for all slices of a volume."""

    def __init__(self, image: Volume, window: Window | None) -> None:
        if window is not None:
            half = window.width / 2
            self.bottom, self.top = window.centre - half, window.centre + half
            self.note = f"grey: {volume.describe_window(window.centre, window.width)}"
        else:
            self.bottom, self.top = volume.percentile_range(image.voxels)
            self.note = f"grey: percentiles 0.5 to 99.5, {self.bottom:g} to {self.top:g}"

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return volume.to_uint8_range(values, self.bottom, self.top)


def _image(image: Volume, axis: int, index: int, grey: _Grey, window: Window | None) -> Image:
    frame = volume.slice_frame(image.voxels.shape, image.affine, axis, index)
    plane = volume.slice_image(image.voxels, image.affine, axis, index)
    return Image(
        grey(plane),
        view=frame.plane,
        window=window,
        index=index,
        spacing=(*frame.spacing, image.spacing[axis]),
    )
