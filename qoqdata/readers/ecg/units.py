"""Physical units and calibration: stored integers to millivolts."""

from __future__ import annotations

import numpy as np

DEFAULT_GAIN = 200.0
"""ADC units per physical unit when a WFDB header gives none or zero (header(5), DEFGAIN)."""

_EXACT = {"nV": 1e-6, "V": 1e3}
_ANY_CASE = (
    dict.fromkeys(("mv", "millivolt", "millivolts", "mvolt", "mvolts"), 1.0)
    | dict.fromkeys(("uv", "µv", "microvolt", "microvolts", "microv", "uvolt", "uvolts"), 1e-3)
    | dict.fromkeys(("nanovolt", "nanovolts"), 1e-6)
    | dict.fromkeys(("v", "volt", "volts"), 1e3)
)


def millivolts_per(unit: str) -> float | None:
    """How many mV one `unit` is, or None when the unit is not a voltage.

    An empty unit is the WFDB default, mV. "NV" is no nanovolt: WFDB writers use NV and NU for "no
    unit", so nV counts only in that exact spelling. Both micro signs (U+00B5, U+03BC) are known.
    """
    unit = unit.strip().replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}")
    if not unit:
        return 1.0
    return _EXACT.get(unit, _ANY_CASE.get(unit.lower()))


def to_millivolts(samples: np.ndarray, gain: float, baseline: float, factor: float) -> np.ndarray:
    """float64 mV of stored `samples`: (sample - baseline) / gain * factor (header(5)).

    `gain` in stored units per physical unit, `baseline` in stored units, `factor` in mV per
    physical unit. May overflow to infinity for an absurd gain; the caller checks.
    """
    physical = samples.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        physical -= baseline
        physical /= gain
        if factor != 1.0:
            physical *= factor
    return physical
