"""Samples of a single-segment WFDB record, checked against what its header says of them.

The number of frames: where header and file agree, that is it. Where they do not,

- the file is longer: the header count stands when the checksums match over it (the rest is
  padding) or when there is no checksum to ask and no matrix shape either (header(5) rules);
- otherwise the file's own count replaces the header's, but only when it is proved: every checksum
  the header gives matches over the file's count, and either the shape stored in a MATLAB file is
  exactly that count, or every signal has a checksum and the file does not end in a frame of zeros
  (zeros leave a checksum as it is, so a cut there would go unseen). The change is a repair;
- anything else is a truncated or altered file and is refused: a checksum covers all samples of its
  lead, so nothing proves the samples that are left, and no mask could be true.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import formats
from qoqdata.readers.ecg.data_file import beside
from qoqdata.readers.ecg.decoding import decode_signals, flac_frames
from qoqdata.readers.ecg.header import SignalLine, WfdbHeader
from qoqdata.readers.ecg.leads import canonical, is_coded
from qoqdata.readers.ecg.mat4 import HEADER_BYTES, matrix_header
from qoqdata.readers.limits import Limits
from qoqdata.readers.raw_file import open_raw_file, raw_state


@dataclass(frozen=True)
class SignalFile:
    """One signal file: its lines in order, the frames it holds, whether a matrix shape says so."""

    path: Path
    indices: tuple[int, ...]
    lines: tuple[SignalLine, ...]
    frames: int
    has_shape: bool
    trailing: int


def read_samples(
    header: WfdbHeader, path: Path, limits: Limits
) -> tuple[list[np.ndarray | None], list[str]]:
    """Stored integers of every signal of a single-segment record, and what was mended.

    `path` is the header's. One 1-D array per signal line at the signal's own rate, all spanning the
    same number of frames, not deskewed; None for a null signal (format 0). Every signal is compared
    with its initial value and 16-bit checksum; a zero or absent field is no statement, and signals
    without a checksum are named in the repairs. In format 8 the initial value takes part in the
    decoding and proves nothing.

    Raises UnreadableFile (lead and both numbers on a mismatch), MissingFile, OutsideRoot, TooLarge,
    UnsupportedFormat.
    """
    width = sum(line.samples_per_frame for line in header.signals)
    limits.check("ecg_samples", (header.length or 0) * width, where=str(path))
    repairs: list[str] = []
    files = _signal_files(header, path, limits, repairs)
    if not files:
        raise UnreadableFile("the record holds no signal", where=str(path))
    file_frames = min(file.frames for file in files)
    if header.length is None and any(file.frames != file_frames for file in files):
        raise UnreadableFile(
            "the header states no length and the signal files differ in theirs", where=str(path)
        )
    if file_frames == 0:
        raise UnreadableFile("the signal file holds no complete frame", where=str(path))
    limits.check("ecg_samples", file_frames * width, where=str(path))
    samples: list[np.ndarray | None] = [None] * len(header.signals)
    for file in files:
        for index, signal in zip(
            file.indices, decode_signals(file.path, file.lines, file_frames), strict=True
        ):
            samples[index] = signal
    frames = _frames(
        header, samples, file_frames, all(file.has_shape for file in files), path, repairs
    )
    for index, line in enumerate(header.signals):
        values = samples[index]
        if values is not None:
            samples[index] = _checked(line, index, values[: frames * line.samples_per_frame], path)
    for file in files:
        extra = file.trailing - formats.padding(file.lines[0].fmt)
        if file.frames > frames or extra > 0:
            repairs.append("bytes after the last sample ignored")
    names = [
        line.name if is_coded(canonical(line.name)) else f"signal {index}"
        for index, (line, values) in enumerate(zip(header.signals, samples, strict=True))
        if values is not None
        # One that is stated and not zero was held against the samples above.
        and (line.checksum is None or not (line.checksum or _agrees(line, values)))
    ]
    if names:
        repairs.append(f"not verified, the header has no checksum: {', '.join(names)}")
    return samples, list(dict.fromkeys(repairs))


def _signal_files(
    header: WfdbHeader, path: Path, limits: Limits, repairs: list[str]
) -> list[SignalFile]:
    groups: dict[str, list[int]] = {}
    before: str | None = None
    for index, line in enumerate(header.signals):
        if line.fmt == formats.NULL:  # in no file, so it parts none
            continue
        group = groups.setdefault(line.file, [])
        previous, before = before, line.file
        if group and previous != line.file:
            raise UnreadableFile(
                f"the signals in {line.file!r} are not listed together", where=str(path)
            )
        group.append(index)
    return [
        _signal_file(name, tuple(indices), header, path, limits, repairs)
        for name, indices in groups.items()
    ]


def _signal_file(
    name: str,
    indices: tuple[int, ...],
    header: WfdbHeader,
    path: Path,
    limits: Limits,
    repairs: list[str],
) -> SignalFile:
    lines = tuple(header.signals[index] for index in indices)
    fmt, offset = lines[0].fmt, lines[0].byte_offset
    if any(line.fmt != fmt or line.byte_offset != offset for line in lines):
        raise UnreadableFile(f"the signals in {name!r} differ in format or offset", where=str(path))
    if fmt not in formats.BITS:
        raise UnsupportedFormat(f"unknown WFDB storage format {fmt}", where=str(path))
    file, repair = beside(path, name)
    if repair:
        repairs.append(repair)
    size = raw_state(file, limits=limits)[1]
    limits.check("file_bytes", size, where=str(file))
    if fmt in formats.FLAC:
        length = flac_frames(file, lines)
        if length is None and header.length is None:
            raise UnreadableFile("neither header nor FLAC stream states a length", where=str(file))
        frames = length if length is not None else header.length or 0
        return SignalFile(file, indices, lines, frames, False, 0)
    width = sum(line.samples_per_frame for line in lines)
    frames = formats.samples_in(fmt, max(0, size - offset)) // width
    has_shape = file.suffix.lower() == ".mat"
    if has_shape:
        columns = _columns(file, fmt, offset, width)
        if columns > frames:
            raise UnreadableFile(
                f"truncated: its matrix declares {columns:,} frames, the file holds {frames:,}",
                where=str(file),
                fix="download the file again",
            )
        frames = columns
    trailing = size - offset - formats.bytes_for(fmt, frames * width)
    return SignalFile(file, indices, lines, frames, has_shape, trailing)


def _columns(file: Path, fmt: str, offset: int, width: int) -> int:
    with open_raw_file(file) as stream:
        matrix = matrix_header(stream.read(HEADER_BYTES))
    where = str(file)
    if matrix is None:
        raise UnreadableFile("is no MATLAB level 4 file, as the header implies", where=where)
    if not matrix.holds(fmt):
        raise UnreadableFile(
            f"format {fmt} in the header, MATLAB number class {matrix.number_class} in the file",
            where=where,
        )
    if matrix.offset != offset or matrix.rows != width:
        raise UnreadableFile(
            f"the header puts {width} rows at byte {offset}, the file {matrix.rows} rows at byte "
            f"{matrix.offset}",
            where=where,
        )
    return matrix.columns


def _frames(
    header: WfdbHeader,
    samples: list[np.ndarray | None],
    file_frames: int,
    has_shape: bool,
    path: Path,
    repairs: list[str],
) -> int:
    """The number of frames to use, by the rule at the head of this module."""
    header_frames = header.length
    if header_frames is None:
        repairs.append("the header states no length; the length of the file taken")
        return file_frames
    if header_frames == file_frames:
        return file_frames
    pairs = [
        (line, values)
        for line, values in zip(header.signals, samples, strict=True)
        if values is not None
    ]

    def matches(frames: int) -> bool:
        return all(
            not line.checksum or _agrees(line, values[: frames * line.samples_per_frame])
            for line, values in pairs
        )

    has_checksum = [bool(line.checksum) for line, _ in pairs]
    if (
        header_frames < file_frames
        and matches(header_frames)
        and (any(has_checksum) or not has_shape)
    ):
        return header_frames
    last = [values[file_frames * line.samples_per_frame - 1] for line, values in pairs]
    if matches(file_frames) and (has_shape or (all(has_checksum) and any(last))):
        repairs.append(
            f"the header states {header_frames} frames, the file holds {file_frames}, and "
            + (
                "the checksums prove the file right"
                if any(has_checksum)
                else "its matrix shape decides"
            )
        )
        return file_frames
    if header_frames < file_frames:
        return header_frames
    raise UnreadableFile(
        f"truncated: the header states {header_frames:,} frames, the file holds {file_frames:,}",
        where=str(path),
        fix="download the file again",
    )


def checksum(samples: np.ndarray) -> int:
    """The 16-bit checksum of header(5): the sum of all samples modulo 65536, unsigned."""
    return int(np.sum(samples, dtype=np.int64)) & 0xFFFF


def _agrees(line: SignalLine, samples: np.ndarray) -> bool:
    number = line.checksum or 0
    return -32768 <= number <= 65535 and number & 0xFFFF == checksum(samples)


def _checked(line: SignalLine, index: int, samples: np.ndarray, path: Path) -> np.ndarray:
    name = line.name or f"signal {index}"
    if line.first and line.fmt != formats.DIFFERENCE and int(samples[0]) != line.first:
        raise UnreadableFile(
            f"lead {name}: the header gives {line.first} as the first sample, "
            f"the file {samples[0]}",
            where=str(path),
            fix="download header and signal file again",
        )
    if line.checksum and not _agrees(line, samples):
        total = checksum(samples)
        total -= 65536 if line.checksum < 0 and total > 32767 else 0
        raise UnreadableFile(
            f"lead {name}: the header gives the checksum {line.checksum}, the samples {total}",
            where=str(path),
            fix="download header and signal file again",
        )
    return samples
