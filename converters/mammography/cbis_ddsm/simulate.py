"""A made-up CBIS-DDSM in the layout of the download from TCIA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.simulation import blob, uid, write_csv, write_dicom

from ..phantom import breast

#: Values of the columns, by table.
DESCRIPTORS: dict[str, dict[str, tuple[str, ...]]] = {
    "mass": {
        "mass shape": ("OVAL", "IRREGULAR-ARCHITECTURAL_DISTORTION", "LOBULATED", "ROUND"),
        "mass margins": ("CIRCUMSCRIBED", "ILL_DEFINED-SPICULATED", "OBSCURED"),
    },
    "calc": {
        "calc type": ("PLEOMORPHIC", "ROUND_AND_REGULAR-LUCENT_CENTERED", "LUCENT_CENTER"),
        "calc distribution": ("CLUSTERED", "CLUSTERED-LINEAR", "REGIONAL-REGIONAL"),
    },
}
PATHOLOGIES = ("BENIGN", "BENIGN_WITHOUT_CALLBACK", "MALIGNANT")
SETS = {"train": "Training", "test": "Test"}
#: What is wrong with a film, by its number; the others are sound.
FAULTS = (
    "sound",
    "mask missing",
    "lesion listed twice",
    "sound",
    "mask and crop in series of their own",
    "grades of 0",
    "train and test",
    "mask of another size",
    "descriptor empty",
    "mask of another lesion",
    "row lost",
    "path of another lesion",
    "film missing",
)
QUIRKS = {
    "missing_file": "a mask, or a film, that was not fetched",
    "duplicate_key": "a lesion listed twice, with two verdicts",
    "missing_key": "a lesion that lost its row; a mask in the folder of another lesion",
    "bad_table": "a path that leads to another lesion",
}
#: The lesions of a film, in turn, quirks or not.
LESIONS = ("mass", "calc", "both", "two masses")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` films of n / 2 patients, with their lesions.

    With `quirks`, one film in thirteen has each of the faults.
    Always: paths of the tables that are not those of the download and end in a newline, masks and
    crops in either order, masks of 8 or 16 bits, films in two tables, lesions that overlap.
    """
    rng = np.random.default_rng(seed)
    tables: dict[tuple[str, str], list[dict[str, Any]]] = {
        (kind, split): [] for kind in DESCRIPTORS for split in SETS
    }
    series: list[dict[str, Any]] = []
    for number in range(n):
        fault = FAULTS[number % len(FAULTS)] if quirks else "sound"
        _film(out / "manifest-1", number, fault, rng, tables, series)
    for (kind, split), rows in tables.items():
        write_csv(out / f"{kind}_case_description_{split}_set.csv", rows, columns=_columns(kind))
    write_csv(out / "manifest-1" / "metadata.csv", series, columns=list(_series("", "", "", "")))


