"""A made-up VinDr-Mammo: four mammograms an examination, two tables, boxes around findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.simulation import write_csv, write_dicom

from ..phantom import breast
from ..views import SIDES, VIEWS

#: Ten of them, as the table names them.
CATEGORIES = (
    "Mass",
    "Suspicious Calcification",
    "Asymmetry",
    "Focal Asymmetry",
    "Global Asymmetry",
    "Architectural Distortion",
    "Suspicious Lymph Node",
    "Skin Thickening",
    "Skin Retraction",
    "Nipple Retraction",
)
CORNERS = ("xmin", "ymin", "xmax", "ymax")
SHAPE = (80, 64)
#: A fifth of the examinations, as in the real source, are the test part.
TEST_EVERY = 5
QUIRKS = {
    "bad_table": "a row of a view that is lost; a list that is none",
    "missing_file": "an image that was not fetched",
    "missing_key": "an image without a row of findings; a file that no table names",
    "misaligned": "a header that names the other side; a size that is not the table's",
}
#: What is wrong with an examination, by its number; the others are sound.
FAULTS = (
    "sound",
    "row of a view lost",
    "sound",
    "image missing",
    "findings lost",
    "file of the other side",
    "box over the edge",
    "box outside",
    "no list",
    "grades empty",
    "another size",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` examinations. With `quirks`, one in eleven has each of the faults.

    Always: both kinds of monochrome, windows in twos, boxes of two categories, ages in part.
    """
    rng = np.random.default_rng(seed)
    breasts: list[dict[str, Any]] = []
    findings: list[dict[str, Any]] = []
    for number in range(n):
        fault = FAULTS[number % len(FAULTS)] if quirks else "sound"
        _exam(out, number, fault, rng, breasts, findings)
    if quirks:
        write_dicom(out / "images/stray" / f"{rng.bytes(16).hex()}.dicom", _pixels(rng, []))
    write_csv(out / "breast-level_annotations.csv", breasts)
    write_csv(out / "finding_annotations.csv", findings)


def _exam(
    out: Path,
    number: int,
    fault: str,
    rng: np.random.Generator,
    breasts: list[dict[str, Any]],
    findings: list[dict[str, Any]],
) -> None:
    study = rng.bytes(16).hex()
    split = "test" if number % TEST_EVERY == 1 else "training"
    age = int(rng.integers(35, 80)) if rng.random() < 0.5 else None
    for letter, side in SIDES.items():
        # A breast in three has findings, the first one always.
        names = _categories(rng) if (number + (letter == "R")) % 3 == 0 else []
        grade = str(rng.integers(3, 6)) if names else str(rng.integers(1, 3))
        density = "ABCD"[int(rng.integers(4))]
        for view in VIEWS:
            image, first = rng.bytes(16).hex(), letter == "L" and view == "CC"
            own = fault if first else "sound"
            boxes = [_box(rng) for _ in names]
            row: dict[str, Any] = {
                "study_id": study,
                "series_id": rng.bytes(16).hex(),
                "image_id": image,
                "laterality": letter,
                "view_position": view,
                "height": SHAPE[0] + (own == "another size"),
                "width": SHAPE[1],
                "breast_birads": None if fault == "grades empty" else f"BI-RADS {grade}",
                "breast_density": None if fault == "grades empty" else f"DENSITY {density}",
                "split": split,
            }
            if own != "row of a view lost":
                breasts.append(row)
            if own != "findings lost":
                findings += _rows(row, names, boxes, grade, own)
            if own != "image missing":
                stated = "R" if own == "file of the other side" else letter
                path = out / "images" / study / f"{image}.dicom"
                _write(path, _pixels(rng, boxes, side, density), stated, view, age, rng)


def _rows(
    row: dict[str, Any],
    names: list[list[str]],
    boxes: list[tuple[float, float, float, float]],
    grade: str,
    fault: str,
) -> list[dict[str, Any]]:
    """The findings of an image, or the one row that says it has none; the split comes last."""
    common, split = {k: v for k, v in row.items() if k != "split"}, row["split"]
    found: list[tuple[str, str | None, tuple[float | None, ...]]] = [
        (str(some), f"BI-RADS {grade if place == 0 else 3}", box)
        for place, (some, box) in enumerate(zip(names, boxes, strict=True))
    ]
    if fault == "box over the edge":
        found = [("['Mass']", "BI-RADS 4", (-6.5, 10.0, 30.0, 90.0))]
    if fault == "box outside":
        found = [("['Mass']", None, (70.0, 10.0, 95.0, 30.0))]
    if not found:
        found = [("['No Finding']", None, (None,) * 4)]
    if fault == "no list":
        found[0] = ("Mass", *found[0][1:])
    return [
        common
        | {"finding_categories": some, "finding_birads": birads}
        | dict(zip(CORNERS, box, strict=True))
        | {"split": split}
        for some, birads, box in found
    ]


def _categories(rng: np.random.Generator) -> list[list[str]]:
    """Categories of one or two findings, of which the first has two names in one of three."""
    names = [str(name) for name in rng.choice(CATEGORIES, 3, replace=False)]
    first = sorted(names[:2]) if rng.random() < 0.3 else names[:1]
    return [first, names[2:]] if rng.random() < 0.5 else [first]


def _box(rng: np.random.Generator) -> tuple[float, float, float, float]:
    width, height = rng.uniform(8, 16, 2)
    x, y = rng.uniform(20, 44 - width), rng.uniform(20, 60 - height)
    return tuple(round(float(c), 3) for c in (x, y, x + width, y + height))  # type: ignore[return-value]


def _pixels(
    rng: np.random.Generator,
    boxes: list[tuple[float, float, float, float]],
    side: str = "left",
    density: str = "B",
) -> np.ndarray:
    return breast(rng, SHAPE, side, boxes, dense=0.1 + 0.25 * "ABCD".index(density))


def _write(
    path: Path,
    pixels: np.ndarray,
    side: str,
    view: str,
    age: int | None,
    rng: np.random.Generator,
) -> None:
    """One file; the shown picture is the same whatever its photometric interpretation."""
    inverse = bool(rng.random() < 0.3)
    write_dicom(
        path,
        (4095 - pixels).astype(np.uint16) if inverse else pixels,
        modality="MG",
        view=view,
        laterality=side,
        age=age,
        spacing=(0.094, 0.094),
        BitsStored=12,
        HighBit=11,
        WindowCenter=[2047.5, 1500.0],
        WindowWidth=[4096.0, 2000.0],
        WindowCenterWidthExplanation=["NORMAL", "HARDER"],
        PhotometricInterpretation="MONOCHROME1" if inverse else "MONOCHROME2",
    )
