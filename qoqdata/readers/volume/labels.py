"""Label volumes: whole-number codes from the values of a mask, however they were stored.

Programs that save labels as scaled integers (nibabel, for a float64 array under an integer
header) bring them off the whole numbers: 3 comes back as 3.0000002. Values stored in steps are
known to half a step (`Volume.step`), so a whole number within that distance is the one that was
drawn, as long as no second one is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import BadLabel
from qoqdata.readers.volume.grid import Volume

HIGHEST_CODE = 65535
# What float32 arithmetic on the way may add, as a share of the value: eight of its steps.
ARITHMETIC = 2.0**-20
# Beyond this, two whole numbers may lie within the error.
UNIQUE = 0.499


def label_volume(mask: Volume, codes: Mapping[int, str]) -> Volume:
    """The mask with its label codes as voxels: uint16, 0 for background.

    codes: code -> label; what the mask may hold beside 0. Values off the whole numbers are rounded
    where half a step of the storage and a millionth of the value explain it, and `repairs` says by
    how much. Raises BadLabel for values further off, for a storage too coarse to tell codes apart,
    for NaN and infinity, and for codes that are not in `codes`.
    """
    voxels, where = mask.voxels, mask.where or None
    known = ", ".join(f"{code} {name}" for code, name in sorted(codes.items()))
    if voxels.dtype.kind not in "iuf":
        raise BadLabel(f"voxels of type {voxels.dtype} are no codes", where=where)
    _check_finite(voxels, known, where)
    if mask.step > 1 + ARITHMETIC:
        raise BadLabel(
            f"its values are stored in steps of {mask.step:g}, so whole numbers between are lost",
            where=where,
            fix=f"save the labels as integers without a scale factor; the card knows: {known}",
        )
    whole, farthest = _whole(voxels, mask.step, known, where)
    labels = _known(whole, codes, known, where)
    if farthest == 0:
        return replace(mask, voxels=labels, step=0.0)
    note = f"codes rounded to whole numbers, by up to {farthest:.2g}"
    if mask.step:
        note += f"; half a step of the storage is {mask.step / 2:.2g}"
    return replace(mask, voxels=labels, step=0.0, repairs=(*mask.repairs, note))


def _check_finite(voxels: NDArray[Any], known: str, where: str | None) -> None:
    count = 0 if voxels.dtype.kind != "f" else int((~np.isfinite(voxels)).sum())
    if count:
        raise BadLabel(
            f"{count:,} of the mask's {voxels.size:,} voxels are NaN or infinite",
            where=where,
            fix="say what they stand for, `mask_nonfinite: 0` in the mapping for background; "
            f"the card knows: {known}",
        )


def _whole(
    voxels: NDArray[Any], step: float, known: str, where: str | None
) -> tuple[NDArray[Any], float]:
    """Whole numbers in the dtype of `voxels`, and how far the farthest value was from its own."""
    if voxels.dtype.kind != "f":
        return voxels, 0.0
    whole = np.rint(voxels)
    apart = np.abs(voxels - whole)
    farthest = float(apart.max(initial=0))
    if farthest == 0:
        return whole, farthest
    # With a scale factor, rounding of slope and intercept grows with the largest stored value.
    size = np.abs(voxels).max() if step else np.abs(voxels)
    error = np.minimum(step / 2 + ARITHMETIC * np.maximum(size, 1), UNIQUE)
    off = apart > error
    count = int(off.sum())
    if count:
        worst = float(voxels[off][np.argmax(apart[off])])
        explained = f"half a step of the storage is {step / 2:.2g}" if step else "stored unscaled"
        raise BadLabel(
            f"the mask's values are not whole numbers: {count:,} of {voxels.size:,} voxels, by up "
            f"to {farthest:.2g} ({worst:g}; {explained})",
            where=where,
            fix=f"save the labels as integers without a scale factor; the card knows: {known}",
        )
    return whole, farthest


def _known(
    whole: NDArray[Any], codes: Mapping[int, str], known: str, where: str | None
) -> NDArray[np.uint16]:
    """Whole numbers as uint16 codes; raises BadLabel for those that are not in `codes`."""
    with np.errstate(invalid="ignore"):
        labels = whole.astype(np.uint16, order="K")
    if whole.min() < 0 or whole.max() > HIGHEST_CODE:
        present = np.unique(whole).tolist()
    else:
        is_present = np.zeros(HIGHEST_CODE + 1, bool)
        for last in range(labels.shape[-1]):
            is_present[labels[..., last]] = True
        present = np.flatnonzero(is_present).tolist()
    stray = [value for value in present if value != 0 and value not in codes]
    if stray:
        listing = ", ".join(f"{code:.0f}" for code in stray[:10])
        raise BadLabel(
            f"the mask holds the code{'s' if len(stray) > 1 else ''} {listing}"
            + (" ..." if len(stray) > 10 else ""),
            where=where,
            fix=f"name each under mask_codes; the card knows: {known}",
        )
    return labels
