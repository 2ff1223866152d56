"""Slices of a volume, with its mask, as images, label maps and regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from qoqdata.errors import BadLabel, InputError
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
    are unions by code and slice. Raises Misaligned for grids that differ,
    BadLabel for a stray code, InputError for a volume over time.
    """
    grid = image or mask
    if grid is None:
        raise ValueError("neither image nor mask")
    for part in (image, mask):
        if part is not None and part.voxels.ndim != 3:
            raise InputError(f"is a series over time of shape {part.voxels.shape}")
    if image is not None and mask is not None:
        volume.check_same_grid(image, mask, where="mask")
    # The record names the function that was applied (DICOM PS3.3 C.11.2.1.3.2).
    window = window and replace(window, function="LINEAR_EXACT")
    axis, indices = volume.choose_slices(policy, grid, mask=mask)
    labels = None if mask is None else _codes(mask.voxels, codes)
    notes = (f"slices: {volume.describe(policy)}, of {grid.voxels.shape[axis]}", *grid.repairs)
    images: list[Image] = []
    label_maps: list[Mask] = []
    regions: list[Region] = []
    grey = None if image is None else _Grey(image, window)
    for place, index in enumerate(indices):
        if image is not None and grey is not None:
            images.append(_image(image, axis, index, grey, window))
        if labels is not None:
            plane = volume.slice_image(labels, grid.affine, axis, index, labels=True)
            label_maps.append(Mask(plane, place))
            regions += regions_from_boxes(masks.boxes(plane, codes), image=place)
    return CutSlices(
        images=tuple(images) if image is not None else None,
        masks=tuple(label_maps) if labels is not None else None,
        regions=tuple(regions) if labels is not None else None,
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


def _codes(voxels: np.ndarray, codes: Mapping[int, str]) -> np.ndarray:
    """Label codes as uint16; masks stored as floats must hold whole numbers."""
    values = np.unique(voxels)
    stray = [value for value in values.tolist() if value != 0 and value not in codes]
    if stray:
        names = ", ".join(f"{code} {name}" for code, name in sorted(codes.items()))
        raise BadLabel(f"the mask holds the code {stray[0]:g}", fix=f"the card knows: {names}")
    return voxels.astype(np.uint16)
