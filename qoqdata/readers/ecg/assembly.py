"""From calibrated channels to a `Recording`: voltage check, frame rate, masks, lead order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import comments as comment_lines
from qoqdata.readers.ecg.leads import arrange, called
from qoqdata.readers.ecg.quality import moves, validity
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.ecg.units import millivolts_per, to_millivolts

#: The largest millivolts that float32 holds.
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Channel:
    """One channel as stored: integer or float samples 1-D, True where missing, its calibration.

    `gain` stored units per `unit`, `baseline` stored value of 0 `unit`, `rails` stored values of
    saturation, `per_frame` samples in each frame of the record.
    """

    name: str
    samples: np.ndarray
    missing: np.ndarray
    unit: str
    gain: float = 1.0
    baseline: float = 0.0
    rails: tuple[float, float] | None = None
    per_frame: int = 1


def assemble(
    channels: Sequence[Channel],
    fs: float,
    *,
    where: str,
    comments: Sequence[str] = (),
    repairs: Iterable[str] = (),
    whole: bool = True,
) -> Recording:
    """Build a Recording from channels that span the same frames at `fs` frames per second.

    `whole`: the channels are all of a recording, and not a segment (see `quality.validity`).

    Channels that are not voltages, and channels without a single stored sample, are left out and
    named in the repairs. Channels of different rates are brought to the fastest rate that divides
    them all, frames per second times the greatest common divisor of their samples per frame, by the
    mean over neighbouring samples; equal rates are never touched. So a record whose kept leads all
    hold four samples per frame keeps its native rate, and next to a lead with one sample per frame
    they are averaged as WFDB libraries do.

    Raises UnsupportedFormat when no channel is a voltage, UnreadableFile when no sample is stored,
    calibrated values are not finite, or two channels claim one lead.
    """
    notes = list(repairs)
    voltages = []
    for index, channel in enumerate(channels):
        factor = millivolts_per(channel.unit)
        if factor is None:
            notes.append(f"channel {called(channel.name, index)} left out: its unit is no voltage")
        elif channel.missing.all():
            notes.append(
                f"channel {called(channel.name, index)} left out: all its samples are missing"
            )
        else:
            voltages.append((index, channel, factor))
    if not any(millivolts_per(channel.unit) for channel in channels):
        raise UnsupportedFormat("no channel is in volts", where=where)
    if not voltages:
        raise UnreadableFile("every sample of every lead is marked as missing", where=where)
    common = gcd(*(channel.per_frame for _, channel, _ in voltages))
    rows, masks = [], []
    for index, channel, factor in voltages:
        row, mask = _calibrated(channel, factor, fs * channel.per_frame, where, whole)
        ratio = channel.per_frame // common
        if ratio > 1:
            notes.append(
                f"channel {called(channel.name, index)} averaged over {ratio} samples "
                "to the common rate"
            )
            row, mask = averaged(row, mask, ratio)
        rows.append(row.astype(np.float32))
        masks.append(mask)
    names, order, name_notes = arrange(
        [channel.name for _, channel, _ in voltages], rows, where=where
    )
    age, age_notes = comment_lines.age(comments)
    sex, sex_notes = comment_lines.sex(comments)
    return Recording(
        leads=names,
        fs=fs * common,
        signal=np.stack([rows[index] for index in order]),
        valid=np.stack([masks[index] for index in order]),
        comments=tuple(comments),
        age=age,
        sex=sex,
        dx=comment_lines.dx(comments),
        repairs=(*notes, *name_notes, *age_notes, *sex_notes),
    )


def _calibrated(
    channel: Channel, factor: float, fs: float, where: str, whole: bool
) -> tuple[np.ndarray, np.ndarray]:
    """float64 mV with 0.0 where missing, and the validity mask."""
    row = to_millivolts(channel.samples, channel.gain, channel.baseline, factor)
    lacks = bool(channel.missing.any())
    if lacks:
        row[channel.missing] = 0.0
    largest = max(float(row.max()), -float(row.min()))
    if not largest <= _LARGEST:  # nor where it is no number
        raise UnreadableFile(
            f"lead {channel.name}: a gain of {channel.gain:g} gives no finite millivolts",
            where=where,
        )
    if not lacks and moves(row, fs):
        return row, np.ones(row.size, bool)
    rails = None
    if channel.rails is not None:
        ends = np.asarray(channel.rails)
        low, high = to_millivolts(ends, channel.gain, channel.baseline, factor)
        rails = float(low), float(high)
    millivolts = np.where(channel.missing, np.nan, row) if lacks else row
    return row, validity(millivolts, fs, rails, whole=whole)


def averaged(row: np.ndarray, mask: np.ndarray, ratio: int) -> tuple[np.ndarray, np.ndarray]:
    """A lead and its mask as means over `ratio` neighbours; valid where all are, 0.0 elsewhere."""
    valid = np.all(mask.reshape(-1, ratio), axis=1)
    return np.where(valid, row.reshape(-1, ratio).mean(axis=1), 0.0), valid
