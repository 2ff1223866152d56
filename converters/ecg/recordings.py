"""What every ECG source does with a recording: read it, mask what cannot be right, show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qoqdata.errors import UnreadableFile
from qoqdata.readers.ecg import Recording, read_ecg
from qoqdata.records.content import Ecg, Record
from qoqdata.sources.protocol import Converted, Job, Skipped

from .limb_leads import limb_fault

#: What a lead spans, in mV, between the noise of an amplifier and what any of them takes. A median
#: lead that spans anything else is of another unit or gain than its header says.
SPAN_MV = (0.01, 100.0)


def read_pair(header: str, signal: str, job: Job, *, rate: float | None = None) -> Recording:
    """The recording of a WFDB header and its one signal file, as `read_recording` gives it.

    Raises UnreadableFile where the header names another file: it is another recording's.
    """
    return read_recording(header, job, signals=[signal.rpartition("/")[2]], rate=rate)


def read_recording(
    path: str, job: Job, *, signals: Sequence[str] | None = None, rate: float | None = None
) -> Recording:
    """The recording whose header is at `path`: mV, all leads at the rate and length of the file.

    Beside what the reader masks (missing, flat and saturated samples), limb leads that contradict
    each other are. The repairs name every lead that is not whole. `signals` are as `read_ecg`
    takes them, `rate` in Hz is that of all recordings of the source. Raises the errors of
    `read_ecg`, and UnreadableFile where that leaves no sample, for another rate, and for a signal
    that no ECG spans (see `SPAN_MV`).
    """
    recording = read_ecg(job.raw.resolve(path), limits=job.limits, signals=signals)
    if rate is not None and recording.fs != rate:
        what = f"the header says {recording.fs:g} Hz, and recordings of this source have {rate:g}"
        raise UnreadableFile(what, where=path, fix="fetch the header again")
    _check_span(recording, path)
    notes = list(recording.repairs)
    valid = recording.valid
    if fault := limb_fault(recording):
        valid = valid & ~np.isin(recording.leads, fault.leads)[:, None]
        notes.append(fault.note)
        if not valid.any():
            what = f"no lead has a usable sample: {fault.note}"
            raise UnreadableFile(what, where=path, fix="fetch it again, or leave it out")
    recording = replace(recording, valid=valid)
    return replace(recording, repairs=(*notes, *recording.masked))


def _check_span(recording: Recording, path: str) -> None:
    """Raise UnreadableFile for a signal in another unit than mV, by its median lead."""
    leads = zip(recording.signal, recording.valid, strict=True)
    spans = [float(np.ptp(samples[valid])) for samples, valid in leads if valid.any()]
    least, most = SPAN_MV
    if spans and not least <= float(np.median(spans)) <= most:
        what = f"leads span {np.median(spans):.2g} mV, which no ECG does: the unit or gain is wrong"
        raise UnreadableFile(what, where=path, fix="fetch the header again")


def questions(
    asked: Iterable[dict[str, Any] | Skipped],
    recording: Recording,
    *,
    age: int | None,
    sex: str | None,
    notes: tuple[str, ...] = (),
) -> list[Converted]:
    """A record for each question that is asked of a recording; they share its signal.

    `asked` are fields as `qoqdata.sources.asking` gives them, and questions that are skipped.
    """
    signal = Ecg(recording.leads, recording.fs, recording.signal, recording.valid)
    noted = (*recording.repairs, *notes)
    return [
        one
        if isinstance(one, Skipped)
        else Record(**one, ecg=signal, age=age, sex=sex, notes=noted)
        for one in asked
    ]
