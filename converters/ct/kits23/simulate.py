"""A made-up KiTS23: abdomens with two kidneys, tumours and cysts, and the table of cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.simulation import MARK, write_nifti, write_text

from ..phantom import Ball, abdomen, inside

SHAPE, SPACING = (48, 40, 20), (6.0, 6.0, 5.0)
#: As the real files: the first array axis runs down the patient, the last to the patient's left.
AFFINE = np.array([[0, 0, -6.0, 144], [0, -6.0, 0, 120], [-5.0, 0, 0, 100], [0, 0, 0, 1.0]])
#: Centres of the kidneys, of the patient's right and left, in voxels x, y, z.
KIDNEYS = ((14.0, 24.0, 10.0), (34.0, 24.0, 10.0))
SUBTYPES = ("clear_cell_rcc", "oncocytoma", "papillary_rcc", "chromophobe_rcc", "other")
STAGES, GRADES = ("1a", "1b", "3", "2a", "na"), ("2", "na", "3", "4", "1")
QUIRKS = {
    "missing_key": "a mask of a case that the table does not name",
    "missing_file": "a case whose mask was not fetched",
    "bad_label": "a mask with a code that nobody named",
}
#: What is wrong with a case, by its number from the first.
FAULTS = (
    "mask missing",
    "not in the table",
    "stray code",
    "size contradicts the mask",
    "one kidney",
    "no instances",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` cases of 48 x 40 x 20 voxels; with quirks the first have FAULTS, in turn.

    Always: slices along the first array axis, a third case without imaging, a fourth without a
    stated malignancy, and tumours on either side and on both.
    """
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(n):
        fault = FAULTS[number] if quirks and number < len(FAULTS) else "sound"
        case = _case(out / "dataset", number, fault, rng)
        if fault != "not in the table":
            cases.append(case)
    write_text(out / "dataset" / "kits23.json", json.dumps(cases, indent=1))
    write_text(out / "LICENSE", MARK)


def _case(root: Path, number: int, fault: str, rng: np.random.Generator) -> dict[str, Any]:
    name = f"case_{number:05}"
    radius = 16.0 + 4 * (number % 3)
    sides = (0, 1) if number % 5 == 4 and fault == "sound" else (number % 2,)
    codes = np.zeros(SHAPE, np.uint8)
    balls = []
    for side, (x, y, z) in enumerate(KIDNEYS):
        if fault == "one kidney" and side not in sides:
            continue
        kidney = Ball((x, y, z), 28, 180)
        balls.append(kidney)
        codes[inside(kidney, SHAPE, SPACING)] = 1
    tumours = []
    for side in sides:
        x, y, z = KIDNEYS[side]
        tumours.append(Ball((x, y - 5, z + 1 - 3 * side), radius, 90))
        cyst = Ball((x, y + 4, z + 2), 9, 5)
        balls += [tumours[-1], cyst]
        codes[inside(cyst, SHAPE, SPACING)] = 3
    for tumour in tumours:
        codes[inside(tumour, SHAPE, SPACING)] = 2
    if fault == "stray code":
        codes[0, 0, 0] = 9
    folder = root / name
    if fault != "mask missing":
        _write(folder / "segmentation.nii.gz", codes)
    sound = fault == "sound"
    for place, tumour in enumerate(tumours if fault != "no instances" else (), start=1):
        for annotator in (1, 2):
            part = inside(tumour, SHAPE, SPACING).astype(np.uint8)
            file = f"tumor_instance-{place}_annotation-{annotator}.nii.gz"
            _write(folder / "instances" / file, part)
    if not (sound and number % 4 == 2):
        _write(folder / "imaging.nii.gz", abdomen(rng, SHAPE, SPACING, balls))
    size = radius / 5 if fault != "size contradicts the mask" else radius
    return {
        "case_id": name,
        "gender": ("male", "female")[number % 2],
        "age_at_nephrectomy": 40 + number % 50 if number % 7 else ">=90",
        "malignant": None if sound and number % 4 == 3 else number % 4 != 1,
        "radiographic_size": round(size, 1),
        "tumor_histologic_subtype": SUBTYPES[number % len(SUBTYPES)],
        "pathology_t_stage": STAGES[number % len(STAGES)],
        "tumor_isup_grade": GRADES[number % len(GRADES)],
        "tumor_necrosis": (True, False, None)[number % 3],
    }


def _write(path: Path, voxels: np.ndarray) -> None:
    """Voxels (x, y, z) of LPS axes, stored with the slices along the first axis from the head."""
    write_nifti(path, np.ascontiguousarray(voxels.transpose(2, 1, 0)[::-1]), AFFINE)
