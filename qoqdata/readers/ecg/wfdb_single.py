"""WFDB records of a single segment (header(5), signal(5))."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qoqdata.errors import UnreadableFile
from qoqdata.readers.ecg import formats
from qoqdata.readers.ecg.assembly import Channel, assemble
from qoqdata.readers.ecg.header import SignalLine, WfdbHeader
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.ecg.wfdb_signal import read_samples
from qoqdata.readers.limits import Limits


def read_single(
    header: WfdbHeader, path: Path, limits: Limits, notes: Sequence[str], *, whole: bool = True
) -> Recording:
    """The record of one segment whose parsed header lies at `path`; `notes` were made before.

    `whole` is false for a segment of a longer record. Null signals (format 0), which no file holds,
    are not listed. See `read_samples` for the checks.
    """
    if not header.signals:
        raise UnreadableFile("the header lists no signals", where=str(path))
    samples, repairs = read_samples(header, path, limits)
    channels = [
        _channel(line, values, f"signal {index}")
        for index, (line, values) in enumerate(zip(header.signals, samples, strict=True))
        if values is not None
    ]
    if any(line.skew for line in header.signals):
        repairs.append("signals shifted by the skew in the header; the tail is masked")
    return assemble(
        channels,
        header.fs,
        where=str(path),
        comments=header.comments,
        repairs=(*notes, *repairs),
        whole=whole,
    )


def _channel(line: SignalLine, samples: np.ndarray, fallback: str) -> Channel:
    code = formats.missing_code(line.fmt)
    missing, present = np.zeros(samples.size, bool), samples
    if code is not None and samples.size and samples.min() <= code:
        missing = samples == code
        present = samples[~missing]
    rails = None
    if present.size:
        low, high = int(present.min()), int(present.max())
        rails = formats.rails(line.fmt, line.adc_resolution, line.adc_zero, low, high)
    if line.skew:
        shift = min(line.skew * line.samples_per_frame, samples.size)
        samples = np.concatenate((samples[shift:], np.zeros(shift, samples.dtype)))
        missing = np.concatenate((missing[shift:], np.ones(shift, bool)))
    return Channel(
        name=line.name or fallback,
        samples=samples,
        missing=missing,
        unit=line.unit,
        gain=line.gain,
        baseline=line.baseline,
        rails=rails,
        per_frame=line.samples_per_frame,
    )
