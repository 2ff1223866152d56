"""The range of grey of a volume that has no window of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qoqdata.errors import UnreadableFile, UsageError

# What is around the patient, or around the vessels of an angiography: one value that more than half
# of the voxels have, or nearly one value that nearly all have.
_HALF, _NEARLY_ALL = 0.5, 0.98
# Nearly one value: within this share of the range that leaves out the outermost 0.1 % at each end.
_NEARLY_ONE = 1 / 32
_OUTERMOST = 0.1
# A background this many foreground ranges away is a filling value, such as -32768.
_FILLING = 4


def percentile_range(
    values: ArrayLike, low: float = 0.5, high: float = 99.5
) -> tuple[float, float]:
    """The values at two percentiles of the foreground (linear interpolation): black and white.

    For MR and other modalities without absolute units. Take it over the whole volume, so that all
    slices share one scale, and leave out what is known to be no data.

    A background does not take part, and is black or white itself unless it is a filling value far
    from all others. Background is the one value that more than half of the values have, or what
    lies within 1/32 of the range around the median when that is over 98 % of them. Over all values,
    the two percentiles of an angiography whose vessels are 0.4 % of the voxels both lie in the
    background: every vessel is white and nothing has a shade. Over the foreground, 0.5 % of the
    vessels are saturated, whether the background is constant or noise. Where neither rule
    finds a background, as in most MR and CT, the percentiles are over all values.

    Constant values give that value twice. Raises UsageError for percentiles out of order, no
    values or values that are no real numbers, UnreadableFile for NaN and infinity.
    """
    if not 0 <= low < high <= 100:
        raise UsageError(f"percentiles {low} and {high}")
    array = finite(values)
    first, median, last, bottom, top = (
        float(one) for one in np.percentile(array, [_OUTERMOST, 50, 100 - _OUTERMOST, low, high])
    )
    background = _background(array, median, last - first)
    if background is None or background.all():
        return bottom, top
    bottom, top = (float(one) for one in np.percentile(array[~background], [low, high]))
    reach = _FILLING * (top - bottom) or np.inf
    if bottom - reach <= median <= top + reach:
        bottom, top = min(bottom, median), max(top, median)
    return bottom, top


def _background(array: NDArray[Any], median: float, width: float) -> NDArray[np.bool_] | None:
    """Where the background is, by the two rules of `percentile_range`; None without one."""
    for distance, share in ((0.0, _HALF), (width * _NEARLY_ONE, _NEARLY_ALL)):
        near: NDArray[np.bool_] = (array >= median - distance) & (array <= median + distance)
        if np.count_nonzero(near) > share * near.size:
            return near
    return None


def finite(values: ArrayLike) -> NDArray[Any]:
    """Values as an array of real numbers, which have a grey level.

    Raises UsageError when there are none or they are no real numbers, UnreadableFile when one is
    NaN or infinite, since no grey level would be true.
    """
    array = np.asarray(values)
    if array.size == 0:
        raise UsageError("no values to show")
    if array.dtype.kind not in "biuf":
        raise UsageError(f"values of type {array.dtype} have no grey level")
    if array.dtype.kind == "f" and (bad := int(array.size - np.isfinite(array).sum())):
        raise UnreadableFile(
            f"{bad:,} of {array.size:,} values are NaN or infinite",
            fix="say what they stand for, in the mapping: `nonfinite: background` for the volume's "
            "lowest finite value, or `nonfinite: -1000` for a number",
        )
    return array
