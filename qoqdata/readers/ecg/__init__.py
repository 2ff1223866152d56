"""ECG readers: WFDB records, CPSC2018 MATLAB files and DICOM waveforms to one `Recording`.

recording = read("records500/00000/00001_hr")
recording.signal      # float32 mV (lead, sample), canonical lead order, native rate
recording.valid       # bool (lead, sample); the truth about every sample
view_jepa_8lead_250(recording).signal      # (8, 2500)
"""

from __future__ import annotations

from qoqdata.readers.ecg.reader import read_ecg
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.ecg.resample import (
    resample,
    select,
    view_12lead_500,
    view_jepa_8lead_250,
    window,
)

__all__ = [
    "Recording",
    "read_ecg",
    "resample",
    "select",
    "view_12lead_500",
    "view_jepa_8lead_250",
    "window",
]
