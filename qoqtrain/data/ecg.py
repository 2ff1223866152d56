"""A record's ECG as the windows that the ECG branch reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError, UnsupportedFormat
from qoqdata.readers.ecg.leads import canonical
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.ecg.resample import resample, select, window
from qoqtrain.model.ecg_config import EcgConfig

_DERIVABLE = {"III", "aVR", "aVL", "aVF"}


@dataclass(frozen=True, eq=False)
class EcgPlaces:
    """What windows of a recording take in a prompt.

    tokens    tokens of each window, at least 1
    captions  what each window is, which says so where the recording is shorter
    """

    tokens: tuple[int, ...]
    captions: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class EcgWindows(EcgPlaces):
    """Windows of one recording, rows in the order of the configuration's leads.

    signal    float32 (windows, leads, samples) mV; 0.0 where not valid
    valid     bool, same shape; all False for a lead that the recording lacks
    short     whether the recording is shorter than a window, the rest of which is masked
    """

    signal: NDArray[np.float32]
    valid: NDArray[np.bool_]
    short: bool = False


def recording_of(ecg: Mapping[str, Any], where: str) -> Recording:
    """The `ecg` column of a record as a Recording. Raises InputError for one that is malformed."""
    try:
        leads = tuple(canonical(name) for name in ecg["leads"])
        signal = np.asarray(ecg["signal"], dtype=np.float32)
        valid = np.asarray(ecg["valid"], dtype=bool)
        rate = float(ecg["fs"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the ECG cannot be read: {error}", where=where) from error
    if signal.ndim != 2 or signal.shape != valid.shape or signal.shape[0] != len(leads):
        raise InputError(
            f"{len(leads)} leads, signal {signal.shape}, mask {valid.shape}", where=where
        )
    if len(set(leads)) != len(leads) or not rate > 0 or not signal.size:
        raise InputError(f"leads {leads} at {rate} Hz, {signal.size} samples", where=where)
    if not np.isfinite(signal[valid]).all():
        raise InputError("valid samples are not finite", where=where)
    return Recording(leads, rate, np.where(valid, signal, np.float32(0)), valid)


def ecg_windows(ecg: Mapping[str, Any], config: EcgConfig, where: str) -> EcgWindows:
    """The first windows of a record's ECG at the branch's rate.

    Leads are found by name; III, aVR, aVL and aVF are computed from I and II where they lack; a
    lead that cannot be had is marked invalid and takes no part. A window without a single valid
    patch is left out. Raises InputError for a malformed ECG, UnsupportedFormat where no window can
    be shown.
    """
    recording = recording_of(ecg, where)
    leads = _available(recording.leads, config, where)
    seconds = recording.seconds
    view = resample(select(recording, leads), config.rate)
    rows = [config.leads.index(lead) for lead in leads]
    windows: list[tuple[NDArray[np.float32], NDArray[np.bool_], int, str]] = []
    for index in range(config.windows):
        start = index * config.samples
        if start >= view.signal.shape[1]:
            break
        part = window(view, start, config.samples)
        signal = np.zeros((len(config.leads), config.samples), np.float32)
        valid = np.zeros(signal.shape, bool)
        signal[rows], valid[rows] = part.signal, part.valid
        if tokens := window_tokens(valid, config):
            caption = _caption(leads, index, config, seconds)
            windows.append((signal, valid, tokens, caption))
    if not windows:
        raise UnsupportedFormat(
            f"no stretch of {config.patch / config.rate:g} s is valid in any lead",
            where=where,
            fix="leave the recording out",
        )
    signals, masks, tokens_, captions = zip(*windows, strict=True)
    short = seconds < config.samples / config.rate
    return EcgWindows(tokens_, captions, np.stack(signals), np.stack(masks), short)


def most_places(leads: Sequence[str], config: EcgConfig, where: str) -> EcgPlaces:
    """What a recording with `leads` takes in a prompt at most, however long and valid it is.

    Raises UnsupportedFormat where none of them can be shown.
    """
    shown = _available([canonical(lead) for lead in leads], config, where)
    length = config.samples / config.rate
    # As many digits as a number is written with: a bit shorter than one window, and than all.
    lasting = (0.987654321 * length, (config.windows - 0.012345679) * length)
    captions = [
        max((_caption(shown, index, config, seconds) for seconds in lasting), key=len)
        for index in range(config.windows)
    ]
    return EcgPlaces((config.tokens,) * config.windows, tuple(captions))


def window_tokens(valid: NDArray[np.bool_], config: EcgConfig) -> int:
    """Tokens of one window with mask (leads, samples): its stretches that hold a valid patch."""
    patches = valid.reshape(valid.shape[0], config.patches, config.patch).all(-1)
    return int(patches.any(0).reshape(config.tokens, -1).any(1).sum())


def _available(leads: Iterable[str], config: EcgConfig, where: str) -> tuple[str, ...]:
    have = set(leads)
    if {"I", "II"} <= have:
        have |= _DERIVABLE
    shown = tuple(lead for lead in config.leads if lead in have)
    if not shown:
        raise UnsupportedFormat(
            f"none of the leads {', '.join(config.leads)} is among {', '.join(sorted(set(leads)))}",
            where=where,
        )
    return shown


def _caption(leads: tuple[str, ...], index: int, config: EcgConfig, seconds: float) -> str:
    length = config.samples / config.rate
    start, end = index * length, min((index + 1) * length, seconds)
    if seconds > length:
        part = f", seconds {start:g} to {end:g}"
    else:
        # A policy that is used to whole windows would take what is masked for a pause of the heart.
        part = f", {seconds:g} s" + (f" of a window of {length:g} s" if seconds < length else "")
    return f"ECG ({len(leads)} leads: {' '.join(leads)}{part})"
