"""ECG readers: WFDB records, CPSC2018 MATLAB files and DICOM waveforms to one `Recording`.

recording = read_ecg("records500/00000/00001_hr")
recording.signal      # float32 mV (lead, sample), canonical lead order, native rate
recording.valid       # bool (lead, sample); the truth about every sample
window(resample(select(recording, ("I", "II", "V1")), 250), 0, 2500).signal      # (3, 2500)
"""

from __future__ import annotations

from qoqdata.readers.ecg.reader import read_ecg
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.ecg.resample import resample, select, window

__all__ = [
    "Recording",
    "read_ecg",
    "resample",
    "select",
    "window",
]
