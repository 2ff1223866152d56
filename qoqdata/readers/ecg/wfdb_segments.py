"""WFDB records of many segments behind one header: fixed and variable layout (header(5)).

A segment that cannot be had, because its files are missing or damaged, it holds no ECG lead, or
all its samples are marked as missing, becomes masked samples and a note. A segment that contradicts
its record, in rate, length or unit, refuses the record: which of the two is wrong cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path

import numpy as np

from qoqdata.errors import InputError, MissingFile, UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import comments as comment_lines
from qoqdata.readers.ecg import formats
from qoqdata.readers.ecg.assembly import averaged
from qoqdata.readers.ecg.data_file import header_beside
from qoqdata.readers.ecg.header import GAP, SegmentLine, WfdbHeader, read_wfdb_header
from qoqdata.readers.ecg.leads import arrange
from qoqdata.readers.ecg.quality import flat
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.ecg.segment_headers import (
    SegmentNotes,
    note_off_layout,
    note_other_order,
    refuse_contradiction,
    refuse_units,
)
from qoqdata.readers.ecg.units import millivolts_per
from qoqdata.readers.ecg.wfdb_single import read_single
from qoqdata.readers.limits import Limits


@dataclass(frozen=True)
class _Segment:
    """A segment's own header, at `path`."""

    header: WfdbHeader
    path: Path


def read_segments(
    header: WfdbHeader, path: Path, limits: Limits, notes: Sequence[str]
) -> Recording:
    """The segments that the parsed header at `path` lists, laid end to end.

    Leads are joined by name. Gaps ("~"), leads that a segment lacks and segments that cannot be had
    are masked; a lead that no segment holds is not listed. Each segment is calibrated by its own
    header. Notes number segments as the header lists them, from 0, a layout segment included.

    Raises UnreadableFile (segments that contradict the header, or no valid sample in any), as
    MissingFile where all segments are missing, OutsideRoot, UnsupportedFormat (segments of another
    sampling frequency or an unknown format) and TooLarge.
    """
    where = str(path)
    total = sum(segment.length for segment in header.segments)
    limits.check("ecg_samples", total, where=where)
    if header.length is not None and header.length != total:
        raise UnreadableFile(
            f"declares {header.length:,} samples, its segments {total:,}", where=where
        )
    # A name that repeats is one segment, played again.
    numbers: dict[SegmentLine, int] = {}
    for number, segment in enumerate(header.segments):
        if segment.name != GAP:
            numbers.setdefault(segment, number)
    about = SegmentNotes()
    faults: dict[SegmentLine, InputError] = {}
    found: dict[SegmentLine, _Segment] = {}
    for segment in numbers:
        try:
            found[segment] = _find(segment, header, path)
        except (MissingFile, UnreadableFile) as error:
            faults[segment] = error
    for segment, one in found.items():
        refuse_contradiction(segment, one.header, header, where)
    is_variable = header.segments[0].length == 0
    first = found.pop(header.segments[0], None) if is_variable else None
    layout = None if first is None else first.header
    own_headers = {numbers[segment]: one.header for segment, one in found.items()}
    refuse_units(own_headers, layout, where)
    names = None if is_variable else note_other_order(own_headers, about)
    if layout is not None:
        note_off_layout(own_headers, layout, about)
    parts: dict[SegmentLine, Recording] = {}
    held = 0
    for segment, one in found.items():
        if segment.length == 0:
            continue
        if not _holds_ecg(one.header):
            faults[segment] = UnsupportedFormat("no channel is in volts")
            continue
        try:
            part = _read(segment, one, names, limits)
        except (MissingFile, UnreadableFile) as error:
            faults[segment] = error
            continue
        held += part.signal.size
        limits.check("ecg_samples", held, where=where)
        parts[segment] = part
    for segment, part in parts.items():
        for note in part.repairs:
            about.add(numbers[segment], note)
    for segment, fault in faults.items():
        about.add(numbers[segment], _masked(fault, segment))
    if not parts:
        raise _nothing_left(list(faults.values()), where)
    return _joined(header, parts, limits, (*notes, *about.lines()), where)


def _find(segment: SegmentLine, header: WfdbHeader, path: Path) -> _Segment:
    file = header_beside(path, f"{segment.name}.hea")
    return _Segment(read_wfdb_header(file), file)


