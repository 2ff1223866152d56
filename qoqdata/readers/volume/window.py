"""From voxel values to 8 bits: a window (CT) or a percentile range (MR).

A window is given by its centre and width in the units of the values, as in DICOM. For values that
are not whole numbers DICOM's LINEAR_EXACT is the fitting function (PS3.3 C.11.2.1.3.2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qoqdata.errors import UnreadableFile, UsageError


def to_uint8(values: ArrayLike, centre: float, width: float) -> NDArray[np.uint8]:
    """Window `values` (any shape, real) to 0..255.

    centre - width/2 and below give 0, centre + width/2 and above give 255, linear in between,
    rounded half up. Raises UsageError unless the width is above 0 and both are finite;
    UnreadableFile when a value is NaN or infinite, since no grey level would be true.
    """
    if not (np.isfinite(centre) and np.isfinite(width) and width > 0):
        raise UsageError(f"a window of centre {centre} and width {width}")
    array = _finite(values)
    with np.errstate(over="ignore"):
        levels = (array - (centre - width / 2)) * 255 / width
    np.clip(levels, 0, 255, out=levels)
    return np.asarray(np.floor(levels + 0.5).astype(np.uint8))


def percentile_range(
    values: ArrayLike, low: float = 0.5, high: float = 99.5
) -> tuple[float, float]:
    """The values at two percentiles (linear interpolation, over all values, background too).

    For MR and other modalities without absolute units. Take it over the whole volume and map each
    slice with `to_uint8_range`, so that all slices of a study share one scale.
    """
    if not 0 <= low < high <= 100:
        raise UsageError(f"percentiles {low} and {high}")
    bottom, top = np.percentile(_finite(values), [low, high])
    return float(bottom), float(top)


def to_uint8_range(values: ArrayLike, bottom: float, top: float) -> NDArray[np.uint8]:
    """`bottom` and below give 0, `top` and above 255, linear in between, rounded half up.

    Where the two coincide (a constant image, or a few bright voxels on an even ground) values above
    give 255 and all others 0.
    """
    if not (np.isfinite(bottom) and np.isfinite(top) and bottom <= top):
        raise UsageError(f"a range from {bottom} to {top}")
    if bottom == top:
        return np.where(_finite(values) > top, 255, 0).astype(np.uint8)
    return to_uint8(values, bottom / 2 + top / 2, top - bottom)


def describe_window(centre: float, width: float) -> str:
    """The window as recorded with an image: "C40 W400"."""
    return f"C{centre:g} W{width:g}"


def _finite(values: ArrayLike) -> NDArray[np.floating]:
    """Values as float32, or float64 for types that float32 cannot hold exactly."""
    array = np.asarray(values)
    if array.size == 0:
        raise UsageError("no values to window")
    if array.dtype.kind not in "biuf":
        raise UsageError(f"values of type {array.dtype} have no grey level")
    wide = array.dtype.itemsize > 2
    floats: NDArray[np.floating] = array.astype(np.float64 if wide else np.float32)
    bad = int(floats.size - np.isfinite(floats).sum())
    if bad:
        raise UnreadableFile(
            f"{bad:,} of {floats.size:,} values are NaN or infinite",
            fix="say what they stand for, in the mapping: `nonfinite: background` for the volume's "
            "lowest finite value, or `nonfinite: -1000` for a number",
        )
    return floats
