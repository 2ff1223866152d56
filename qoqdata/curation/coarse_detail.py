"""The coarser half of an image's detail, which its small image still has: it rules out pairs before
anything is decoded.

Encoding and another size take the finest detail first. So two whose details correlate have small
images whose details correlate by no less: of 7,633 pairs of copies of 236 real images whose details
correlate by 0.85, those of the small images all do by 0.889. Numbers are whole, the same on every
machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qoqdata.records.likeness import CURVE, THUMBNAIL, turned

#: A binomial window, with a standard deviation of one value; the sum of its weights in both
#: directions.
_WINDOW = (1, 4, 6, 4, 1)
_WEIGHT, _REACH = sum(_WINDOW) ** 2, len(_WINDOW) // 2
#: Values of small images are rounded, which adds so much to the squared length of a detail, and
#: changes what two have in common by so much of the length of each: several times what it does as
#: the root of the mean square.
_ROUNDING, _ROUNDED = CURVE / 12, 1.5
_AT_ONCE = 4_096


def may_be_of_detail(
    one: NDArray[np.integer],
    other: NDArray[np.integer],
    way: NDArray[np.integer],
    small: NDArray[np.uint8],
    least: float,
) -> NDArray[np.bool_]:
    """(pairs,): whether the details of pairs of rows of the small images (n, 256), the other turned
    in that way, could correlate by `least`. Those of hardly any detail always could."""
    possible = np.empty(len(one), bool)
    turns = turned(np.arange(CURVE).reshape(THUMBNAIL, THUMBNAIL)).reshape(-1, CURVE)
    for start in range(0, len(one), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        numbers, at = np.unique([one[part], other[part]], return_inverse=True)
        details = coarse_details(small[numbers])
        mine, theirs = details[at.reshape(2, -1)]
        theirs = np.take_along_axis(theirs, turns[way[part]], axis=1)
        product = np.einsum("pv,pv->p", mine, theirs)
        squares = [np.einsum("pv,pv->p", of, of) for of in (mine, theirs)]
        given = _WEIGHT * _ROUNDED * sum(np.sqrt(square) for square in squares)
        left = [np.maximum(square - _WEIGHT**2 * _ROUNDING, 0) for square in squares]
        possible[part] = product + given >= least * np.sqrt(left[0] * left[1])
    return possible


def coarse_details(small: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n, 256): small images (n, 256) without their coarse shades, times _WEIGHT: whole numbers, so
    that sums of their products are exact."""
    square = small.reshape(-1, THUMBNAIL, THUMBNAIL).astype(np.int32)
    smooth = square
    for _ in range(2):
        around = np.pad(smooth, ((0, 0), (0, 0), (_REACH, _REACH)), mode="reflect")
        parts = (w * around[..., n : n + THUMBNAIL] for n, w in enumerate(_WINDOW))
        smooth = sum(parts, start=np.zeros_like(square)).swapaxes(1, 2)
    return (_WEIGHT * square - smooth).reshape(-1, CURVE).astype(np.float64)
