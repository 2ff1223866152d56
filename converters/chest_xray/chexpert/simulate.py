"""A made-up CheXpert: patients with studies of several films, and their tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_jpeg, write_text

from ..phantom import ZONES, chest_film

FINDINGS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
COLUMNS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *FINDINGS)
#: Zones that a finding makes opaque.
OPAQUE = {
    "Lung Opacity": "B",
    "Lung Lesion": "D",
    "Edema": "BE",
    "Consolidation": "C",
    "Pneumonia": "F",
    "Atelectasis": "C",
    "Pleural Effusion": "CF",
}
PARTS = ("train", "train", "valid", "train", "test")
FIRST = {"train": 1, "valid": 64541, "test": 64741}
TABLES = {"train": "train.csv", "valid": "valid.csv", "test": "test_labels.csv"}
CONTOURS = {"valid": "gt_annotations_val.json", "test": "gt_annotations_test.json"}
LABELLERS = {
    "chexpert": "train.csv",
    "chexbert": "train_cheXbert.csv",
    "visualchexbert": "train_visualCheXbert.csv",
}
#: What the table's paths begin with, and where the films lie, by edition.
EDITIONS: dict[str, tuple[str, dict[str, str]]] = {
    "full": ("CheXpert-v1.0", {part: f"CheXpert-v1.0/{part}" for part in TABLES}),
    "small": ("CheXpert-v1.0-small", {part: f"CheXpert-v1.0-small/{part}" for part in TABLES}),
    "aimi": (
        "CheXpert-v1.0",
        {
            "train": "CheXpert-v1.0 batch 2 (train 1)",
            "valid": "CheXpert-v1.0 batch 1 (validate & csv)/valid",
            "test": "CheXpert-v1.0 batch 1 (validate & csv)/test",
        },
    ),
}
SHAPE = (88, 80)

Row = dict[str, object]

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_table", "duplicate_key", "missing_file", "missing_key", "unreadable_file")


def simulate(
    out: Path,
    n: int,
    *,
    seed: int = 0,
    quirks: bool = False,
    edition: str = "full",
    labeller: str = "chexpert",
    test: bool = False,
    contours: bool = False,
) -> None:
    """`n` studies of an `edition` (full, small, aimi), with the training table of one `labeller`,
    with some of the test part where `test` is set, and with `contours` of films of both.

    With quirks: rows of blanks, odd labels and paths, films lost, cut, unnamed or listed twice,
    labels that differ within a study, views that contradict each other, no sex, no age.
    """
    rng = np.random.default_rng(seed)
    prefix, folders = EDITIONS[edition]
    tables: dict[str, list[Row]] = {part: [] for part in TABLES}
    parts = PARTS if test else PARTS[:-1]
    drawn: dict[str, dict[str, Row]] = {part: {} for part in CONTOURS}
    numbers, left, part, person, study = dict(FIRST), 0, "", {}, 0
    for _ in range(n):
        if not left:
            part = parts[(sum(numbers.values()) - sum(FIRST.values())) % len(parts)]
            numbers[part] += 1
            left = int(rng.integers(1, 4)) if part == "train" else 1
            sex = str(rng.choice(["Male", "Female"]))
            person, study = {"Sex": sex, "Age": int(rng.integers(18, 91))}, 0
        left, study = left - 1, study + 1
        states = _states(rng, certain=part != "train")
        zones = {
            zone for name, state in states.items() if state == 1 for zone in OPAQUE.get(name, "")
        }
        for view, kind in enumerate(("frontal", "lateral")[: int(rng.integers(1, 3))], 1):
            name = f"patient{numbers[part] - 1:05}/study{study}/view{view}_{kind}.jpg"
            shape = (SHAPE[0] + int(rng.integers(8)), SHAPE[1] + int(rng.integers(8)))
            pixels = chest_film(rng, shape, dict.fromkeys(sorted(zones), 0.7))
            write_jpeg(out / folders[part] / name, pixels, quality=90)
            direction = str(rng.choice(["AP", "PA"])) if kind == "frontal" else None
            projection = {"Frontal/Lateral": kind.capitalize(), "AP/PA": direction}
            if part in drawn:
                film = name.removesuffix(".jpg").replace("/", "_")
                drawn[part][film] = _contours(shape, states)
            who = {"Path": f"{prefix}/{part}/{name}"} | person | projection
            tables[part].append(who | _cells(states))
    if quirks:
        _break(out, folders["train"], tables["train"])
    names = TABLES | {"train": LABELLERS[labeller]}
    for part, rows in tables.items():
        if not rows:
            continue
        columns = ("Path", *FINDINGS) if part == "test" else COLUMNS
        rows = [{column: row[column] for column in columns} for row in rows]
        write_csv((out / folders["valid"]).parent / names[part], rows, columns=columns)
        if contours and part in drawn:
            write_text(out / "CheXlocalize" / CONTOURS[part], json.dumps(drawn[part]))


def _contours(shape: tuple[int, int], states: dict[str, int]) -> Row:
    """The size of a film, and a square about each zone of its findings."""
    film: Row = {"img_size": list(shape)}
    for name, zones in OPAQUE.items():
        if states.get(name) == 1 and name != "Pneumonia":
            film[name] = [_square(shape, zone) for zone in zones]
    return film


def _square(shape: tuple[int, int], zone: str) -> list[list[float]]:
    rows, columns = shape
    row, column = ZONES[zone]
    corners = ((-0.08, -0.09), (-0.08, 0.09), (0.08, 0.09), (0.08, -0.09))
    return [[(column + x) * columns, (row + y) * rows] for x, y in corners]


def _states(rng: np.random.Generator, *, certain: bool) -> dict[str, int]:
    """Some findings with a state; radiologists state all 14, and doubt none."""
    names = FINDINGS[1:]
    some = rng.choice(names, int(rng.integers(1, 5)), replace=False)
    if certain:
        present = {str(name) for name in some} if rng.random() < 0.7 else {"No Finding"}
        return {name: int(name in present) for name in FINDINGS}
    if rng.random() < 0.3:
        return {"No Finding": 1} | {str(name): 0 for name in some}
    return {str(name): int(rng.choice([1, 1, 0, -1])) for name in some}


def _cells(states: dict[str, int]) -> Row:
    return {name: f"{states[name]:.1f}" if name in states else None for name in FINDINGS}


def _break(out: Path, folder: str, rows: list[Row]) -> None:
    """One fault a study, in the order of the studies, as far as they go."""
    studies: dict[str, list[Row]] = {}
    for row in rows:
        studies.setdefault("/".join(str(row["Path"]).split("/")[-3:-1]), []).append(row)

    def path(row: Row) -> Path:
        return out / folder / "/".join(str(row["Path"]).split("/")[-3:])

    faults: list[Callable[[Row], object]] = [
        lambda row: path(row).write_bytes(path(row).read_bytes()[:300]),
        lambda row: path(row).unlink(),
        lambda row: path(row).with_name("view9_frontal.jpg").write_bytes(path(row).read_bytes()),
        lambda row: rows.append(dict(row)),
        lambda row: row.update({"Path": "patient12345.jpg"}),
        lambda row: row.update(dict.fromkeys(FINDINGS)),
        lambda row: row.update({"Edema": "2.0"}),
        lambda row: row.update({"Fracture": "1.0", "Edema": "0.0", "Lung Lesion": "-1.0"}),
        lambda row: row.update({"Frontal/Lateral": "Lateral"}),
        lambda row: row.update({"Sex": "Unknown", "Age": 0}),
        lambda row: row.update({"AP/PA": "LL"}),
        lambda row: row.update({"No Finding": "1.0", "Pneumonia": "1.0"}),
    ]
    for fault, members in zip(faults, studies.values(), strict=False):
        fault(members[0])
