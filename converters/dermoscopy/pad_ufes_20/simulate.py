"""A made-up PAD-UFES-20: metadata.csv, and photographs in folders and an archive."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from qoqdata.simulation import MARK, write_csv, write_png
from qoqdata.simulation.mark import write_bytes

from ..phantom import lesion_on_skin
from .source import HISTORY, ORIGINS, SYMPTOMS

DIAGNOSES = ("BCC", "ACK", "NEV", "SEK", "SCC", "MEL")
CANCERS = ("BCC", "SCC", "MEL")
SITES = (
    *("FACE", "FOREARM", "NOSE", "BACK", "CHEST", "ARM", "HAND"),
    *("NECK", "EAR", "THIGH", "SCALP", "FOOT", "ABDOMEN", "LIP"),
)
PARTS = 3
QUIRKS = {
    "missing_file": "a row whose photograph was not fetched",
    "missing_key": "a photograph that no row names",
    "duplicate_key": "a photograph with two rows; one that lies in two folders",
    "bad_table": "a row of another patient",
    "bad_label": "a diagnosis that no one knows",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` photographs, two a lesion and three lesions for two patients, PNG with and without alpha.

    Of the parts, the first is an archive and the others are folders. Always: UNK, blank history
    where there was no biopsy, skin types as 3.0. With quirks: each fault of QUIRKS.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    packed: dict[str, bytes] = {}
    for number in range(n):
        lesion = number // 2
        patient = f"PAT_{lesion * 2 // 3 + 8}"
        row = _row(rng, lesion, patient, number)
        if number % 2 and rows:
            row = rows[-1] | {"img_id": row["img_id"]}
        rows.append(row)
        shape = (int(rng.integers(40, 56)), int(rng.integers(40, 56)))
        pixels = lesion_on_skin(rng, shape, malignant=row["diagnostic"] in CANCERS)
        if number % 3 == 1:
            pixels = np.dstack([pixels, np.full(shape, 255, np.uint8)])
        part = f"imgs_part_{number % PARTS + 1}"
        if quirks and number == n - 1:
            continue
        if number % PARTS == 0:
            packed[f"{part}/{row['img_id']}"] = _png(pixels)
        else:
            write_png(out / "images" / part / str(row["img_id"]), pixels)
    if quirks:
        _break(out, rows)
    _archive(out / "images" / "imgs_part_1.zip", packed)
    write_csv(out / "metadata.csv", rows)


def _row(rng: np.random.Generator, lesion: int, patient: str, number: int) -> dict[str, object]:
    diagnosis = DIAGNOSES[lesion % len(DIAGNOSES)]
    biopsied = diagnosis in CANCERS or bool(rng.random() < 0.2)

    def maybe(value: object) -> object:
        return value if biopsied else None

    return {
        "patient_id": patient,
        "lesion_id": lesion + 100,
        **{column: maybe(bool(rng.random() < 0.4)) for column in HISTORY},
        **{column: maybe(str(rng.choice(["POMERANIA", "ITALY", "UNK"]))) for column in ORIGINS},
        "age": int(rng.integers(6, 95)),
        "gender": maybe(str(rng.choice(["MALE", "FEMALE"]))),
        "fitspatrick": maybe(float(rng.integers(1, 7))),
        "region": SITES[lesion % len(SITES)],
        "diameter_1": maybe(float(rng.integers(2, 20))),
        "diameter_2": maybe(float(rng.integers(2, 20))),
        "diagnostic": diagnosis,
        **{column: str(rng.choice(["True", "False", "UNK"])) for column in SYMPTOMS},
        "elevation": str(rng.choice(["True", "False", "UNK"], p=[0.45, 0.45, 0.1])),
        "img_id": f"{patient}_{lesion + 100}_{int(rng.integers(10, 100)) * 100 + number % 100}.png",
        "biopsed": biopsied,
    }


def _break(out: Path, rows: list[dict[str, object]]) -> None:
    write_png(out / "images" / "PAT_1_1_1.png", np.full((40, 40, 3), 200, np.uint8))
    rows.append(dict(rows[0]))
    rows[1]["patient_id"] = "PAT_99999"
    rows[2]["diagnostic"] = "XYZ"
    twice = str(rows[4]["img_id"])
    for folder in ("copy", "imgs_part_2"):
        write_png(out / "images" / folder / twice, np.full((40, 40, 3), 190, np.uint8))


def _png(pixels: np.ndarray) -> bytes:
    note, stream = PngInfo(), BytesIO()
    note.add_text("Comment", MARK)
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=note)
    return stream.getvalue()


def _archive(path: Path, members: dict[str, bytes]) -> None:
    """A ZIP with times of 1980, so that the same members are the same bytes."""
    stream = BytesIO()
    with ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(ZipInfo(name), data)
    write_bytes(path, stream.getvalue())
