"""WFDB records: one segment, or many behind one header (header(5), signal(5))."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import comments as comment_lines
from qoqdata.readers.ecg import formats
from qoqdata.readers.ecg.assembly import Channel, assemble
from qoqdata.readers.ecg.data_file import beside
from qoqdata.readers.ecg.header import SegmentLine, SignalLine, WfdbHeader, read_wfdb_header
from qoqdata.readers.ecg.leads import arrange
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.ecg.wfdb_signal import read_samples
from qoqdata.readers.limits import Limits
from qoqdata.readers.raw_file import raw_name

GAP = "~"


def read_wfdb(path: Path, limits: Limits) -> Recording:
    """Read the WFDB record whose header is at `path`; see `read_samples` for the checks.

    Segments are laid end to end. Gaps ("~") and leads that a segment lacks are masked; a lead that
    no segment holds is not listed. All segments must share one sampling frequency.
    """
    header = read_wfdb_header(path)
    notes = list(header.repairs)
    if header.record != Path(raw_name(path)).stem:
        notes.append("the record line names another record than the file name")
    if header.segments:
        return _joined(header, path, limits, notes)
    return _single(header, path, limits, notes)


def _single(header: WfdbHeader, path: Path, limits: Limits, notes: list[str]) -> Recording:
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
    )


def _channel(line: SignalLine, samples: np.ndarray, fallback: str) -> Channel:
    code = formats.missing_code(line.fmt)
    missing = np.zeros(samples.size, bool) if code is None else samples == code
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


def _joined(header: WfdbHeader, path: Path, limits: Limits, notes: list[str]) -> Recording:
    where = str(path)
    segments = header.segments
    if segments[0].length == 0:
        segments = segments[1:]  # the layout segment of a variable-layout record holds no samples
    total = sum(segment.length for segment in segments)
    limits.check("ecg_samples", total, where=where)
    if header.length is not None and header.length != total:
        raise UnreadableFile(
            f"declares {header.length:,} samples, its segments {total:,}", where=where
        )
    parts = {
        segment: _segment(segment, header, path, limits)
        for segment in dict.fromkeys(segments)
        if segment.name != GAP
    }
    if not parts:
        raise UnreadableFile("no segment holds samples", where=where)
    rates = {part.fs for part in parts.values()}
    if len(rates) > 1:
        raise UnsupportedFormat("segments differ in sampling frequency", where=where)
    fs = rates.pop()
    per_frame = round(fs / header.fs)
    names = list(dict.fromkeys(lead for part in parts.values() for lead in part.leads))
    leads, _, _ = arrange(names, [np.zeros(0)] * len(names), where=where)
    limits.check("ecg_samples", total * per_frame * len(leads), where=where)
    signal = np.zeros((len(leads), total * per_frame), np.float32)
    valid = np.zeros(signal.shape, bool)
    start = 0
    for segment in segments:
        stop = start + segment.length * per_frame
        if segment.name != GAP:
            part = parts[segment]
            rows = [leads.index(lead) for lead in part.leads]
            signal[rows, start:stop], valid[rows, start:stop] = part.signal, part.valid
        start = stop
    for segment, part in parts.items():
        notes += [f"segment {segments.index(segment)}: {note}" for note in part.repairs]
    lines = tuple(
        dict.fromkeys((*header.comments, *(c for p in parts.values() for c in p.comments)))
    )
    age, age_notes = comment_lines.age(lines)
    sex, sex_notes = comment_lines.sex(lines)
    return Recording(
        leads,
        fs,
        signal,
        valid,
        lines,
        age,
        sex,
        comment_lines.dx(lines),
        repairs=(*notes, *age_notes, *sex_notes),
    )


def _segment(segment: SegmentLine, header: WfdbHeader, path: Path, limits: Limits) -> Recording:
    file, _ = beside(path, f"{segment.name}.hea")
    part_header = read_wfdb_header(file)
    if part_header.segments:
        raise UnreadableFile(f"segment {segment.name} itself has segments", where=str(path))
    if part_header.fs != header.fs:
        raise UnsupportedFormat("segments differ in sampling frequency", where=str(path))
    part = _single(part_header, file, limits, list(part_header.repairs))
    length = part.signal.shape[1] * header.fs / part.fs
    if round(length) != segment.length:
        raise UnreadableFile(
            f"segment {segment.name}: {segment.length:,} samples declared, {length:,.0f} found",
            where=str(path),
        )
    return part
