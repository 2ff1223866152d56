"""A made-up RSPECT: chest angiograms as DICOM slices, and their table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_dicom

from ..phantom import Ball, chest
from .studies import INDETERMINATE, KEYS, NEGATIVE, SLICE, STUDY

SIDE, SPACING = 32, (10.0, 10.0, 6.0)
COUNTS = (9, 12, 14)
#: Kinds of studies in turn, by the columns that are set; clot lies where the columns say.
KINDS: tuple[tuple[str, ...], ...] = (
    (NEGATIVE,),
    ("rightsided_pe", "rv_lv_ratio_lt_1"),
    (INDETERMINATE, "qa_motion"),
    ("leftsided_pe", "rightsided_pe", "central_pe", "rv_lv_ratio_gte_1", "acute_and_chronic_pe"),
    (NEGATIVE, "flow_artifact", "true_filling_defect_not_pe"),
    ("leftsided_pe", "chronic_pe", "rv_lv_ratio_lt_1"),
    (INDETERMINATE, "qa_contrast", "qa_motion"),
)
#: Where clot lies in the plane, as shares of the width; x runs to the patient's left.
PLACES = {"rightsided_pe": 0.38, "leftsided_pe": 0.62, "central_pe": 0.5}
QUIRKS = {
    "missing_file": "a slice, or a whole study, that was not fetched",
    "missing_key": "a slice without a row; a file named after another slice",
    "duplicate_key": "a study of two series; a row that stands twice",
    "bad_table": "rows that disagree about their study; a label that is no 0 or 1",
}
#: What is wrong with a study, by its number from the first.
FAULTS = (
    "slice missing",
    "study missing",
    "no row",
    "names exchanged",
    "two series",
    "row twice",
    "rows disagree",
    "other label",
    "negative with a positive slice",
    "positive without a slice",
    "chronic and both",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` studies of 9 to 14 slices of 32 x 32 pixels; with quirks the first have FAULTS, in turn.

    Always: names that tell no order, every third stored from the head down, padding of -2000, and
    one study of test for ten of train.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for number in range(n):
        fault = FAULTS[number] if quirks and number < len(FAULTS) else "sound"
        _study(out, number, fault, rng, rows)
    for number in range(n // 10):
        study, series, name = (_word(rng) for _ in range(3))
        path = out / "test" / study / series / f"{name}.dcm"
        _write(path, np.zeros((SIDE, SIDE)), 0, number, name)
    write_csv(out / "train.csv", rows, columns=(*KEYS, SLICE, *STUDY))


def _study(
    out: Path, number: int, fault: str, rng: np.random.Generator, rows: list[dict[str, object]]
) -> None:
    kind = set(KINDS[number % len(KINDS)])
    if fault in ("positive without a slice", "chronic and both"):
        kind = {"leftsided_pe", "rv_lv_ratio_lt_1"}
    if fault == "chronic and both":
        kind |= {"chronic_pe", "acute_and_chronic_pe"}
    if fault == "negative with a positive slice":
        kind = {NEGATIVE}
    count = COUNTS[number % len(COUNTS)]
    shape = (SIDE, SIDE, count)
    centre = int(rng.integers(2, count - 2))
    balls = [
        Ball((share * SIDE, 0.45 * SIDE, centre), 14, 40)
        for column, share in PLACES.items()
        if column in kind
    ]
    volume = chest(rng, shape, SPACING, balls)
    study, series = _word(rng), _word(rng)
    names = [_word(rng) for _ in range(count)]
    positive = {centre - 1, centre, centre + 1} if balls else set()
    if fault == "negative with a positive slice":
        positive = {centre}
    if fault == "positive without a slice":
        positive = set()
    labels = {column: int(column in kind) for column in STUDY}
    for place in rng.permutation(count):
        row = dict(zip(KEYS, (study, series, names[place]), strict=True))
        rows.append(row | {SLICE: int(place in positive)} | labels)
        first = place == 0
        if fault == "study missing" or (fault == "slice missing" and first):
            continue
        if fault == "no row" and first:
            rows.pop()
        folder = f"{series[::-1]}" if fault == "two series" and first else series
        if fault == "two series" and first:
            rows[-1][KEYS[1]] = folder
        shown = 1 - place if fault == "names exchanged" and place < 2 else place
        height = -place if number % 3 == 0 else place
        path = out / "train" / study / folder / f"{names[place]}.dcm"
        _write(path, volume[:, :, place].T, height * SPACING[2], number, names[shown])
    if fault == "row twice":
        rows.append(dict(rows[-1]))
    if fault == "rows disagree":
        rows[-1][INDETERMINATE] = 1 - int(str(rows[-1][INDETERMINATE]))
    if fault == "other label":
        rows[-1][SLICE] = "yes"


def _word(rng: np.random.Generator) -> str:
    """Twelve digits: the real ones are hexadecimal, which libraries warn of in a UID."""
    return str(rng.integers(10**11, 10**12))


def _write(path: Path, hounsfield: np.ndarray, height: float, number: int, name: str) -> None:
    """A slice (rows, columns) at `height` mm; the corners beyond the scanned circle are padding.

    The header repeats the short word that the file is named after.
    """
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    stored = np.where(x**2 + y**2 > 1.9, -2000, hounsfield).astype(np.int16)
    write_dicom(
        path,
        stored,
        modality="CT",
        study=path.parts[-3],
        series=path.parts[-2],
        spacing=SPACING[:2],
        position=(0.0, 0.0, float(height)),
        age=30 + number % 50,
        sex="FM"[number % 2],
        RescaleSlope=1,
        RescaleIntercept=0,
        RescaleType="HU",
        PixelPaddingValue=-2000,
        SliceThickness=SPACING[2],
        SOPInstanceUID=name,
    )
