"""WFDB records: one segment, or many behind one header (header(5), signal(5))."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qoqdata.errors import UnreadableFile
from qoqdata.readers.ecg.data_file import signal_names
from qoqdata.readers.ecg.header import read_wfdb_header
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.ecg.wfdb_segments import read_segments
from qoqdata.readers.ecg.wfdb_single import read_single
from qoqdata.readers.limits import Limits
from qoqdata.readers.raw_file import raw_name


def read_wfdb(path: Path, limits: Limits, signals: Sequence[str] | None = None) -> Recording:
    """Read the WFDB record whose header is at `path`; `read_single` and `read_segments` say how.

    Raises UnreadableFile for a header that names others than the files `signals`, if given.
    """
    header = read_wfdb_header(path)
    if signals is not None and (names := signal_names(header, path)) != list(signals):
        named = ", ".join(names) or "no file"
        what = f"the header names {named} for its signal, not {', '.join(signals)}"
        raise UnreadableFile(what, where=str(path), fix="fetch the header again")
    notes = list(header.repairs)
    if header.record != Path(raw_name(path)).stem:
        notes.append("the record line names another record than the file name")
    read = read_segments if header.segments else read_single
    return read(header, path, limits, notes)
