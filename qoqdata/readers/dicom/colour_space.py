"""What colour space three samples are in, by their values alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Clinical pictures are grey for the most part, and grey looks different in either space: three
# equal samples, or two that stand at the middle.
_NEUTRAL = 8
_MIDDLE = 128
_CLEAR, _RARE = 0.5, 0.1


def of_values(samples: NDArray[Any], bits: int) -> str | None:
    """RGB or YBR_FULL of samples (rows, columns, 3), unsigned, of `bits` bits; None: not certain.

    Pixels near mid-grey, which are grey in both, do not count.
    """
    levels = (samples.astype(np.int64) & (2**bits - 1)) * 255 // (2**bits - 1)
    first, second, third = levels[..., 0], levels[..., 1], levels[..., 2]
    telling = np.abs(first - _MIDDLE) > 2 * _NEUTRAL
    equal = (np.abs(first - second) <= _NEUTRAL) & (np.abs(first - third) <= _NEUTRAL)
    middle = (np.abs(second - _MIDDLE) <= _NEUTRAL) & (np.abs(third - _MIDDLE) <= _NEUTRAL)
    grey_rgb, grey_ybr = float((telling & equal).mean()), float((telling & middle).mean())
    if grey_rgb > _CLEAR and grey_ybr < _RARE:
        return "RGB"
    if grey_ybr > _CLEAR and grey_rgb < _RARE:
        return "YBR_FULL"
    return None
