"""A made-up MIMIC-CXR: patients with studies of several films, their tables, and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, cycle
from pathlib import Path

import numpy as np

from qoqdata.simulation import film, official_split, write_csv, write_dicom, write_jpeg, write_text

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
VIEWS = ("PA", "LATERAL", "AP", "LL", "")
PHRASES = {1: "{} is seen.", 0: "No {}.", -1: "{} cannot be excluded."}
REASONS = ("Cough.", "___ year old with fever.", "Shortness of breath after ___.", "Routine.")
COLUMNS = ("subject_id", "study_id", *FINDINGS)
SHAPE = (92, 76)

Row = dict[str, object]

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("missing_file", "missing_key", "unreadable_file")


def simulate(
    out: Path,
    n: int,
    *,
    seed: int = 0,
    quirks: bool = False,
    images: str = "jpg",
    labeller: str = "chexpert",
) -> None:
    """`n` studies with files of the kind `images` (jpg or dicom) and the table of one `labeller`
    (chexpert or negbio). With quirks: a study without labels, one of blanks, an odd label, a film
    lost, cut, or in one table only, an unnamed film, no report, no impression, a contradiction.
    """
    rng = np.random.default_rng(seed)
    tables: dict[str, list[Row]] = {name: [] for name in ("split", "metadata", "labels", "test")}
    patient, left = 10000032, 0
    studies: set[int] = set()
    # In turn one patient of each, that a few studies have all splits.
    turns = cycle(("test", "train", "train", "validate"))
    for _ in range(n):
        if not left:
            patient, left = patient + int(rng.integers(3, 900000)), int(rng.integers(1, 4))
            wanted = next(turns)
            patient = next(one for one in count(patient) if official_split(one) == wanted)
        left, split = left - 1, official_split(patient)
        study = next(one for one in _study_ids(rng) if one not in studies)
        studies.add(study)
        folder = out / f"files/p{str(patient)[:2]}/p{patient}/s{study}"
        ids: Row = {"subject_id": patient, "study_id": study}
        for view in VIEWS[: int(rng.integers(1, 4))]:
            name = "-".join(rng.bytes(4).hex() for _ in range(5))
            shape = (SHAPE[0] + int(rng.integers(8)), SHAPE[1] + int(rng.integers(8)))
            _film(folder / name, film(rng, shape, bits=8 if images == "jpg" else 12), images)
            who: Row = {"dicom_id": name} | ids
            tables["split"].append(who | {"split": split})
            size: Row = {"Rows": shape[0], "Columns": shape[1]}
            tables["metadata"].append(who | {"ViewPosition": view} | size)
        states = _states(rng)
        tables["labels"].append(ids | _cells(states))
        if split == "test":
            cells = _cells(states)
            cells = {k.replace("Lung Opacity", "Airspace Opacity"): v for k, v in cells.items()}
            tables["test"].append({"study_id": study} | cells)
        write_text(folder.with_suffix(".txt"), _report(rng, states))
    if quirks:
        _break(out, tables)
    for name in ("split", "metadata"):
        write_csv(out / f"mimic-cxr-2.0.0-{name}.csv.gz", tables[name])
    write_csv(out / f"mimic-cxr-2.0.0-{labeller}.csv.gz", tables["labels"], columns=COLUMNS)
    columns = [column.replace("Lung Opacity", "Airspace Opacity") for column in COLUMNS[1:]]
    write_csv(out / "mimic-cxr-2.1.0-test-set-labeled.csv", tables["test"], columns=columns)


def _study_ids(rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield 50000000 + int(rng.integers(10_000_000))


def _film(path: Path, pixels: np.ndarray, images: str) -> None:
    if images == "jpg":
        write_jpeg(path.with_suffix(".jpg"), pixels, quality=95)
    else:
        write_dicom(path.with_suffix(".dcm"), pixels, BitsStored=12, HighBit=11)


def _states(rng: np.random.Generator) -> dict[str, int]:
    """Some findings with a state; a third of the studies are normal and say little else."""
    if rng.random() < 0.35:
        return {"No Finding": 1} | dict.fromkeys(_some(rng, 2), 0)
    return {name: int(rng.choice([1, 1, 0, -1])) for name in _some(rng, 4)}


def _some(rng: np.random.Generator, most: int) -> list[str]:
    names = [name for name in FINDINGS if name != "No Finding"]
    return [str(name) for name in rng.choice(names, int(rng.integers(1, most + 1)), replace=False)]


def _cells(states: dict[str, int]) -> Row:
    return {name: f"{states[name]:.1f}" if name in states else None for name in FINDINGS}


def _report(rng: np.random.Generator, states: dict[str, int]) -> str:
    named = {name.lower(): state for name, state in states.items() if name != "No Finding"}
    said = [PHRASES[state].format(name).capitalize() for name, state in named.items()]
    present = ", ".join(name for name, state in named.items() if state == 1)
    impression = f"Findings of {present}." if present else "No acute abnormality."
    return (
        f"{'FINAL REPORT':>44}\n EXAMINATION:  CHEST RADIOGRAPHS (synthetic)\n\n"
        f" INDICATION:  {REASONS[int(rng.integers(len(REASONS)))]}\n\n COMPARISON:  None.\n\n"
        f" FINDINGS: \n \n {' '.join(said)}\n \n IMPRESSION: \n \n {impression}\n"
    )


def _break(out: Path, tables: dict[str, list[Row]]) -> None:
    """One fault a study, in the order of the studies, as far as they go."""
    studies = list({row["study_id"]: row for row in tables["split"]}.values())
    labels = {row["study_id"]: row for row in tables["labels"]}
    faults: list[Callable[[Row, Path, Path], object]] = [
        lambda row, film, report: film.write_bytes(film.read_bytes()[:400]),
        lambda row, film, report: tables["labels"].remove(labels[row["study_id"]]),
        lambda row, film, report: report.unlink(),
        lambda row, film, report: labels[row["study_id"]].update(dict.fromkeys(FINDINGS)),
        lambda row, film, report: film.unlink(),
        lambda row, film, report: labels[row["study_id"]].update({"Edema": "2.0"}),
        lambda row, film, report: report.write_text(report.read_text().split(" IMPRESSION")[0]),
        lambda row, film, report: tables["metadata"].remove(
            next(one for one in tables["metadata"] if one["dicom_id"] == row["dicom_id"])
        ),
        lambda row, film, report: labels[row["study_id"]].update(
            {"No Finding": "1.0", "Pneumonia": "1.0"}
        ),
        lambda row, film, report: film.with_stem("unnamed").write_bytes(film.read_bytes()),
    ]
    for fault, row in zip(faults, (row for row in studies if row["split"] != "test"), strict=False):
        patient, study = str(row["subject_id"]), row["study_id"]
        folder = out / f"files/p{patient[:2]}/p{patient}/s{study}"
        path = next(path for path in folder.iterdir() if path.stem == row["dicom_id"])
        fault(row, path, folder.with_suffix(".txt"))
