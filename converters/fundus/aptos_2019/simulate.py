"""A made-up APTOS 2019: two tables, photographs of several sizes, a test part without grades."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_png

from ..phantom import fundus

#: Dark spots of each grade.
LESIONS = (0, 2, 8, 20, 30)
QUIRKS = {
    "missing_file": "a photograph that was not fetched",
    "missing_key": "a file that neither table names",
    "bad_label": "a grade that is none; one picture under two names with two grades",
    "duplicate_key": "a code with two rows",
}
#: What is wrong with a photograph, by its number; the others are sound.
FAULTS = (
    "sound",
    "file missing",
    "copy of the last",
    "copy with another grade",
    "grade of 7",
    "grade empty",
    "listed twice",
    "sound",
    "sound",
    "sound",
    "sound",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` photographs, each sixth of the test part. With `quirks`, one in eleven has each fault.

    Always: grades in turn, sizes by camera, names without a meaning.
    """
    rng = np.random.default_rng(seed)
    train: list[dict[str, object]] = []
    test: list[dict[str, object]] = []
    last: tuple[np.ndarray, int] | None = None
    for number in range(n):
        fault = FAULTS[number % len(FAULTS)] if quirks else "sound"
        key, grade = rng.bytes(6).hex(), number % len(LESIONS)
        size = int(rng.choice([56, 64, 80]))
        side = str(rng.choice(["left", "right"]))
        pixels = fundus(rng, size, side=side, lesions=LESIONS[grade])
        if number % 6 == 5 and fault == "sound":
            test.append({"id_code": key})
            write_png(out / "test_images" / f"{key}.png", pixels)
            continue
        if last is not None and fault.startswith("copy"):
            pixels, grade = last[0], last[1]
        last = pixels, grade
        if fault == "copy with another grade":
            grade = (grade + 1) % len(LESIONS)
        shown = {"grade of 7": 7, "grade empty": None}.get(fault, grade)
        train.append({"id_code": key, "diagnosis": shown})
        if fault == "listed twice":
            train.append({"id_code": key, "diagnosis": (grade + 1) % len(LESIONS)})
        if fault != "file missing":
            write_png(out / "train_images" / f"{key}.png", pixels)
    if quirks:
        write_png(out / "train_images" / f"{rng.bytes(6).hex()}.png", fundus(rng, 56))
    write_csv(out / "train.csv", train, columns=["id_code", "diagnosis"])
    write_csv(out / "test.csv", test, columns=["id_code"])
