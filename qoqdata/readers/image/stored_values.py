"""A decoded image before its meaning is applied: stored values, palette and alpha apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StoredValues:
    """What a file stores, without scaling, palette look-up, blending or turning.

    values: uint8 or uint16, (rows, columns) for grey or palette indices, (rows, columns, 3) RGB.
    bits: significant bits of a value (1 to 16), so full range is 0 .. 2**bits - 1.
    palette: (entries, 3) uint8 RGB when `values` are indices, else None.
    alpha: (rows, columns) of the dtype of the file's alpha, else None. Fully opaque alpha is None.
    lossy: whether the compression may have changed the values.
    orientation: Exif orientation 1 to 8 still to be applied.
    """

    values: np.ndarray
    bits: int
    format: str
    palette: np.ndarray | None = None
    alpha: np.ndarray | None = None
    lossy: bool = False
    orientation: int = 1
    repairs: tuple[str, ...] = ()


def opaque_or(alpha: np.ndarray, full: int) -> np.ndarray | None:
    """None when every alpha value equals `full` (opaque), else the alpha channel itself."""
    return None if bool((alpha == full).all()) else alpha
