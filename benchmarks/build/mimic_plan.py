"""Planning of MIMIC-CXR at its real size, with `qoqdata build mimic_cxr --limit 1`.

    python -m benchmarks.build.mimic_plan [--studies 227835] [--raw FOLDER]

A made-up tree of as many patients, studies and films as MIMIC-CXR-JPG 2.1.0 has is planned as a
whole, folders listed and tables joined; one study is converted. Films and reports are hard links
of a few files. Figures are of the command in a process of its own, start-up included: CPU-seconds
(user and system) and the most memory that it held.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from benchmarks.cpu import cpu_seconds
from qoqdata import console
from qoqdata.simulation import film, write_csv
from qoqdata.sources.catalogue import find_source

STUDIES = 227_835
#: Films of each study in turn, 1.66 on average; studies that two patients have, 3.5 each.
_FILMS = (1, 2, 2, 1, 2, 1, 3, 2, 1)
_STUDIES_OF_TWO = 7
_FACTORS = (2654435761, 40503, 2246822519, 3266489917, 668265263)
_VIEWS = ("PA", "LATERAL", "AP")
#: Columns of the metadata that nothing here asks for; the published table has them.
_FURTHER = {
    "PerformedProcedureStepDescription": "CHEST (PA AND LAT)",
    "Rows": "3056",
    "Columns": "2544",
    "StudyDate": "21800506",
    "StudyTime": "213014.531",
    "ProcedureCodeSequence_CodeMeaning": "CHEST (PA AND LAT)",
    "ViewCodeSequence_CodeMeaning": "postero-anterior",
    "PatientOrientationCodeSequence_CodeMeaning": "Erect",
}
_REPORT = " INDICATION: Cough.\n\n FINDINGS:\n No effusion.\n\n IMPRESSION:\n Clear lungs.\n"
#: Links of one file, below what file systems allow.
_LINKS = 30_000


def main(
    studies: Annotated[int, typer.Option(help="Studies of the tree.")] = STUDIES,
    raw: Annotated[Path | None, typer.Option(help="Where the tree lies, or is made.")] = None,
) -> None:
    """Make the tree, unless it is there, and measure one build of its first unit."""
    with tempfile.TemporaryDirectory() as folder:
        tree = raw or Path(folder, "raw")
        if not tree.is_dir():
            write_tree(tree, studies)
        films = sum(_FILMS[number % len(_FILMS)] for number in range(studies))
        paths = ["--raw", str(tree), "--out", str(Path(folder, "set"))]
        os.environ["QOQDATA_SALT_FILE"] = str(Path(folder, "salt"))
        run = [sys.executable, "-m", "qoqdata", "build", "mimic_cxr", *paths]
        command = [*run, "--limit", "1", "--workers", "0"]
        seconds = cpu_seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    row = (f"{films:,}", f"{studies:,}", seconds, 1e6 * seconds / films, peak / 1e9)
    console.table(("films", "studies", "CPU-seconds", "us a film", "peak GB"), [row])


def write_tree(root: Path, studies: int) -> None:
    """Films, reports and tables of so many studies, in the publisher's layout."""
    labels = tuple(find_source("mimic_cxr").card.tasks["findings"].labels)
    root.mkdir(parents=True)
    films = _Links(root.with_name("films"), _jpeg())
    reports = _Links(root.with_name("reports"), _REPORT.encode())
    tables: dict[str, list[dict[str, object]]] = {"split": [], "metadata": [], "chexpert": []}
    for number in range(studies):
        patient, study = 10_000_000 + 137 * (number * 2 // _STUDIES_OF_TWO), 50_000_000 + number
        ids: dict[str, object] = {"subject_id": patient, "study_id": study}
        folder = root / f"files/p{patient // 1_000_000}/p{patient}/s{study}"
        folder.mkdir(parents=True)
        reports.link(folder.with_suffix(".txt"))
        for place in range(_FILMS[number % len(_FILMS)]):
            name = "-".join(f"{(number * 7919 + place) * k % 2**32:08x}" for k in _FACTORS)
            films.link(folder / f"{name}.jpg")
            own = {"dicom_id": name} | ids
            part = "validate" if patient % 50 == 0 else "train"
            tables["split"].append(own | {"split": part})
            tables["metadata"].append(own | {"ViewPosition": _VIEWS[place]} | _FURTHER)
        states = dict.fromkeys(labels) | {labels[number % len(labels)]: "1.0"}
        tables["chexpert"].append(ids | states)
    for title, rows in tables.items():
        write_csv(root / f"mimic-cxr-2.0.0-{title}.csv.gz", rows)
    columns = ("study_id", *(name.replace("Lung O", "Airspace O") for name in labels))
    write_csv(
        root / "mimic-cxr-2.1.0-test-set-labeled.csv", [dict.fromkeys(columns) | {"study_id": 1}]
    )


class _Links:
    """Hard links of one content: a new file for every so many."""

    def __init__(self, folder: Path, content: bytes) -> None:
        self._folder, self._content, self._count = folder, content, 0
        folder.mkdir()

    def link(self, path: Path) -> None:
        """Link the content to `path`."""
        file = self._folder / str(self._count // _LINKS)
        if self._count % _LINKS == 0:
            file.write_bytes(self._content)
        self._count += 1
        os.link(file, path)


def _jpeg() -> bytes:
    pixels = film(np.random.default_rng(0), (64, 64), bits=8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


if __name__ == "__main__":
    typer.run(main)
