"""Raw trees of CBIS-DDSM by hand, and what planning says of a film."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.simulation import write_csv, write_dicom
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Job, Planned
from qoqdata.sources.rawtree import open_raw

SOURCE = catalogue.find_source("cbis_ddsm")
SIMULATE = importlib.import_module(f"{SOURCE.module.rpartition('.')[0]}.simulate")
SHAPE = (40, 30)
COMMON = ["patient_id", "left or right breast", "image view", "abnormality id", "abnormality type"]
PATHS = ["image file path", "cropped image file path", "ROI mask file path"]
GRADES = ["assessment", "pathology", "subtlety"]
OWN = {"mass": ["mass shape", "mass margins"], "calc": ["calc type", "calc distribution"]}
DENSITY = {"mass": "breast_density", "calc": "breast density"}


class Tree:
    """A raw tree by hand: films of one grey, lesions as rectangles (top, left, rows, columns)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: dict[str, list[dict[str, Any]]] = {
            f"{kind}_{split}": [] for kind in ("mass", "calc") for split in ("train", "test")
        }

    def film(self, name: str, grey: int = 1000) -> Path:
        """A film with one brighter pixel, in the folder `name`."""
        pixels = np.full(SHAPE, grey, np.uint16)
        pixels[0, 0] = 4000
        return self.file(name, "1-1", pixels)

    def lesion(
        self,
        name: str,
        box: tuple[int, int, int, int] = (10, 8, 6, 5),
        *,
        mask_first: bool = True,
        shape: tuple[int, int] = SHAPE,
        white: int = 255,
        **cells: Any,
    ) -> dict[str, Any]:
        """Mask and crop in the folder `name`, and its row with `cells`."""
        top, left, rows, columns = box
        mask = np.zeros(shape, np.uint8)
        mask[top : top + rows, left : left + columns] = white
        crop = np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns)
        for number, pixels in enumerate((mask, crop) if mask_first else (crop, mask), start=1):
            self.file(name, f"1-{number}", pixels)
        return self.row(name, **cells)

    def row(self, name: str, **cells: Any) -> dict[str, Any]:
        """The row of the lesion `name`, in the table of its beginning."""
        case, patient, side, view, number = name.replace("P_", "P").split("_")
        kind, part = case.split("-")
        film = name.rpartition("_")[0]
        row = dict.fromkeys([*COMMON, DENSITY[kind.lower()], *OWN[kind.lower()], *GRADES], "")
        row |= zip(COMMON, [f"P_{patient[1:]}", side, view, number, ""], strict=True)
        row |= {"abnormality type": "mass" if kind == "Mass" else "calcification"}
        row |= {DENSITY[kind.lower()]: 2, "assessment": 4, "pathology": "BENIGN", "subtlety": 3}
        paths = [f"{film}/1/2/000000.dcm", f"{name}/3/4/0.dcm", f"{name}/3/4/1.dcm\n"]
        row |= zip(PATHS, paths, strict=True)
        row |= cells
        self.rows[f"{kind.lower()}_{'train' if part == 'Training' else 'test'}"].append(row)
        return row

    def file(self, name: str, stem: str, pixels: np.ndarray, patient: str | None = None) -> Path:
        path = self.root / "CBIS-DDSM" / name / "08-29-2017" / "1.0-any" / f"{stem}.dcm"
        write_dicom(path, pixels, modality="MG", patient=patient or name)
        return path

    def write(self) -> Job:
        """Write the tables; the job on this tree."""
        for table, rows in self.rows.items():
            kind, split = table.split("_")
            columns = [*COMMON, DENSITY[kind], *OWN[kind], *GRADES, *PATHS]
            write_csv(self.root / f"{kind}_case_description_{split}_set.csv", rows, columns=columns)
        return job(self.root)


def job(raw: Path) -> Job:
    return Job(SOURCE.card, open_raw(raw), options={})


def planned(of: Job, key: str) -> Planned:
    """What planning says of a film; one thing."""
    (item,) = (item for item in SOURCE.plan(of) if item.key == key)
    return item
