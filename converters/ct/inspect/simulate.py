"""A made-up INSPECT: chest angiograms as NIfTI, and the tables of the release of June 2025."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.simulation import write_csv, write_nifti

from ..phantom import Ball, chest
from .tables import DETAILS, EMBOLISM, IMAGE, IMPRESSION, OUTCOMES, PERSON

SHAPE, SPACING = (32, 32, 14), (10.0, 10.0, 9.0)
SPLITS = ("train", "train", "train", "valid", "test")
#: Embolism of studies in turn: positive, acute, subsegmental only; None is an empty cell.
KINDS: tuple[tuple[bool, bool | None, bool | None], ...] = (
    (False, False, False),
    (True, True, False),
    (True, False, True),
    (True, None, None),
    (False, None, None),
)
QUIRKS = {
    "missing_file": "a study whose volume was not fetched",
    "missing_key": "a volume that no row names; rows of labels and splits without a study",
    "duplicate_key": "two impressions of one volume; rows that differ",
    "bad_table": "a split of another name",
    "bad_label": "a label that is no truth value",
    "bad_input": "a volume of stored values, without their intercept",
}
#: What is wrong with a study, by its number from the first.
FAULTS = (
    "volume missing",
    "no mapping",
    "two impressions",
    "other split",
    "other label",
    "stored values",
    "labels dispute",
    "row lost in labels",
    "rows differ",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` studies of 32 x 32 x 14 voxels; with quirks the first have FAULTS, in turn.

    Always: arrays x, y, z with the axial slices last, every third turned over along z; a row that
    stands twice in splits; impression and image named apart; two studies of every other person.
    """
    rng = np.random.default_rng(seed)
    root = out / "full"
    tables: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("study_mapping", "labels", "splits", "impressions")
    }
    for number in range(n):
        fault = FAULTS[number] if quirks and number < len(FAULTS) else "sound"
        _study(root, number, fault, rng, tables)
    tables["splits"].append(dict(tables["splits"][-1]))
    for name, rows in tables.items():
        write_csv(root / f"{name}_20250611.tsv", rows)


def _study(
    root: Path, number: int, fault: str, rng: np.random.Generator, tables: dict[str, list[Any]]
) -> None:
    # The faults are of people who have one study, so that each costs that study alone.
    person = 100_000 + (number if fault != "sound" else number // 3 * 3 + (number % 3) // 2)
    image, impression = f"PE{rng.bytes(4).hex()}", str(rng.integers(10**6, 10**7))
    positive, acute, small = KINDS[number % len(KINDS)]
    ball = Ball((21.0, 15.0, 7.0), 16, 40)
    voxels = chest(rng, SHAPE, SPACING, [ball] if positive else [])
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    if number % 3 == 1:
        voxels, affine = voxels[:, :, ::-1].copy(), affine @ np.diag([1.0, 1.0, -1.0, 1.0])
    if fault == "stored values":
        voxels = voxels + np.int16(1024)
    if fault != "volume missing":
        write_nifti(root / "CTPA" / f"{image}.nii.gz", voxels, affine)
    mapping = {PERSON: person, IMAGE: image, IMPRESSION: impression, "procedure_DATETIME": None}
    if fault != "no mapping":
        tables["study_mapping"].append(mapping)
    if fault == "two impressions":
        other = {IMPRESSION: f"{impression}1"}
        tables["study_mapping"].append(mapping | other)
    label: dict[str, Any] = {IMPRESSION: impression}
    label |= dict.fromkeys(EMBOLISM, _word(positive, number))
    details = zip(DETAILS.values(), (acute, small), strict=True)
    label |= {column: _word(value, number) for column, value in details}
    for place, column in enumerate(OUTCOMES.values()):
        fate = (number + place) % 4
        label[column] = "Censored" if fate == 3 else _word(fate == 0, number)
    if fault == "other label":
        label[EMBOLISM[0]] = "maybe"
    if fault == "labels dispute":
        label[EMBOLISM[1]] = _word(not positive, number)
    if fault != "row lost in labels":
        tables["labels"].append(label)
    if fault == "rows differ":
        tables["labels"].append(label | {EMBOLISM[0]: _word(not positive, number)})
    split = SPLITS[(person // 3 if fault == "sound" else number) % len(SPLITS)]
    split = "holdout" if fault == "other split" else split
    tables["splits"].append({PERSON: person, IMPRESSION: impression, "split": split})
    words = "Filling defects as described." if positive else "No filling defect."
    tables["impressions"].append({IMPRESSION: impression, "impressions": words})


def _word(value: bool | None, number: int) -> str | None:
    """TRUE, True or 1, as releases differ; empty for what is unknown."""
    if value is None:
        return None
    return (str(value), str(value).upper(), str(int(value)))[number % 3]
