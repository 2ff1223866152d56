"""Whether stored values are signed, by the picture that either reading makes.

The two readings differ where a value has the highest bit and its neighbour has not. There they are
`d` apart in one reading and the whole range less `d` in the other; pictures prefer small steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# How many times wider the steps of the wrong reading must be; chance does not reach it.
_CLEARLY = 1.5


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


def _unsigned(values: NDArray[Any], bits: int) -> NDArray[np.int64]:
    return values.astype(np.int64) & (2**bits - 1)
