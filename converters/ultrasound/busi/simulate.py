"""A made-up BUSI: three folders of sonograms, with a mask for each lesion."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import blob, write_png

from ..phantom import sonogram
from .source import CLASSES

QUIRKS = {
    "missing_file": "a lesion whose mask was not fetched",
    "missing_key": "a mask without its image; a file of another name",
    "bad_label": "a normal image with a lesion; a lesion whose mask is empty; one file, two labels",
}
#: Every so many images have two lesions.
PER_PAIR = 4


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` images, the classes in turn, grey or RGB, masks of 1 bit, grey or RGB.

    With quirks: each fault of QUIRKS, a mask that repeats another, one of another size, and an
    image that lies there twice under two numbers.
    """
    rng = np.random.default_rng(seed)
    root = out / "Dataset_BUSI_with_GT"
    for number in range(n):
        label = CLASSES[number % len(CLASSES)]
        _image(root, label, number // len(CLASSES) + 1, number, rng)
    if quirks:
        _break(root, rng)


def _image(root: Path, label: str, place: int, number: int, rng: np.random.Generator) -> None:
    shape = (int(rng.integers(40, 56)), int(rng.integers(48, 64)))
    lesions = [] if label == "normal" else [blob(rng, shape)]
    if lesions and place % PER_PAIR == 0:
        lesions.append(np.roll(lesions[0][::-1, ::-1], 3, axis=1))
    pixels = sonogram(rng, shape, lesions)
    stem = root / label / f"{label} ({place})"
    write_png(_png(stem), pixels if number % 2 else np.dstack([pixels] * 3))
    for count, lesion in enumerate(lesions or [np.zeros(shape, bool)]):
        white = lesion.astype(np.uint8) * np.uint8(255)
        stored = np.dstack([white] * 3) if number % 5 == 2 else white
        write_png(_png(stem, f"_mask_{count}" if count else "_mask"), stored)


def _png(stem: Path, tail: str = "") -> Path:
    return stem.with_name(f"{stem.name}{tail}.png")


def _break(root: Path, rng: np.random.Generator) -> None:
    shape = (48, 60)
    for place, label in enumerate(("benign", "malignant", "normal", "benign", "benign", "benign")):
        stem = root / label / f"{label} ({900 + place * 20})"
        lesion = blob(rng, shape)
        pixels = sonogram(rng, shape, [lesion])
        write_png(_png(stem), pixels)
        if place == 0:
            continue
        write_png(_png(stem, "_mask"), np.zeros(shape, bool) if place == 1 else lesion)
        if place == 3:
            write_png(_png(stem, "_mask_1"), lesion)
        if place == 4:
            write_png(_png(stem, "_mask"), np.pad(lesion, ((0, 1), (0, 0))))
        if place == 5:
            for copy in (root / "benign/benign (1001)", root / "malignant/malignant (1001)"):
                other = pixels if copy.parent.name == "benign" else pixels[::-1].copy()
                write_png(_png(copy), other)
                write_png(_png(copy, "_mask"), lesion)
            twin = root / "benign/benign (1002)"
            write_png(_png(twin), pixels[::-1].copy())
            write_png(_png(twin, "_mask"), lesion)
    write_png(root / "benign/benign (999)_mask.png", blob(rng, shape))
    write_png(root / "benign/Image12.png", sonogram(rng, shape))
