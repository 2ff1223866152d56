"""Derived views of a recording: other rates, other lead sets, fixed windows. Masks come along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qoqdata.errors import UnsupportedFormat, UsageError
from qoqdata.readers.ecg.leads import derive_limb
from qoqdata.readers.ecg.recording import Recording

MOST_PHASES = 500_000
_TAPS_PER_SIDE = 10


def resample(recording: Recording, fs: float) -> Recording:
    """The recording at `fs` Hz, by polyphase filtering with the exact rational ratio.

    scipy.signal.resample_poly with its default low-pass (Kaiser 5.0, 10 * max(up, down) taps a
    side) on float64, edges held constant; ceil(samples * fs / old fs) samples come out. Invalid
    samples are bridged by straight lines between valid neighbours first, and an output sample is
    valid only where every input sample under the filter is, so no valid output depends on an
    invalid input; all others are 0.0 under a False mask.

    Raises UsageError when `fs` is not positive or the ratio has no fraction below 500,000.
    """
    if not 0 < fs < float("inf"):
        raise UsageError(f"cannot resample to {fs} Hz", fix="give a positive rate")
    ratio = Fraction(repr(float(fs))) / Fraction(repr(float(recording.fs)))
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return recording
    if max(up, down) > MOST_PHASES:
        raise UsageError(
            f"{recording.fs:g} to {fs:g} Hz is the ratio {up}/{down}, too fine to filter exactly",
            fix="choose a rate with a simpler ratio",
        )
    from scipy.signal import resample_poly

    continuous = np.stack(
        [_bridged(*lead) for lead in zip(recording.signal, recording.valid, strict=True)]
    )
    signal = resample_poly(continuous, up, down, axis=1, padtype="edge")
    valid = _carried(recording.valid, up, down, signal.shape[1])
    return replace(
        recording,
        fs=float(fs),
        signal=np.where(valid, signal, 0.0).astype(np.float32),
        valid=valid,
    )


def _bridged(lead: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """float64 copy of one lead, straight lines over invalid stretches, zeros if all is invalid."""
    places = np.flatnonzero(valid)
    if places.size == lead.size:
        return lead.astype(np.float64)
    if places.size == 0:
        return np.zeros(lead.size)
    return np.interp(np.arange(lead.size), places, lead[places].astype(np.float64))


def _carried(valid: np.ndarray, up: int, down: int, samples: int) -> np.ndarray:
    """Mask after resampling: output k sits at input k * down / up, its filter reaches `reach`."""
    position = np.arange(samples, dtype=np.int64) * down
    reach = _TAPS_PER_SIDE * max(up, down)
    first = np.clip(-((reach - position) // up), 0, valid.shape[1])
    last = np.clip((position + reach) // up + 1, 0, valid.shape[1])
    invalid = np.zeros((valid.shape[0], valid.shape[1] + 1), np.int64)
    np.cumsum(~valid, axis=1, out=invalid[:, 1:])
    return np.equal(invalid[:, last], invalid[:, first])


def select(recording: Recording, leads: Sequence[str]) -> Recording:
    """The recording with exactly `leads`, in that order.

    Absent III, aVR, aVL, aVF are computed from I and II (Einthoven, Goldberger), valid where both
    are, and noted in the repairs. Any other absent lead raises UnsupportedFormat.
    """
    rows = {lead: index for index, lead in enumerate(recording.leads)}
    signal, valid = [], []
    limb: dict[str, np.ndarray] = {}
    if "I" in rows and "II" in rows:
        limb = derive_limb(recording.signal[rows["I"]], recording.signal[rows["II"]])
    absent = [lead for lead in leads if lead not in rows]
    if lacking := [lead for lead in absent if lead not in limb]:
        raise UnsupportedFormat(
            f"the view needs the leads {', '.join(lacking)}, which the recording lacks",
            fix="leave the recording out of this view",
        )
    for lead in leads:
        if lead in rows:
            signal.append(recording.signal[rows[lead]])
            valid.append(recording.valid[rows[lead]])
        else:
            both = recording.valid[rows["I"]] & recording.valid[rows["II"]]
            signal.append(np.where(both, limb[lead], 0.0).astype(np.float32))
            valid.append(both)
    notes = (f"computed from I and II: {', '.join(absent)}",) if absent else ()
    return replace(
        recording,
        leads=tuple(leads),
        signal=np.stack(signal),
        valid=np.stack(valid),
        repairs=recording.repairs + notes,
    )


def window(recording: Recording, start: int, samples: int) -> Recording:
    """`samples` samples from sample `start`; what lies beyond the end is 0.0 and invalid.

    Raises UsageError when `start` is not inside the recording.
    """
    if not 0 <= start < recording.signal.shape[1] or samples <= 0:
        raise UsageError(f"cannot cut {samples} samples from sample {start} of this recording")
    signal = np.zeros((len(recording.leads), samples), np.float32)
    valid = np.zeros(signal.shape, bool)
    part = recording.signal[:, start : start + samples]
    signal[:, : part.shape[1]] = part
    valid[:, : part.shape[1]] = recording.valid[:, start : start + samples]
    return replace(recording, signal=signal, valid=valid)