def _read(
    segment: SegmentLine, one: _Segment, names: tuple[str, ...] | None, limits: Limits
) -> Recording:
    """The samples of a segment, at its own rate; `names` are those of its signals by position."""
    own, notes = one.header, list(one.header.repairs)
    if own.record != segment.name.replace("\\", "/").rpartition("/")[2]:
        notes.append("the record line names another record than the file name")
    if names is not None and len(names) == len(own.signals):
        signals = tuple(
            line if line.name else replace(line, name=name)
            for line, name in zip(own.signals, names, strict=True)
        )
        if signals != own.signals:
            notes.append("signals without a name are called as those of the first segment")
            own = replace(own, signals=signals)
    part = read_single(own, one.path, limits, notes, whole=False)
    frames = part.signal.shape[1] * own.fs / part.fs
    if round(frames) != segment.length:
        what = f"{segment.length:,} samples declared, {frames:,.0f} found"
        raise UnreadableFile(what, where=str(one.path))
    return part


def _holds_ecg(own: WfdbHeader) -> bool:
    return any(
        line.fmt != formats.NULL and millivolts_per(line.unit) is not None for line in own.signals
    )


def _masked(error: InputError, segment: SegmentLine) -> str:
    """What a note says of a segment that could not be had; names of files stay out of it."""
    if isinstance(error, MissingFile):
        reason = "a file of it is missing"
    elif segment.name in error.what or "'" in error.what:
        reason = "it is damaged"
    else:
        reason = error.what
    return f"left out ({reason})" if segment.length == 0 else f"masked ({reason})"


def _nothing_left(faults: Sequence[InputError], where: str) -> InputError:
    """The error of a record none of whose samples is valid, of the kind that all segments share."""
    kinds = {type(fault) for fault in faults}
    if not faults or len(kinds) > 1:
        return UnreadableFile("no segment holds samples that are valid", where=where)
    what = f"no segment holds samples that are valid; of the first, {faults[0].what}"
    return kinds.pop()(what, where=where, fix=faults[0].fix)


def _joined(
    header: WfdbHeader,
    parts: Mapping[SegmentLine, Recording],
    limits: Limits,
    notes: Sequence[str],
    where: str,
) -> Recording:
    """All segments on one time line, at the fastest rate that divides those of `parts`."""
    rates = {segment: round(part.fs / header.fs) for segment, part in parts.items()}
    per_frame = gcd(*rates.values())
    names = list(dict.fromkeys(lead for part in parts.values() for lead in part.leads))
    leads, _, _ = arrange(names, [np.zeros(0)] * len(names), where=where)
    total = sum(segment.length for segment in header.segments) * per_frame
    limits.check("ecg_samples", total * len(leads), where=where)
    signal = np.zeros((len(leads), total), np.float32)
    valid = np.zeros(signal.shape, bool)
    rows = {lead: row for row, lead in enumerate(leads)}
    start = 0
    for segment in header.segments:
        stop = start + segment.length * per_frame
        if (part := parts.get(segment)) is not None:
            ratio = rates[segment] // per_frame
            for lead, values, mask in zip(part.leads, part.signal, part.valid, strict=True):
                if ratio > 1:
                    values, mask = averaged(values, mask, ratio)
                signal[rows[lead], start:stop], valid[rows[lead], start:stop] = values, mask
        start = stop
    for lead_signal, lead_valid in zip(signal, valid, strict=True):
        present = np.where(lead_valid, lead_signal, np.nan)
        lead_valid &= ~flat(present, header.fs * per_frame)
    if not valid.any():
        raise UnreadableFile("no segment holds samples that are valid", where=where)
    if len(set(rates.values())) > 1:
        notes = (*notes, "segments of different rates averaged to the common rate")
    lines = tuple(
        dict.fromkeys((*header.comments, *(c for p in parts.values() for c in p.comments)))
    )
    age, age_notes = comment_lines.age(lines)
    sex, sex_notes = comment_lines.sex(lines)
    return Recording(
        leads,
        header.fs * per_frame,
        signal,
        valid,
        lines,
        age,
        sex,
        comment_lines.dx(lines),
        repairs=(*notes, *age_notes, *sex_notes),
    )
