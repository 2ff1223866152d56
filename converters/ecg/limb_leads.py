"""Whether limb leads agree: III, aVR, aVL and aVF follow from I and II, in every recording.

Electrodes on the wrong limb keep that law, for all six leads are made of the same three
potentials; it takes a reader to see them. What breaks it are channels under another's name, of
another recording, or with another gain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from qoqdata.readers.ecg import Recording
from qoqdata.readers.ecg.leads import LIMB, derive_limb

#: The law counts as broken from here on: millivolts anywhere, and as a share of the leads' size.
#: Rounding leaves 0.001 mV and 2 % in the files that were seen.
LEAST_MILLIVOLTS, LEAST_SHARE = 0.05, 0.2


@dataclass(frozen=True)
class LimbFault:
    """Leads that cannot be what they are called, and what seems to have happened."""

    leads: tuple[str, ...]
    note: str


def limb_fault(recording: Recording) -> LimbFault | None:
    """What breaks the law of the limb leads; None where they keep it or cannot be compared.

    Where exchanging the names of two leads mends it, those two are named; where I and II agree with
    some of the others, those that do not; else all limb leads.
    """
    rows = {name: row for row, name in enumerate(recording.leads) if name in LIMB}
    if not {"I", "II"} < rows.keys():
        return None
    both = np.logical_and.reduce(recording.valid[list(rows.values())])
    leads = {name: recording.signal[row] for name, row in rows.items()}
    if not both.all():
        leads = {name: lead[both] for name, lead in leads.items()}
    if not both.any() or not (broken := _broken(leads)):
        return None
    for one, other in combinations(leads, 2):
        if not _broken(leads | {one: leads[other], other: leads[one]}):
            return LimbFault((one, other), f"leads {one} and {other} seem exchanged, both masked")
    agreeing = leads.keys() - {"I", "II"} - set(broken)
    # aVR is the same when I and II change places, so it alone proves neither.
    names = tuple(broken if agreeing - {"aVR"} else leads)
    return LimbFault(names, f"leads {' '.join(names)} contradict II = I + III, masked")


def _broken(leads: Mapping[str, np.ndarray]) -> list[str]:
    """The leads that are not what I and II make them."""
    expected = derive_limb(leads["I"], leads["II"])
    off = []
    for name in leads.keys() & expected.keys():
        rest = leads[name] - expected[name]
        if np.abs(rest).max() < LEAST_MILLIVOLTS:
            continue
        size = max(float(leads[one].std()) for one in ("I", "II", name))
        # A constant between channels is an offset of the amplifier.
        if rest.std() > LEAST_SHARE * size:
            off.append(name)
    return [name for name in leads if name in off]
