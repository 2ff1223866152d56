"""A made-up MIMIC-IV-ECG: two tables, and recordings in folders of patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import ecg, official_split, write_csv, write_wfdb

QUIRKS = {
    "missing_file": "a row without its recording",
    "missing_key": "a recording that no row names, and rows of one table only",
    "bad_table": "a row that the tables give to two patients",
    "duplicate_key": "a recording with two rows",
    "unreadable_file": "half a signal file",
}
#: As the headers order them.
LEADS = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
REPORTS = (
    ("Sinus rhythm", "Normal ECG"),
    ("Sinus rhythm with PAC(s)", "", "Left axis deviation", "Abnormal ECG"),
    (
        "Atrial fibrillation with rapid ventricular response",
        "Lateral ST-T changes may be due to myocardial ischemia",
        "Abnormal ECG",
    ),
    ("Sinus bradycardia", "Normal ECG except for rate"),
    (
        "--- Warning: Data quality may affect interpretation ---",
        "Sinus tachycardia",
        "Possible anterior infarct - age undetermined",
        "Borderline ECG",
    ),
    ("--- Suspect arm lead reversal", "Probable atrial fibrillation", "Abnormal ECG"),
    (
        "Lead(s) unsuitable for analysis: V2",
        "Artifact in lead(s) V5",
        "Ventricular pacing",
        "Abnormal ECG",
    ),
    ("Sinus rhythm", "Prolonged QT interval", "Left bundle branch block", "Abnormal ECG"),
)
ODD = (
    ("Atrial fibrillation is no longer present", "Abnormal ECG"),
    (),
    ("Right bundle branch block",),
)
FAULTS = ("no measurement", "no list", "no file", "no row", "two patients", "twice", "cut")

Row = dict[str, object]


def simulate(
    out: Path, n: int, *, seed: int = 0, quirks: bool = False, seconds: float = 10
) -> None:
    """`n` recordings of `seconds`, a third of whose patients are in the list of MIMIC-CXR.

    With `quirks`, the last seven have a fault each, and some reports and measurements are odd.
    """
    rng = np.random.default_rng(seed)
    faults = FAULTS[:n] if quirks else ()
    listed: list[Row] = []
    machine: list[Row] = []
    patients: list[int] = []
    for number in range(n):
        if not patients or rng.random() < 0.7:
            patients.append(10000032 + 1013 * number)
        patient, study = patients[-1], 40000017 + 91 * number % 9_999_967
        at = number - (n - len(faults))
        fault = faults[at] if at >= 0 else ""
        row = {"subject_id": patient, "study_id": study}
        folder = f"p{str(patient)[:4]}/p{patient}/s{study}"
        path = f"files/{folder}/{study}"
        _write(out / path, rng, seconds, fault)
        lines = (*REPORTS, *(ODD if quirks else ()))[number % (len(REPORTS) + 3 * quirks)]
        listed.append(row | {"file_name": study, "ecg_time": "2180-07-23 08:44:00", "path": path})
        machine.append(row | {"cart_id": 6848296} | _report(lines) | _measured(rng, quirks))
        if fault in ("no list", "no row"):
            listed.pop()
        if fault in ("no measurement", "no row"):
            machine.pop()
        if fault == "two patients":
            machine[-1]["subject_id"] = patient + 1
        if fault == "twice":
            listed.append(dict(listed[-1]))
    write_csv(out / "record_list.csv", listed)
    write_csv(out / "machine_measurements.csv", machine)
    splits = [
        {"dicom_id": f"d{patient}", "subject_id": patient, "split": official_split(patient)}
        for patient in patients[::3]
    ]
    write_csv(out / "mimic-cxr-2.0.0-split.csv.gz", splits)


def _write(stem: Path, rng: np.random.Generator, seconds: float, fault: str) -> None:
    if fault == "no file":
        return
    write_wfdb(stem, ecg(rng, 500, seconds, LEADS), 500, LEADS)
    if fault == "cut":
        data = stem.with_suffix(".dat")
        data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])


def _report(lines: tuple[str, ...]) -> Row:
    return {f"report_{n}": lines[n] if n < len(lines) else "" for n in range(18)}


def _measured(rng: np.random.Generator, quirks: bool) -> Row:
    rr = int(rng.integers(500, 1200))
    p_onset = 40
    qrs_onset = p_onset + int(rng.integers(120, 220))
    qrs_end = qrs_onset + int(rng.integers(70, 150))
    row: Row = {
        "bandwidth": "0.005-150 Hz",
        "filtering": "60 Hz notch Baseline filter",
        "rr_interval": rr,
        "p_onset": p_onset,
        "p_end": p_onset + 90,
        "qrs_onset": qrs_onset,
        "qrs_end": qrs_end,
        "t_end": qrs_end + int(rng.integers(200, 330)),
        "p_axis": int(rng.integers(-20, 90)),
        "qrs_axis": int(rng.integers(-100, 170)),
        "t_axis": int(rng.integers(-60, 120)),
    }
    odd: list[Row] = [
        {"p_onset": 29999, "p_end": 29999, "p_axis": 32767},
        {"rr_interval": 65535, "qrs_axis": -32768},
        {"t_end": 100, "qrs_axis": 268},
        {"rr_interval": 0},
    ]
    return row | (odd[int(rng.integers(0, 4))] if quirks and rng.random() < 0.4 else {})
