"""The slices of a head CT by their numbers, from a NIfTI volume or from JPEG of two windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qoqdata.errors import Misaligned
from qoqdata.readers import masks, volume
from qoqdata.readers.dicom import CT_WINDOWS
from qoqdata.records.content import Image
from qoqdata.records.images import image_from_file
from qoqdata.records.slices import windowed_images
from qoqdata.sources.protocol import Job, Unit

from ..views import WINDOWS, check_hounsfield, windows_of

#: Images of a slice number by what is looked for, with notes; None where a window is not there.
Look = Callable[[int, str], tuple[tuple[Image, ...], tuple[str, ...]] | None]


@dataclass(frozen=True, eq=False)
class Scan:
    """Slice numbers from the feet up, outlines of bleeding (uint8, 1 is bleeding) as their images.

    `voxel_ml` is what a pixel of an outline holds; None where the files have no spacing.
    """

    numbers: tuple[int, ...]
    outlines: Mapping[int, np.ndarray]
    look: Look
    voxel_ml: float | None
    notes: tuple[str, ...] = ()

    def has_brain(self, number: int) -> bool:
        """Whether the slice is there in the brain window."""
        return self.look(number, "haemorrhage outline") is not None

    def shown(self, numbers: Sequence[int], sought: str, how: str = "") -> dict[str, Any] | None:
        """Images and notes of slices for what is looked for; None where one is not there."""
        images, notes = list[Image](), list(self.notes)
        if how:
            notes.insert(0, f"slices: {how}, of {len(self.numbers)}")
        for number in numbers:
            if (found := self.look(number, sought)) is None:
                return None
            images += found[0]
            notes += found[1]
        return {"images": tuple(images), "notes": tuple(dict.fromkeys(notes))}


def read_niftis(unit: Unit, job: Job) -> Scan:
    """A scan in HU and its mask; slice numbers count from 1 along the last axis.

    Raises Misaligned where slices and rows differ in number, or outlines and labels about which
    slices bleed.
    """
    path, mask_path = (job.raw.resolve(one) for one in unit.files)
    scan = volume.read_volume(path, limits=job.limits)
    mask = volume.read_volume(mask_path, limits=job.limits)
    check_hounsfield(scan)
    # Masks are 0 and 255, or 0 and 1.
    white = {1: "haemorrhage"} if float(mask.voxels.max()) <= 1 else {255: "haemorrhage"}
    mask = volume.label_volume(mask, white)
    notes = (*scan.repairs, *volume.check_same_grid(scan, mask, where=mask.where))
    count, said = scan.voxels.shape[2], unit.facts["slices"]
    if sorted(map(int, said)) != list(range(1, count + 1)):
        what = f"has {count} slices, and the table {len(said)} rows, not of 1 to {count}"
        raise Misaligned(what, where=unit.key, fix="use table and scans of one version")
    outlines = {
        index + 1: (
            volume.slice_image(mask.voxels, scan.affine, 2, index, square=True, labels=True) != 0
        ).astype(np.uint8)
        for index in range(count)
    }
    bleeding = {number for number, codes in outlines.items() if codes.any()}
    agreeing = sum(bool(said[str(number)]["types"]) for number in bleeding)
    if agreeing * 2 < len(bleeding):
        what = (
            f"bleeding is outlined in {len(bleeding)} slices, of which {agreeing} are labelled so"
        )
        raise Misaligned(what, where=unit.key, fix="use table and scans of one version")

    def look(number: int, sought: str) -> tuple[tuple[Image, ...], tuple[str, ...]]:
        return windowed_images(scan, 2, [number - 1], windows_of(sought))

    upwards = volume.anatomical_axes(scan.affine)[2][1]
    order = range(1, count + 1) if upwards else range(count, 0, -1)
    return Scan(tuple(order), outlines, look, float(np.prod(scan.spacing)) / 1000, notes)


def read_jpegs(unit: Unit, job: Job) -> Scan:
    """Slices as JPEG in a brain and a bone window; no window stands in for the other."""
    files = {int(number): paths for number, paths in unit.facts["files"].items()}
    outlines = {}
    notes = list[str]()
    for number, paths in files.items():
        if "mask" not in paths:
            continue
        path = job.raw.resolve(paths["mask"])
        label = job.card.mask_codes
        drawn = masks.read_mask(path, codes=label, binarise=True, limits=job.limits)
        outlines[number] = drawn.codes
        notes += drawn.notes
    images: dict[tuple[int, str], tuple[Image, tuple[str, ...]]] = {}

    def look(number: int, sought: str) -> tuple[tuple[Image, ...], tuple[str, ...]] | None:
        window = WINDOWS[sought][0]
        if window not in files[number]:
            return None
        if (number, window) not in images:
            path = job.raw.resolve(files[number][window])
            image, told = image_from_file(path, limits=job.limits)
            image = replace(image, window=CT_WINDOWS[window], view="axial", index=number)
            drawn = outlines.get(number)
            if window == "brain" and drawn is not None and drawn.shape != image.pixels.shape[:2]:
                what = f"the outline is {drawn.shape}, the slice {image.pixels.shape[:2]}"
                raise Misaligned(what, where=files[number]["mask"])
            images[number, window] = image, told
        image, told = images[number, window]
        return (image,), told

    return Scan(tuple(sorted(files)), outlines, look, None, tuple(dict.fromkeys(notes)))
