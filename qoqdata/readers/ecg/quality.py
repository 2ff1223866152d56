"""Which samples of a lead can be trusted: not missing, not flat, not saturated.

Thresholds were set on clinical 12-lead files. In those, isoelectric segments stay exactly constant
for up to 0.22 s, so only far longer constant stretches count as flat.
"""

from __future__ import annotations

from math import ceil

import numpy as np

FLAT_SECONDS = 2.0
RAIL_SECONDS = 0.02
RAIL_SAMPLES = 3
PLATEAU_SECONDS = 0.05
PLATEAU_MILLIVOLTS = 1.0


def runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start index and length (int64 each) of every stretch of equal values; NaN equals nothing."""
    if values.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))
    return starts, np.diff(np.concatenate((starts, [values.size])))


def _cover(starts: np.ndarray, lengths: np.ndarray, choice: np.ndarray, size: int) -> np.ndarray:
    """Bool mask of `size` samples, True inside the chosen runs."""
    edges = np.zeros(size + 1, np.int64)
    edges[starts[choice]] += 1
    edges[(starts + lengths)[choice]] -= 1
    return np.cumsum(edges[:-1]) > 0


def flat(millivolts: np.ndarray, fs: float, *, whole: bool = True) -> np.ndarray:
    """True where one value is held for 2 s or more or, where `whole`, by the whole lead.

    `millivolts` is 1-D with NaN for missing samples, `fs` in Hz. Lost electrodes and zero-padded
    records look like this; a beating or asystolic heart does not.
    """
    starts, lengths = runs(millivolts)
    choice = _flat(lengths, fs, millivolts.size, whole)
    return _cover(starts, lengths, choice, millivolts.size)


def saturated(millivolts: np.ndarray, fs: float, rails: tuple[float, float] | None) -> np.ndarray:
    """True where the amplifier or converter is at its stop.

    Either at a converter rail (`rails`, mV, lowest and highest, None when unknown) for 20 ms and at
    least 3 samples, so that a single peak scaled to the full range stays; or held at the largest or
    smallest value of the lead for 50 ms, 1 mV or more away from the median of the lead.
    """
    starts, lengths = runs(millivolts)
    choice = _saturated(millivolts, starts, lengths, fs, rails)
    return _cover(starts, lengths, choice, millivolts.size)


def moves(millivolts: np.ndarray, fs: float) -> bool:
    """Whether a lead, as `validity` takes it, holds no value for so long that it could be masked.

    So it is with nearly all leads, of which nothing more has to be asked.
    """
    least = ceil(min(RAIL_SECONDS, PLATEAU_SECONDS, FLAT_SECONDS) * fs)
    if not 1 < least <= millivolts.size:
        return False
    # Stretches of equal neighbours, twice as long each time; NaN equals nothing.
    held, count = millivolts[1:] == millivolts[:-1], 2
    while count < least:
        step = min(count - 1, least - count)
        held, count = held[step:] & held[:-step], count + step
    return not held.any()


def validity(
    millivolts: np.ndarray,
    fs: float,
    rails: tuple[float, float] | None = None,
    *,
    whole: bool = True,
) -> np.ndarray:
    """Bool mask of one lead: True where the sample is neither missing (NaN), flat nor saturated.

    `whole`: the samples are all of a lead, and not those of a segment.
    """
    present = ~np.isnan(millivolts)
    if moves(millivolts, fs):
        return np.asarray(present)
    # Gaps cut a lead that holds one value throughout into runs that are no flat lead each.
    if whole and present.any() and np.ptp(millivolts[present]) == 0:
        return np.zeros(millivolts.shape, bool)
    starts, lengths = runs(millivolts)
    choice = _flat(lengths, fs, millivolts.size, whole)
    choice |= _saturated(millivolts, starts, lengths, fs, rails)
    if choice.any():
        present &= ~_cover(starts, lengths, choice, millivolts.size)
    return np.asarray(present)


def _flat(lengths: np.ndarray, fs: float, size: int, whole: bool) -> np.ndarray:
    """Which runs of a lead of `size` samples are flat."""
    return np.asarray((lengths >= FLAT_SECONDS * fs) | (whole & (lengths == size)))


def _saturated(
    millivolts: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    fs: float,
    rails: tuple[float, float] | None,
) -> np.ndarray:
    """Which runs of a lead are at a stop."""
    choice = np.zeros(starts.size, bool)
    long = np.flatnonzero(
        (lengths >= RAIL_SAMPLES) & (lengths >= min(RAIL_SECONDS, PLATEAU_SECONDS) * fs)
    )
    values, held = millivolts[starts[long]], lengths[long]
    if rails is not None:
        at_rail = (values <= min(rails)) | (values >= max(rails))
        choice[long] |= at_rail & (held >= RAIL_SECONDS * fs)
    if not long.size:
        return choice
    extreme = (values == np.nanmin(millivolts)) | (values == np.nanmax(millivolts))
    extreme &= held >= PLATEAU_SECONDS * fs
    if extreme.any():
        extreme &= np.abs(values - np.nanmedian(millivolts)) >= PLATEAU_MILLIVOLTS
        choice[long] |= extreme
    return choice
