"""A made-up Jichi DR: list.csv beside documents/, several photographs a patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_jpeg

from ..phantom import fundus
from .source import ASKED, SIDES, TABLE

GRADES = ("ndr", "sdr", "ppdr", "pdr")
LESIONS = (0, 5, 16, 30)
QUIRKS = {
    "missing_file": "a photograph that was not fetched",
    "missing_key": "a photograph without a row; a name without patient and eye",
    "duplicate_key": "a photograph with two rows",
    "bad_label": "a grade in other words",
}
#: What is wrong with a photograph, by its number; the others are sound.
FAULTS = (
    "sound",
    "file missing",
    "row missing",
    "listed twice",
    "grade in other words",
    "grade empty",
    "name without eye",
    "grade in capitals",
    "sound",
    "sound",
    "sound",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` photographs, three a patient. With `quirks`, one in eleven has each of the faults.

    Always: the two gradings differ where the wider retina is worse.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for number in range(n):
        fault = FAULTS[number % len(FAULTS)] if quirks else "sound"
        letter = str(rng.choice(list(SIDES)))
        name = f"{number // 3 + 1}_{number % 3 + 1}_{letter}"
        if fault == "name without eye":
            name = name.removesuffix(f"_{letter}")
        grade = number % len(GRADES)
        wide = min(grade + int(rng.random() < 0.4), len(GRADES) - 1)
        said: list[str | None] = [GRADES[grade], GRADES[wide]]
        if fault == "grade in other words":
            said[0] = "mild"
        if fault == "grade empty":
            said[0] = None
        if fault == "grade in capitals":
            said = [word.upper() if word else None for word in said]
        row: dict[str, object] = {"Image": f"{name}.jpg"} | dict(
            zip(ASKED.values(), said, strict=True)
        )
        rows += [row] * {"row missing": 0, "listed twice": 2}.get(fault, 1)
        if fault != "file missing":
            pixels = fundus(rng, 64, side=SIDES[letter], lesions=LESIONS[grade])
            write_jpeg(out / "documents" / f"{name}.jpg", pixels)
    write_csv(out / TABLE, rows, columns=("Image", *reversed(ASKED.values())))
