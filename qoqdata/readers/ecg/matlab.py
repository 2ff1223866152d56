"""CPSC2018 recordings as first released: a MATLAB 5-7 file with a struct ECG {sex, age, data}.

The file states neither rate, unit nor lead order. The challenge documentation does: 500 Hz, mV,
leads I II III aVR aVL aVF V1-V6 (Liu et al., J. Med. Imaging Health Inform. 8(7), 2018). The reader
takes them from there and says so in the repairs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import comments
from qoqdata.readers.ecg.assembly import Channel, assemble
from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.readers.ecg.mat5 import MAGIC, read_struct
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.limits import Limits
from qoqdata.readers.raw_file import read_bounded_file

CPSC2018_FS = 500.0
#: What the struct holds, and all that the documentation speaks of.
_FIELDS = frozenset({"sex", "age", "data"})
#: From the lowest to the highest value of a lead. The published recordings are of 16 bits at
#: 1000 steps a mV; a lead that spans more is of another unit, such as steps of the converter.
_MOST_MILLIVOLTS = 100.0
_MAGIC_HDF = b"MATLAB 7.3 MAT-file"


def read_cpsc2018(path: Path, limits: Limits) -> Recording:
    """Read one CPSC2018 `.mat` file; `data` is (12, samples) in mV, NaN where missing.

    Raises UnreadableFile (damaged, no such struct, or values in another unit), TooLarge (file or
    inflated size) and UnsupportedFormat (MATLAB 7.3, or fields that CPSC2018 has not).
    """
    where = str(path)
    data = read_bounded_file(path, limits, where=where)
    if data.startswith(_MAGIC_HDF):
        raise UnsupportedFormat("MATLAB 7.3 (HDF5) file", where=where, fix="save it with -v7")
    if not data.startswith(MAGIC):
        raise UnreadableFile("no MATLAB 5 file and no header beside it", where=where)
    fields = read_struct(data, "ECG", most_bytes=limits.inflated_bytes, where=where)
    if others := sorted(set(fields) - _FIELDS):
        # It may be a rate, unit or lead order, which would belie the documentation.
        what = f"ECG has the field {others[0]!r}, which no CPSC2018 recording has"
        raise UnsupportedFormat(what, where=where, fix="convert the recording to WFDB")
    samples = fields.get("data")
    if not isinstance(samples, np.ndarray) or samples.ndim != 2 or len(samples) != len(TWELVE):
        raise UnreadableFile("ECG.data is no array of 12 leads", where=where)
    if samples.shape[1] == 0:
        raise UnreadableFile("ECG.data is empty", where=where)
    limits.check("ecg_samples", samples.size, where=where)
    missing = np.isnan(samples)
    if any(
        float(row[~gone].max()) - float(row[~gone].min()) > _MOST_MILLIVOLTS
        for row, gone in zip(samples, missing, strict=True)
        if not gone.all()
    ):
        raise UnreadableFile(
            f"a lead spans more than {_MOST_MILLIVOLTS:g}, so its unit is not mV",
            where=where,
            fix="convert the recording to WFDB, with its gain",
        )
    recording = assemble(
        [
            Channel(lead, row, mask, "mV")
            for lead, row, mask in zip(TWELVE, samples, missing, strict=True)
        ],
        CPSC2018_FS,
        where=where,
        repairs=("500 Hz, mV and lead order taken from the CPSC2018 documentation",),
    )
    age, age_notes = comments.age([f"age: {_text(fields.get('age'))}"])
    sex, _ = comments.sex([f"sex: {_text(fields.get('sex'))}"])
    return replace(recording, age=age, sex=sex, repairs=(*recording.repairs, *age_notes))


def _text(value: object) -> str:
    if isinstance(value, np.ndarray):
        return str(value.reshape(-1)[0]) if value.size == 1 else ""
    return str(value or "").strip()
