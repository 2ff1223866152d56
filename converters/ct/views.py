"""What a question about a CT is shown: windows by what is looked for, and slices within a budget.

The one table of windows by task; what each window is in HU stands in `CT_WINDOWS` of the readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qoqdata.errors import InputError
from qoqdata.readers import volume
from qoqdata.readers.dicom import CT_WINDOWS, Window
from qoqdata.readers.volume import SlicePolicy, Volume
from qoqdata.records.content import Image

#: Names of windows by what is looked for; of several the first is the one that boxes lie on.
WINDOWS: Mapping[str, tuple[str, ...]] = {
    "lung nodule": ("lung",),
    "nodule density": ("lung", "mediastinum"),
    "embolism": ("pe", "mediastinum"),
    "heart": ("mediastinum",),
    "lung": ("lung", "mediastinum"),
    "kidney mass": ("abdomen",),
    "haemorrhage": ("brain", "subdural"),
    "haemorrhage outline": ("brain",),
    "skull fracture": ("bone",),
}

#: HU above which the lowest value of a scan is that of no air.
NO_AIR = -500.0
#: HU that nothing but metal exceeds, and the share of voxels that metal may take.
METAL, OF_METAL = 4000.0, 0.05

#: Options that cards of volumes share have these names.
IMAGES, SLICES, POLICY = "images", "slices", "policy"


def windows_of(sought: str) -> tuple[Window, ...]:
    """The windows for what is looked for, in HU."""
    return tuple(replace(CT_WINDOWS[name], function="LINEAR_EXACT") for name in WINDOWS[sought])


def overview(options: Mapping[str, Any], sought: str, split: str | None) -> SlicePolicy:
    """Axial slices for whether something is there: chosen without knowing it, except in train,
    where the option `policy` may say mask."""
    looks = options.get(POLICY) == "mask"
    policy = SlicePolicy("mask" if looks else "uniform", count=options[SLICES], plane="axial")
    return _bounded(volume.for_split(policy, split), options, sought)


def through(options: Mapping[str, Any], sought: str, slices: int | None = None) -> SlicePolicy:
    """Axial slices through what a question takes for granted, at most `slices`."""
    policy = SlicePolicy("mask", count=slices or options[SLICES], plane="axial")
    return _bounded(policy, options, sought)


def _bounded(policy: SlicePolicy, options: Mapping[str, Any], sought: str) -> SlicePolicy:
    windows = len(WINDOWS[sought])
    return volume.within_budget(policy, options[IMAGES], windows=windows)


def check_hounsfield(scan: Volume) -> None:
    """Raise InputError for a CT without air, or of metal, whose values cannot be HU: no window
    would be true.

    Files of other scales, such as stored values without their intercept, begin near 0; bytes in the
    other order are thousands of HU.
    """
    lowest = float(scan.voxels.min())
    if not lowest <= NO_AIR:
        what = f"the lowest value is {lowest:g}, and air around a patient is near -1000 HU"
        fix = "convert the series again, with its rescale slope and intercept"
        raise InputError(what, where=scan.where or None, fix=fix)
    dense = np.count_nonzero(scan.voxels > METAL) / scan.voxels.size
    if dense > OF_METAL:
        what = f"{dense:.0%} of the values are above {METAL:g}, and no patient is of metal"
        fix = "convert the series again, with its byte order, rescale slope and intercept"
        raise InputError(what, where=scan.where or None, fix=fix)


def scale(images: Sequence[Image]) -> str:
    """What a measurement needs and pixels do not tell: the field of view, and where slices lie."""
    first = images[0]
    if first.spacing is None or len(first.spacing) < 3:
        raise ValueError("images without spacing have no scale")
    row, column, apart = first.spacing[:3]
    numbers = ", ".join(str(n) for n in dict.fromkeys(image.index for image in images))
    return (
        f"Each image is {first.width * column:.0f} mm wide and {first.height * row:.0f} mm high. "
        f"Slices of the scan are {apart:.2f} mm apart; shown are those numbered {numbers}."
    )
