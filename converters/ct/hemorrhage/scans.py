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

    Raises Misaligned where slices and rows differ in number, and as `check_numbers`.
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
    check_numbers(unit, outlines)

    def look(number: int, sought: str) -> tuple[tuple[Image, ...], tuple[str, ...]]:
        return windowed_images(scan, 2, [number - 1], windows_of(sought))

    upwards = volume.anatomical_axes(scan.affine)[2][1]
    order = range(1, count + 1) if upwards else range(count, 0, -1)
    return Scan(tuple(order), outlines, look, float(np.prod(scan.spacing)) / 1000, notes)


def check_numbers(unit: Unit, outlines: Mapping[int, np.ndarray]) -> None:
    """Raise Misaligned where labels and outlines number the slices of a patient in two ways.

    Readers differ about a slice now and then. Labels that fit the outlines better when they are
    moved along the scan, or counted from its other end, are those of other slices; so are labels of
    one bleeding that lie one slice off, as after a row that was lost.
    """
    numbers = sorted(map(int, unit.facts["slices"]))
    types = [unit.facts["slices"][str(number)]["types"] for number in numbers]
    stated = np.array([some is not None for some in types], bool)
    said = np.array([bool(some) for some in types], bool)
    drawn = np.array([number in outlines and outlines[number].any() for number in numbers], bool)
    agreeing, known = int((drawn & said).sum()), int((drawn & stated).sum())
    fix = "use table and scans of one version"
    if agreeing * 2 < known:
        what = f"bleeding is outlined in {known} slices, of which {agreeing} are labelled so"
        raise Misaligned(what, where=unit.key, fix=fix)
    ways = {"as they are": drawn}
    ways |= {f"moved by {by}": np.roll(drawn, by) for by in range(1, len(numbers))}
    ways |= {"counted from the other end": drawn[::-1]}
    wrong = {how: int(((one != said) & stated).sum()) for how, one in ways.items()}
    if (best := min(wrong, key=lambda how: wrong[how])) != "as they are":
        what = f"labels differ from the outlines on {wrong['as they are']} slices"
        raise Misaligned(f"{what}, and on {wrong[best]} {best}", where=unit.key, fix=fix)
    beside = {(first + by, last + by) for first, last in _runs(drawn) for by in (-1, 1)}
    if off := sorted(beside & set(_runs(said))):
        what = f"labels lie one slice off the outlines of a bleeding, at slice {numbers[off[0][0]]}"
        raise Misaligned(what, where=unit.key, fix=fix)


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last place of each run of True."""
    edges = np.diff(flags.astype(np.int8), prepend=0, append=0)
    first, after = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(one), int(other) - 1) for one, other in zip(first, after, strict=True)]


def read_jpegs(unit: Unit, job: Job) -> Scan:
    """Slices as JPEG in a brain and a bone window; no window stands in for the other.

    Raises Misaligned where an outline has not the size of its slice, and as `check_numbers`.
    """
    files = {int(number): paths for number, paths in unit.facts["files"].items()}
    outlines = {}
    notes = list[str]()
    for number, paths in files.items():
        if "mask" not in paths:
            continue
        path = job.raw.resolve(paths["mask"])
        label = job.card.mask_codes
        drawn = masks.read_mask(path, codes=label, binarise=True, limits=job.limits)
        masks.check_background(drawn.codes, where=paths["mask"])
        outlines[number] = drawn.codes
        notes += drawn.notes
    check_numbers(unit, outlines)
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