def _film(
    root: Path,
    number: int,
    fault: str,
    rng: np.random.Generator,
    tables: dict[tuple[str, str], list[dict[str, Any]]],
    series: list[dict[str, Any]],
) -> None:
    patient, view = f"P_{number // 2 + 1:05}", ("CC", "MLO")[number % 2]
    side = ("LEFT", "RIGHT")[number // 2 % 2]
    split = "test" if number // 2 % 5 == 4 else "train"
    listed = "both" if fault == "train and test" else LESIONS[number % len(LESIONS)]
    kinds = {"both": ["mass", "calc"], "two masses": ["mass", "mass"]}.get(listed, [listed])
    shape = (int(rng.integers(56, 72)), int(rng.integers(40, 48)))
    density, masks = int(rng.integers(1, 5)), [blob(rng, shape) for _ in kinds]
    pixels = breast(rng, shape, side.lower(), [], dense=density / 4, bits=16)
    for mask in masks:
        pixels[mask] = np.maximum(pixels[mask], 52000) + rng.integers(0, 4000, mask.sum())
    for index, (kind, mask) in enumerate(zip(kinds, masks, strict=True)):
        own = "test" if fault == "train and test" and index else split
        case = f"{kind.title()}-{SETS[own]}_{patient}_{side}_{view}"
        count = kinds[:index].count(kind) + 1
        lesion = f"{case}_{count}"
        if fault != "film missing":
            _write(root, series, case, "full mammogram images", [pixels])
        own_fault = fault if index == len(kinds) - 1 else "sound"
        _lesion(root, series, lesion, own_fault, mask, pixels, rng)
        row = {
            "patient_id": patient,
            _density(kind): 0 if fault == "grades of 0" else density,
            "left or right breast": side,
            "image view": view,
            "abnormality id": count,
            "abnormality type": "mass" if kind == "mass" else "calcification",
            **{name: str(rng.choice(words)) for name, words in DESCRIPTORS[kind].items()},
            "assessment": 0 if fault == "grades of 0" else int(rng.integers(1, 6)),
            "pathology": str(rng.choice(PATHOLOGIES)),
            "subtlety": int(rng.integers(1, 6)),
            **_paths(kind, case, f"{case}_9" if fault == "path of another lesion" else lesion),
        }
        if fault == "descriptor empty":
            row |= dict.fromkeys(DESCRIPTORS[kind], "N/A")
        if fault != "row lost" or index:
            tables[kind, own].append(row)
        if fault == "lesion listed twice":
            tables[kind, own].append(row | {"pathology": "MALIGNANT"})


def _lesion(
    root: Path,
    series: list[dict[str, Any]],
    name: str,
    fault: str,
    mask: np.ndarray,
    pixels: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Mask and crop, in one folder and in either order, or in a folder each."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    crop = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # np.where keeps the type of the number that is white.
    white = np.where(mask, rng.choice((np.uint8(255), np.uint16(65535))), 0)
    white = white.astype(np.uint8 if white.max() == 255 else np.uint16)
    if fault == "mask of another size":
        white = np.pad(white, ((0, 3), (0, 1)))
    stated = f"{name}0" if fault == "mask of another lesion" else name
    if fault == "mask and crop in series of their own":
        _write(root, series, name, "ROI mask images", [white])
        _write(root, series, name, "cropped images", [crop])
        return
    both = [crop] if fault == "mask missing" else [crop, white]
    _write(root, series, name, "ROI mask images", both[:: int(rng.choice((1, -1)))], stated)


def _write(
    root: Path,
    series: list[dict[str, Any]],
    name: str,
    description: str,
    images: list[np.ndarray],
    stated: str | None = None,
) -> None:
    """The files of a series and its row of metadata.csv."""
    study, own = uid(name, "study", description), uid(name, description)
    folder = f"CBIS-DDSM/{name}/08-29-2017-DDSM-NA-{study[-5:]}/1.000000-{description}-{own[-5:]}"
    series.append(_series(own, name, study, description) | {"File Location": f"./{folder}"})
    for number, pixels in enumerate(images, start=1):
        write_dicom(
            root / folder / f"1-{number}.dcm",
            pixels,
            modality="MG",
            patient=stated or name,
            number=number,
            StudyInstanceUID=study,
            SeriesInstanceUID=own,
            SeriesDescription=description,
        )


def _series(own: str, name: str, study: str, description: str) -> dict[str, Any]:
    return {
        "Series UID": own,
        "Collection": "CBIS-DDSM",
        "Subject ID": name,
        "Study UID": study,
        "Series Description": description,
        "Modality": "MG",
        "File Location": "",
    }


def _paths(kind: str, case: str, lesion: str) -> dict[str, str]:
    """Paths as the tables have them: UIDs for folders, numbers from 0, a newline at the end."""
    base = f"{lesion}/{uid(lesion, 'study')}/{uid(lesion, 'series')}"
    crop, mask = f"{base}/00000{int(kind == 'calc')}.dcm", f"{base}/00000{int(kind == 'mass')}.dcm"
    if kind == "mass":
        mask += "\n"
    else:
        crop += "\n"
    return {
        "image file path": f"{case}/{uid(case, 'study')}/{uid(case, 'series')}/000000.dcm",
        "cropped image file path": crop,
        "ROI mask file path": mask,
    }


def _density(kind: str) -> str:
    return "breast_density" if kind == "mass" else "breast density"


def _columns(kind: str) -> list[str]:
    return [
        "patient_id",
        _density(kind),
        "left or right breast",
        "image view",
        "abnormality id",
        "abnormality type",
        *DESCRIPTORS[kind],
        "assessment",
        "pathology",
        "subtlety",
        "image file path",
        "cropped image file path",
        "ROI mask file path",
    ]
