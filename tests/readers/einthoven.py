"""Einthoven's check of limb leads: III, aVR, aVL and aVF must follow from I and II."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qoqdata.readers.ecg.leads import derive_limb


def einthoven_residuals(
    leads: Sequence[str], signal: np.ndarray, valid: np.ndarray
) -> dict[str, float]:
    """Root mean square in mV of measured minus derived III, aVR, aVL and aVF.

    `signal` and `valid` are (lead, sample); samples valid in all three leads count. Only leads that
    are present beside I and II are listed; without a common valid sample a lead is left out. In a
    sound 12-lead record every value is near the quantisation step; swapped, inverted or wrongly
    scaled limb leads give a large fraction of the signal.
    """
    at = {name: index for index, name in enumerate(leads)}
    if "I" not in at or "II" not in at:
        return {}
    limb_i, limb_ii = (signal[at[name]].astype(np.float64) for name in ("I", "II"))
    residuals = {}
    for name, expected in derive_limb(limb_i, limb_ii).items():
        if name not in at:
            continue
        common = valid[at["I"]] & valid[at["II"]] & valid[at[name]]
        if common.any():
            error = (signal[at[name]] - expected)[common]
            residuals[name] = float(np.sqrt(np.mean(error**2)))
    return residuals
