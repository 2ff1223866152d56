"""A made-up COVID-19 Detection X-Ray: four classes in two parts, and copies of training films."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_jpeg, write_png

from ..phantom import chest_film

#: Zones that are opaque, by class.
CLASSES = {
    "BacterialPneumonia": "C",
    "COVID-19": "BCEF",
    "Normal": "",
    "ViralPneumonia": "BE",
}
SUFFIXES = (".jpg", ".jpeg", ".png")
#: Of so many films of a class one is in ValData.
VALIDATION_EVERY = 3
SHAPE = (84, 88)

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "duplicate_key", "missing_key", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` films, whose names repeat from folder to folder, and their copies in TrainData.

    With quirks: a film in both parts, one twice, one in two classes, one cut, one in no part, and
    one in a folder of no class.
    """
    rng = np.random.default_rng(seed)
    originals = []
    for number in range(n):
        name = list(CLASSES)[number % len(CLASSES)]
        place = number // len(CLASSES)
        part = "ValData" if place % VALIDATION_EVERY == 1 else "NonAugmentedTrain"
        shape = (SHAPE[0] + int(rng.integers(8)), SHAPE[1] + int(rng.integers(8)))
        pixels = chest_film(rng, shape, dict.fromkeys(CLASSES[name], 0.6))
        if rng.random() < 0.3:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        file = f"{place // 2}{SUFFIXES[place % len(SUFFIXES)]}"
        _write(out / part / name / file, pixels)
        if part == "NonAugmentedTrain":
            originals.append(out / part / name / file)
            _write(out / "TrainData" / name / file, pixels)
            if name == "COVID-19":
                folder = out / "TrainData/OversampledAugmentedCOVID-19" / name
                _write(folder / f"aug_{file}", np.ascontiguousarray(pixels[:, ::-1]))
    if quirks:
        _break(out, originals)


def _write(path: Path, pixels: np.ndarray) -> None:
    if path.suffix == ".png":
        write_png(path, pixels)
    else:
        write_jpeg(path, pixels)


def _break(out: Path, originals: list[Path]) -> None:
    """One fault a film; copies have the bytes of what they are copies of."""
    first, second, third, fourth, fifth, sixth = (path.read_bytes() for path in originals[:6])
    originals[0].write_bytes(first[: len(first) // 2])
    (out / "ValData" / originals[1].parent.name / "again.jpg").write_bytes(second)
    originals[2].with_name("twice.jpg").write_bytes(third)
    other = next(name for name in CLASSES if name != originals[3].parent.name)
    (out / "NonAugmentedTrain" / other / "other.jpg").write_bytes(fourth)
    (out / "stray.jpg").write_bytes(fifth + b"\0")
    (out / "ValData/Unsorted").mkdir()
    (out / "ValData/Unsorted/unsorted.jpg").write_bytes(sixth + b"\0")
