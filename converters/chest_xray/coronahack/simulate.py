"""A made-up CoronaHack: films named as the real ones, and their table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_jpeg, write_png

from ..phantom import chest_film

FOLDER = "Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset"
#: Label, cause and disease of a film, the zones that are opaque, and its name.
KINDS = (
    ("Normal", None, None, "", "IM-{n:04}-0001.jpeg"),
    ("Pnemonia", "bacteria", None, "C", "person{n}_bacteria_{film}.jpeg"),
    ("Pnemonia", "Virus", None, "BE", "person{n}_virus_{film}.jpeg"),
    ("Pnemonia", "Virus", "COVID-19", "BCEF", "{n:04}-fig{film}.png"),
    ("Pnemonia", "bacteria", "Streptococcus", "F", "streptococcus-{n}-{film}.jpg"),
    ("Pnemonia", "Virus", "SARS", "EF", "SARS-{n}-{film}.jpg"),
    ("Pnemonia", "Stress-Smoking", "ARDS", "ABCDEF", "ARDS-{n}-{film}.png"),
)
#: How often each kind occurs.
ORDER = (0, 1, 2, 3, 1, 0, 2, 4, 1, 0, 5, 2, 6)
#: Of so many of the first three kinds one is in the test part.
TEST_EVERY = 5
COLUMNS = (
    "",
    "X_ray_image_name",
    "Label",
    "Dataset_type",
    "Label_2_Virus_category",
    "Label_1_Virus_category",
)
OPEN: dict[str, object] = {"Label_1_Virus_category": None, "Label_2_Virus_category": None}
SHAPE = (80, 92)

Row = dict[str, object]

#: Reasons of the quarantine that quirks lead to.
QUIRKS = (
    "bad_label",
    "bad_table",
    "duplicate_key",
    "missing_file",
    "missing_key",
    "unreadable_file",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` films. With quirks: films lost, cut or of no row, a row twice, one of a film that was
    never published, an odd part, an odd label, labels that contradict, a cause left open.
    """
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for number in range(n):
        kind = ORDER[number % len(ORDER)]
        label, cause, disease, zones, name = KINDS[kind]
        part = "TEST" if kind < 3 and number % TEST_EVERY == TEST_EVERY - 1 else "TRAIN"
        name = name.format(n=number, film=int(rng.integers(1, 4)))
        shape = (SHAPE[0] + int(rng.integers(8)), SHAPE[1] + int(rng.integers(8)))
        pixels = chest_film(rng, shape, dict.fromkeys(zones, 0.6))
        if rng.random() < 0.1:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        write = write_png if name.endswith(".png") else write_jpeg
        write(out / FOLDER / part.lower() / name, pixels)
        cells = (number, name, label, part, disease, cause)
        rows.append(dict(zip(COLUMNS, cells, strict=True)))
    if quirks:
        _break(out, rows)
    write_csv(out / "Chest_xray_Corona_Metadata.csv", rows, columns=COLUMNS)


def _break(out: Path, rows: list[Row]) -> None:
    """One fault a film of the training part, in the order of the table."""

    def path(row: Row) -> Path:
        return out / FOLDER / "train" / str(row["X_ray_image_name"])

    faults: list[Callable[[Row], object]] = [
        lambda row: path(row).unlink(),
        lambda row: path(row).write_bytes(path(row).read_bytes()[:200]),
        lambda row: path(row).with_name("unnamed.jpeg").write_bytes(path(row).read_bytes()),
        lambda row: rows.append(dict(row)),
        lambda row: rows.append(row | {"X_ray_image_name": "COVID19_1.jpg"}),
        lambda row: row.update(Dataset_type="VAL"),
        lambda row: row.update(OPEN | {"Label": "Unclear"}),
        lambda row: row.update(Label="Normal", Label_1_Virus_category="Virus"),
        lambda row: row.update(OPEN | {"Label": "Pnemonia"}),
    ]
    for fault, row in zip(
        faults, [row for row in rows if row["Dataset_type"] == "TRAIN"], strict=False
    ):
        fault(row)
