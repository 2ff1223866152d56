"""The one entry: a path of any kind to a `Recording`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from qoqdata.errors import MissingFile, UnreadableFile
from qoqdata.readers.ecg.leads import is_coded
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.raw_file import is_raw_file, open_raw_file


def read_ecg(
    path: str | Path, *, limits: Limits = DEFAULT_LIMITS, signals: Sequence[str] | None = None
) -> Recording:
    """Read an ECG: float32 mV (lead, sample) with mask, native rate and length.

    `path` is a WFDB record stem, its `.hea` header or one of its signal files (the header beside it
    is taken), a CPSC2018 `.mat` file without a header, or a DICOM waveform object. A channel whose
    description is no lead's name (`leads.is_coded`) is numbered. `signals` are the files that a
    WFDB header has to name, beside itself; one that names others is another recording's.

    Raises MissingFile, OutsideRoot, UnreadableFile, UnsupportedFormat and TooLarge; never any other
    exception for damaged input, and never a signal that its own header contradicts, or one without
    a usable sample.
    """
    recording = _read(Path(path), limits, signals)
    if not recording.valid.any():
        what = "no lead has a usable sample: each is flat, saturated or missing throughout"
        raise UnreadableFile(what, where=str(path), fix="fetch it again, or leave it out")
    return _without_free_names(recording)


def _without_free_names(recording: Recording) -> Recording:
    """Channels whose description is no name of a lead are numbered: it may say anything."""
    free = [row for row, name in enumerate(recording.leads) if not is_coded(name)]
    if not free:
        return recording
    leads = list(recording.leads)
    unused = (name for number in count() if (name := f"signal {number}") not in recording.leads)
    for row in free:
        leads[row] = next(unused)
    names = ", ".join(leads[row] for row in free)
    note = f"free text in place of a lead's name left out; called {names}"
    return replace(recording, leads=tuple(leads), repairs=(*recording.repairs, note))


def _read(path: Path, limits: Limits, signals: Sequence[str] | None) -> Recording:
    try:
        header = _header(path)
        if header is not None:
            from qoqdata.readers.ecg.wfdb_record import read_wfdb

            return read_wfdb(header, limits, signals)
        head = _head(path)
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"cannot be read ({error})", where=str(path)) from error
    if head[128:] == b"DICM" or path.suffix.lower() == ".dcm":
        from qoqdata.readers.ecg.dicom_waveform import read_dicom

        return read_dicom(path, limits)
    if path.suffix.lower() == ".mat":
        from qoqdata.readers.ecg.matlab import read_cpsc2018

        return read_cpsc2018(path, limits)
    raise MissingFile(
        "neither a DICOM file nor a signal file with a header beside it",
        where=str(path),
        fix="put the .hea file next to it",
    )


def _header(path: Path) -> Path | None:
    """The `.hea` file that `path` stands for, or None when there is none."""
    if path.suffix.lower() == ".hea":
        return path
    stem = path.with_name(path.name + ".hea")
    if is_raw_file(stem):
        return stem
    beside = path.with_suffix(".hea")
    if path.suffix and is_raw_file(path) and is_raw_file(beside):
        return beside
    if not (path.exists() or is_raw_file(path)):
        raise MissingFile("no such record", where=str(path))
    return None


def _head(path: Path) -> bytes:
    if not is_raw_file(path):
        raise UnreadableFile("is not a regular file", where=str(path))
    with open_raw_file(path) as file:
        return file.read(132)
