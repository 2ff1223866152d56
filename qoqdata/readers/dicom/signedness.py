"""Whether stored values are signed, by the picture that either reading makes.

The wrong reading tears the picture where values pass zero or the half of their range, so its
neighbours differ far more. Nothing is decided where the two readings do not differ clearly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# How many times rougher the wrong reading must be; tears reach far more, chance does not.
_CLEARLY = 1.5


def smoother_sign(values: NDArray[Any], bits: int) -> bool | None:
    """True when the lowest `bits` of values (rows, columns) are a picture as signed numbers only.

    False when as unsigned numbers only, None when neither is clearly smoother.
    """
    unsigned = _unsigned(values, bits)
    signed = np.where(unsigned >= 2 ** (bits - 1), unsigned - 2**bits, unsigned)
    rough_signed, rough_unsigned = roughness(signed), roughness(unsigned)
    if rough_unsigned > _CLEARLY * rough_signed:
        return True
    return False if rough_signed > _CLEARLY * rough_unsigned else None


def past_half(values: NDArray[Any], bits: int) -> bool:
    """Whether any value has the highest of its lowest `bits`, so that the sign matters."""
    return bool((_unsigned(values, bits) >= 2 ** (bits - 1)).any())


def roughness(image: NDArray[Any]) -> float:
    """Mean absolute difference of neighbours in rows and in columns."""
    steps = [np.abs(np.diff(image, axis=axis)) for axis in (0, 1)]
    count = sum(step.size for step in steps)
    return float(sum(float(step.sum()) for step in steps) / count) if count else 0.0


def _unsigned(values: NDArray[Any], bits: int) -> NDArray[np.int64]:
    return values.astype(np.int64) & (2**bits - 1)
