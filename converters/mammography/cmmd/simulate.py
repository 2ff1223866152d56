"""A made-up CMMD: the download from TCIA, with its workbook beside the manifest's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from qoqdata.simulation import write_dicom, write_xlsx

from ..phantom import breast
from ..views import SIDES, VIEWS
from .source import COLUMNS, TABLE

SHAPE = (80, 64)
#: SNOMED CT codes of the views, as headers of the set have them.
CODES = {"CC": "399162004", "MLO": "399368009"}
SUBTYPES = ("Luminal A", "Luminal B", "HER2-enriched", "triple negative")
QUIRKS = {
    "missing_file": "a view, or all views, that were not fetched",
    "missing_key": "a patient without a row; a file of another patient",
    "duplicate_key": "two rows of one breast; a view that lies there twice",
    "bad_label": "a verdict in other words",
    "bad_table": "a side that is none",
}
#: What is wrong with a patient, by the number; the others are sound.
FAULTS = (
    "sound",
    "view missing",
    "sound",
    "all views missing",
    "no row",
    "file of another patient",
    "breast listed twice",
    "view twice",
    "verdict in other words",
    "no side",
    "cells empty",
)
#: Patients in turn: both breasts with a row, one breast, both imaged and one with a row.
KINDS = ("both", "one", "four images, one row")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` patients, the first third of D1. With `quirks`, one in eleven has each of the faults.

    Always: rows sorted by patient, D2 nearly all malignant, files in no order of the views.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(n):
        cohort = 1 if number < -(-n // 3) else 2
        fault = FAULTS[number % len(FAULTS)] if quirks else "sound"
        _patient(out / "manifest-1616439774456" / "CMMD", f"D{cohort}-{number + 1:04}", fault, rng,
                 rows, KINDS[number % len(KINDS)])  # fmt: skip
    write_xlsx(out / f"{TABLE}.xlsx", rows, columns=COLUMNS)


def _patient(
    root: Path,
    patient: str,
    fault: str,
    rng: np.random.Generator,
    rows: list[dict[str, Any]],
    kind: str,
) -> None:
    age = int(rng.integers(17, 88))
    first = str(rng.choice(list(SIDES)))
    imaged = [first] if kind == "one" else list(SIDES)
    films = []
    for letter in imaged:
        malignant = bool(rng.random() < (0.95 if patient.startswith("D2") else 0.5))
        listed = kind == "both" or letter == first
        row = {
            "ID1": patient,
            "LeftRight": letter,
            "Age": age,
            "number": 2,
            "abnormality": str(rng.choice(["calcification", "mass", "both"])),
            "classification": "Malignant" if malignant else "Benign",
            "subtype": str(rng.choice(SUBTYPES)) if malignant and patient[1] == "2" else None,
        }
        if letter == first:
            row |= _broken(fault)
        if listed and fault != "no row":
            rows.append(row)
        if listed and fault == "breast listed twice":
            rows.append(row | {"classification": "Benign"})
        films += [(letter, view, _box(rng)) for view in VIEWS]
    folder = root / patient / "07-18-2010-NA-NA-79377" / "1.000000-NA-70244"
    listed_film = next(place for place, film in enumerate(films) if film[0] == first)
    if fault == "view missing":
        films.pop(listed_film)
    if fault == "view twice":
        films.append(films[listed_film])
    for place in rng.permutation(len(films)) if fault != "all views missing" else ():
        letter, view, box = films[place]
        of = "D1-9999" if fault == "file of another patient" else patient
        pixels = breast(rng, SHAPE, SIDES[letter], [box], bits=8)
        _write(folder / f"1-{place + 1}.dcm", pixels, of, letter, view)


def _broken(fault: str) -> dict[str, Any]:
    """The cells of a row at fault."""
    if fault == "verdict in other words":
        return {"classification": "probably benign"}
    if fault == "no side":
        return {"LeftRight": "B"}
    if fault == "cells empty":
        return {"abnormality": None, "classification": None, "subtype": None}
    return {}


def _box(rng: np.random.Generator) -> tuple[float, float, float, float]:
    x, y, size = rng.uniform(20, 30), rng.uniform(25, 45), rng.uniform(6, 14)
    return float(x), float(y), float(x + size), float(y + size)


def _write(path: Path, pixels: np.ndarray, patient: str, side: str, view: str) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = CODES[view], "SCT", view
    write_dicom(
        path,
        pixels,
        modality="MG",
        patient=patient,
        laterality=side,
        sex="F",
        ViewCodeSequence=Sequence([code]),
    )
