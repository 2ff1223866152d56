"""Whether one image is a window of another: they are laid over each other, and their detail is
compared where they overlap."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from qoqdata.curation.crops import SIDE_MOST
from qoqdata.records.likeness import THUMBNAIL

#: Rows and columns of the grey images that are laid over each other.
SIDE = 96
#: Steps at most, and the gain in correlation below which another one is not worth it.
_STEPS, _GAIN = 40, 1e-5
#: Pixels by which images are smoothed while they are laid over each other.
_SMOOTH = 5
#: Of a side: what a window lies askew at most, what it leaves out on each side at most, and what it
#: leaves out at least to be one.
_ASKEW, _OUT_MOST, _OUT_LEAST = 0.02, SIDE_MOST + 0.02, 0.015
#: Of the area, what overlaps at least.
_COMMON = 0.5


class Overlap(NamedTuple):
    """`correlation` of what is left of both without their coarse shades, where they overlap;
    `cropped` says that a side of one is missing in the other."""

    correlation: float
    cropped: bool


def overlap(
    one: NDArray[np.uint8],
    other: NDArray[np.uint8],
    scale: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> Overlap | None:
    """Of two grey images (SIDE, SIDE), the other of which lies at about `scale` times the places of
    the one plus `shift`, by axis in parts of a side. None where no crop explains them.

    They are laid over each other by the enhanced correlation coefficient (Evangelidis and Psarakis,
    PAMI 2008), and as their points lie where that leads astray.
    """
    # From places in the other, in pixels, to those in the one.
    middle = (SIDE - 1) / 2
    start = np.zeros((2, 3), np.float32)
    start[[0, 1], [0, 1]] = 1 / scale
    start[:, 2] = ((middle + 0.5) / SIDE - shift) / scale * SIDE - 0.5 - middle / scale
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _GAIN)
    nothing: Any = None
    try:
        _, lying = cv2.findTransformECC(
            other, one, start.copy(), cv2.MOTION_AFFINE, stop, nothing, _SMOOTH
        )
    except cv2.error:  # They have nothing in common to go by.
        return None
    return _laid(one, other, np.asarray(lying, np.float32)) or _laid(one, other, start)


def _laid(
    one: NDArray[np.uint8], other: NDArray[np.uint8], lying: NDArray[np.float32]
) -> Overlap | None:
    """The one laid over the other by a matrix from places in that, or None where it is no crop."""
    corners = lying @ np.array([[-0.5, SIDE - 0.5], [-0.5, SIDE - 0.5], [1, 1]])
    out = (corners + 0.5) / SIDE - np.array([0.0, 1.0])
    askew = max(abs(lying[0, 1]), abs(lying[1, 0]))
    if askew > _ASKEW or float(np.abs(out).max()) > 1.25 * _OUT_MOST:
        return None
    size, how = (SIDE, SIDE), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(one, lying, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    common = cv2.warpAffine(np.full(size, 255, np.uint8), lying, size, flags=how) == 255
    if common.mean() < _COMMON:
        return None
    correlation = _correlation(_fine(laid)[common], _fine(other)[common])
    return Overlap(correlation, bool(np.abs(out).max() >= _OUT_LEAST))


def _fine(grey: Any) -> NDArray[np.float32]:
    values = np.asarray(grey, np.float32)
    return np.asarray(values - cv2.GaussianBlur(values, (0, 0), SIDE / THUMBNAIL), np.float32)


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    one, other = one - one.mean(), other - other.mean()
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / max(lengths, 1e-6)
