"""Stored integers of one signal file: formats 16 and 61 by one NumPy read, others through wfdb."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg.formats import FLAC
from qoqdata.readers.ecg.header import SignalLine
from qoqdata.readers.raw_file import local_file, open_raw_file

UNKNOWN_LENGTH = 2**40
# wfdb 4.3 fails to return the big-endian integers of format 61.
_DIRECT = {"16": "<i2", "61": ">i2"}


def decode_signals(path: Path, lines: Sequence[SignalLine], frames: int) -> list[np.ndarray]:
    """The first `frames` frames of the signals in `path`, in the order of their header `lines`.

    Each array is 1-D integer, frames * samples per frame long, without calibration or deskewing.
    The caller has checked that the file is long enough. Raises UnreadableFile, and
    UnsupportedFormat when FLAC needs soundfile and it is absent.
    """
    if lines[0].fmt in _DIRECT:
        return _direct(path, lines, frames)
    return _through_wfdb(path, lines, frames)


def _direct(path: Path, lines: Sequence[SignalLine], frames: int) -> list[np.ndarray]:
    width = sum(line.samples_per_frame for line in lines)
    try:
        kind = np.dtype(_DIRECT[lines[0].fmt])
        with open_raw_file(path) as file:
            file.seek(lines[0].byte_offset)
            data = file.read(frames * width * kind.itemsize)
        grid = np.frombuffer(data, kind).reshape(frames, width)
        if len(lines) == width:
            # Samples of a signal side by side, as all that follows goes through them.
            return list(np.ascontiguousarray(grid.T))
    except (OSError, ValueError) as error:
        raise UnreadableFile("the samples could not be read in full", where=str(path)) from error
    ends = np.cumsum([line.samples_per_frame for line in lines])
    return [part.reshape(-1) for part in np.split(grid, ends[:-1], axis=1)]


def _through_wfdb(path: Path, lines: Sequence[SignalLine], frames: int) -> list[np.ndarray]:
    """Give wfdb a header of our own making, so that its narrower header grammar never matters."""
    import wfdb

    header = [f"record {len(lines)} 1 {frames}"]
    for line in lines:
        layout = f"{line.fmt}x{line.samples_per_frame}+{line.byte_offset}"
        header.append(f"samples.dat {layout} 1(0)/mV 0 0 {line.first or 0}")
    with tempfile.TemporaryDirectory(prefix="qoqdata-wfdb-") as name:
        folder = Path(name)
        (folder / "record.hea").write_text("\n".join(header) + "\n", encoding="ascii")
        with local_file(path) as samples:
            try:
                (folder / "samples.dat").symlink_to(samples.resolve())
            except OSError:  # no right to make links on some systems
                shutil.copyfile(samples, folder / "samples.dat")
            try:
                record = wfdb.rdrecord(
                    str(folder / "record"), physical=False, smooth_frames=False, ignore_skew=True
                )
            except Exception as error:  # wfdb has no common base class for damaged files
                raise UnreadableFile(
                    f"wfdb cannot decode format {lines[0].fmt} ({error})", where=str(path)
                ) from error
    return list(record.e_d_signal)


def flac_frames(path: Path, lines: Sequence[SignalLine]) -> int | None:
    """Frames in a FLAC signal file, or None when its stream header does not say.

    Raises UnsupportedFormat without soundfile, UnreadableFile when the file is no FLAC stream of as
    many channels as the header lists or the channels differ in samples per frame.
    """
    assert lines[0].fmt in FLAC
    where, rate = str(path), lines[0].samples_per_frame
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise UnsupportedFormat(
            f"format {lines[0].fmt} is FLAC, and soundfile is not installed",
            where=where,
            fix="pip install soundfile",
        ) from error
    try:
        with open_raw_file(path) as file:
            signature = file.read(4)
        with local_file(path) as stream:
            info = soundfile.info(str(stream))
    except (RuntimeError, OSError) as error:
        raise UnreadableFile("is not a readable FLAC stream", where=where) from error
    if signature != b"fLaC":
        raise UnreadableFile("is not a FLAC stream, as its format implies", where=where)
    if info.channels != len(lines):
        raise UnreadableFile(
            f"holds {info.channels} FLAC channels, the header lists {len(lines)}", where=where
        )
    if any(line.samples_per_frame != rate for line in lines):
        raise UnreadableFile("FLAC channels differ in samples per frame", where=where)
    if info.frames >= UNKNOWN_LENGTH:
        return None
    return max(0, int(info.frames) - lines[0].byte_offset) // rate
