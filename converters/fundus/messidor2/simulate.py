"""A made-up Messidor-2: pairs of photographs, a list of pairs, a table of grades."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_jpeg, write_png

from ..phantom import fundus
from .source import COLUMNS, GRADES, PAIRS, SIDES

LESIONS = (0, 2, 8, 20, 30)
QUIRKS = {
    "missing_file": "a photograph that was not fetched",
    "missing_key": "a photograph without a row of grades, or in no pair",
    "duplicate_key": "a photograph with two rows, or in two pairs",
    "bad_table": "a photograph that cannot be graded, and has a grade",
    "bad_label": "a grade beyond the scale",
}
#: What is wrong with a pair, by its number; the others are sound.
FAULTS = (
    "sound",
    "file missing",
    "row missing",
    "listed twice",
    "graded though not gradable",
    "grade of 5",
    "no pair",
    "in two pairs",
    "sound",
    "sound",
    "sound",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` pairs, half as PNG and half as JPEG. With `quirks`, one in eleven has each fault.

    Always: suffixes in another case than the table's, grades as floats, one pair in five with a
    photograph that cannot be graded.
    """
    rng = np.random.default_rng(seed)
    pairs: list[dict[str, object]] = []
    rows: list[dict[str, object]] = []
    for number in range(n):
        fault = FAULTS[number % len(FAULTS)] if quirks else "sound"
        names = []
        for place, side in enumerate(SIDES):
            own = fault if place == 0 else "sound"
            brest = number % 2 == 1
            name = f"IM{2 * number + place:06}" if brest else f"2005{number:04}_{place}_0100_PP"
            names.append(f"{name}.JPG" if brest else f"{name}.png")
            blurred = number % 5 == 3 and place == 1
            grade, dme = (number + place * (number % 3)) % 5, int(rng.random() < 0.3)
            row: dict[str, object] = {
                "image_id": f"{name}.jpg" if brest else f"{name}.png",
                "adjudicated_dr_grade": None if blurred else f"{grade}.0",
                "adjudicated_dme": None if blurred else f"{dme}.0",
                "adjudicated_gradable": int(not blurred),
            }
            if own == "graded though not gradable":
                row["adjudicated_gradable"] = 0
            if own == "grade of 5":
                row["adjudicated_dr_grade"] = "5.0"
            rows += [row] * {"row missing": 0, "listed twice": 2}.get(own, 1)
            if own != "file missing":
                path = out / "IMAGES" / names[-1]
                pixels = fundus(rng, 64, side=side, lesions=LESIONS[grade], exudates=bool(dme),
                                blurred=blurred)  # fmt: skip
                (write_jpeg if brest else write_png)(path, pixels)
        pair: dict[str, object] = dict(zip(SIDES, names, strict=True))
        pairs += [pair] * {"no pair": 0, "in two pairs": 2}.get(fault, 1)
    write_csv(out / PAIRS, pairs, columns=SIDES, separator=";")
    write_csv(out / GRADES, rows, columns=COLUMNS[0])
