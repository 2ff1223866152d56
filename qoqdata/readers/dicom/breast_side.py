"""On which side of a mammogram the chest wall lies, by its pixels.

A breast touches the edge of the film that the chest wall is at and ends before the opposite one,
where there is air. Mammograms are read with the wall of a left breast on the left.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["left", "right"]

#: Shares of the width: what is left out at both edges, as scanners draw borders there, and the
#: width of the two bands that are compared, in the middle half of the rows, away from markers.
_BORDER, _BAND = 0.04, 0.25
#: How many times brighter the band of the wall is, and by how many grey levels of 255.
_TIMES, _LEVELS = 2.0, 10.0


def wall_side(pixels: NDArray[np.uint8]) -> Side | None:
    """The side of a film (rows, columns), air black, on which the breast touches the edge; None
    where it fills the film, lies on its side, or shows too little to tell."""
    rows, columns = pixels.shape
    border, band = int(columns * _BORDER), max(int(columns * _BAND), 1)
    if columns < 2 * (border + band):
        return None
    middle = pixels[rows // 4 : max(rows - rows // 4, rows // 4 + 1)]
    left = float(middle[:, border : border + band].mean())
    right = float(middle[:, columns - border - band : columns - border].mean())
    if left > _TIMES * right and left - right > _LEVELS:
        return "left"
    if right > _TIMES * left and right - left > _LEVELS:
        return "right"
    return None


def contradicted(pixels: NDArray[np.uint8], side: Side) -> str | None:
    """What to note of a film of the breast of a side whose chest wall lies on the other one."""
    seen = wall_side(pixels)
    if seen is None or seen == side:
        return None
    return f"a {side} breast whose chest wall lies on the {seen}: mirrored, or of the other side"
