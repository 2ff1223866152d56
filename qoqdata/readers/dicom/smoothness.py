"""Which of two readings of the same bytes is a picture: pictures prefer small steps.

Signed and unsigned numbers differ where a value has the highest bit and its neighbour has not.
There they are `d` apart in one reading and the whole range less `d` in the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# How many times wider the steps of the wrong reading must be; chance does not reach it.
_CLEARLY = 1.5
_SIDE = 512


def smoother_sign(values: NDArray[Any], bits: int) -> bool | None:
    """True when the lowest `bits` of values (rows, columns) are a picture as signed numbers only.

    False when as unsigned numbers only, None when neither is clearly smoother.
    """
    unsigned = _unsigned(values, bits)
    past = unsigned >= 2 ** (bits - 1)
    as_unsigned = as_signed = 0
    for axis in (0, 1):
        steps = np.abs(np.diff(unsigned, axis=axis))[np.diff(past, axis=axis)]
        as_unsigned += int(steps.sum())
        as_signed += int((2**bits - steps).sum())
    if as_unsigned > _CLEARLY * as_signed:
        return True
    return False if as_signed > _CLEARLY * as_unsigned else None


def past_half(values: NDArray[Any], bits: int) -> bool:
    """Whether any value has the highest of its lowest `bits`, so that the sign matters."""
    return bool((_unsigned(values, bits) >= 2 ** (bits - 1)).any())


def roughness(values: NDArray[Any]) -> float:
    """Mean step between neighbours, in rows and in columns, of values (rows, columns, ...).

    Of large pictures the middle is judged.
    """
    rows, columns = (max(0, (side - _SIDE) // 2) for side in values.shape[:2])
    wide = values[rows : rows + _SIDE, columns : columns + _SIDE].astype(np.int64)
    return float(sum(np.abs(np.diff(wide, axis=axis)).mean() for axis in (0, 1)))


def _unsigned(values: NDArray[Any], bits: int) -> NDArray[np.int64]:
    return values.astype(np.int64) & (2**bits - 1)
