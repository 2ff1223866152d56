"""A made-up CT-ICH: heads with blood where the labels say so, as NIfTI or as JPEG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.readers.dicom import CT_WINDOWS
from qoqdata.readers.dicom.windowing import displayed
from qoqdata.simulation import write_csv, write_jpeg, write_nifti

from ..phantom import BLOOD, Ball, head, inside
from .tables import FRACTURE, NONE, PATIENT, SLICE, TYPES

SHAPE, SPACING = (40, 48, 8), (4.5, 4.5, 5.0)
#: RAS: the array runs to the patient's left and to the back.
AFFINE = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
FIRST = 49
#: Where blood of each type lies, in voxels of the plane.
PLACES = ((20.0, 24.0), (14.0, 16.0), (20.0, 9.0), (32.0, 24.0), (8.0, 24.0))
QUIRKS = {
    "missing_file": "rows whose slices, or scan, were not fetched",
    "missing_key": "slices without a row; a patient who is in one table only",
    "duplicate_key": "a slice with two rows",
}
#: What is wrong with a patient, by the number from the first.
FAULTS = (
    "files missing",
    "row lost",
    "patient lost",
    "row twice",
    "row contradicts itself",
    "window missing",
    "cells blank",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` patients of 8 slices: NIfTI as version 1.3 for even seeds, JPEG as 1.0 for odd ones.

    With quirks the first patients have FAULTS, in turn. Always: a second line of headers in the
    table of patients, every other patient without bleeding.
    """
    rng = np.random.default_rng(seed)
    nifti = seed % 2 == 0
    root = out if nifti else out / "ct-ich-1.0.0"
    rows: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = [
        {"Patient Number": None, "Age\n(years)": None, "Gender": None, "Note": "years"}
    ]
    for number in range(n):
        patient = FIRST + number
        fault = FAULTS[number] if quirks and number < len(FAULTS) else "sound"
        own = _patient(root, patient, fault, rng, nifti=nifti)
        rows += own
        person: dict[str, Any] = {"Patient Number": patient, "Age\n(years)": 5 + number % 70}
        person |= {"Gender": "Male" if number % 3 else "Female", "Note": None}
        if fault != "patient lost":
            people.append(person)
    table = "hemorrhage_diagnosis_raw_ct.csv" if nifti else "hemorrhage_diagnosis.csv"
    write_csv(root / table, rows)
    write_csv(root / ("Patient_demographics.csv" if nifti else "patient_demographics.csv"), people)


def _patient(
    root: Path, patient: int, fault: str, rng: np.random.Generator, *, nifti: bool
) -> list[dict[str, Any]]:
    kind = patient % 2 and fault == "sound"
    types = [] if kind else sorted({patient % 5, (patient * 3 + 1) % 5})
    balls = [
        Ball((*PLACES[one], 2.0 + 3 * place), 9.0 + one, BLOOD) for place, one in enumerate(types)
    ]
    voxels = head(rng, SHAPE, SPACING, balls)
    drawn = [inside(ball, SHAPE, SPACING) for ball in balls]
    cracked = patient % 3 == 0
    if cracked:
        voxels[34, 22:26, 3] = 30
    rows = []
    for index in range(SHAPE[2]):
        here = [one for one, mask in zip(types, drawn, strict=True) if mask[..., index].any()]
        row: dict[str, Any] = {PATIENT: patient, SLICE: index + 1}
        row |= {name: int(place in here) for place, name in enumerate(TYPES)}
        row |= {NONE: int(not here), FRACTURE: int(cracked and index == 3)}
        rows.append(row)
    if fault == "row contradicts itself":
        rows[2][NONE] = 1
    if fault == "cells blank":
        rows[2] |= {**dict.fromkeys((*TYPES, NONE)), FRACTURE: None}
    mask = np.any(drawn, axis=0) if drawn else np.zeros(SHAPE, bool)
    if fault != "files missing":
        _write(root, patient, voxels, mask, fault, nifti=nifti)
    if fault == "row lost":
        rows = [] if nifti else [*rows[:4], *rows[5:]]
    return [*rows, dict(rows[0])] if fault == "row twice" else rows


def _write(
    root: Path, patient: int, voxels: np.ndarray, mask: np.ndarray, fault: str, *, nifti: bool
) -> None:
    if nifti:
        write_nifti(root / "ct_scans" / f"{patient:03}.nii", voxels, AFFINE)
        write_nifti(root / "masks" / f"{patient:03}.nii", (mask * 255).astype(np.uint8), AFFINE)
        return
    folder = root / "Patients_CT" / f"{patient:03}"
    for index in range(SHAPE[2]):
        for name in ("brain", "bone"):
            if fault == "window missing" and index == 3 + 2 * (name == "bone"):
                continue
            grey = displayed(voxels[..., index].T, CT_WINDOWS[name])
            write_jpeg(folder / name / f"{index + 1}.jpg", grey)
        if mask[..., index].any():
            drawn = (mask[..., index].T * 255).astype(np.uint8)
            write_jpeg(folder / "brain" / f"{index + 1}_HGE_Seg.jpg", drawn)
