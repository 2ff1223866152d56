"""Made-up slices of heads in the folders of the four-class set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_jpeg

from ..phantom import head_slice, lesion_slice
from .source import CLASSES

#: Folder of a part, how often it comes, and the beginning of its file names.
PARTS = {"Training": 4, "Testing": 1}
STEMS = {
    "no_tumor": "image({})",
    "glioma_tumor": "gg ({})",
    "meningioma_tumor": "m ({})",
    "pituitary_tumor": "p ({})",
}
#: Glioma within, meningioma at the rim, the pituitary in the middle.
DEPTHS = {"glioma_tumor": 0.5, "meningioma_tumor": 1.05, "pituitary_tumor": 0.0}
QUIRKS = {
    "bad_label": "one file in the folders of two tumours",
    "duplicate_key": "two different files of one name, in a nested copy",
    "missing_key": "an image beside the folders",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` slices, classes and parts in turn, at least one a folder, of mixed sizes, some in colour.

    With quirks: each fault of QUIRKS, a training image that Testing repeats, and a nested copy of
    a few files.
    """
    rng = np.random.default_rng(seed)
    parts = [part for part, times in PARTS.items() for _ in range(times)]
    for number in range(max(n, len(PARTS) * len(CLASSES))):
        label = CLASSES[number % len(CLASSES)]
        turn = number // len(CLASSES)
        # Both parts come first, so that no folder is empty however small n is.
        part = parts[-1 - turn] if turn < len(PARTS) else parts[turn % len(parts)]
        stem = STEMS[label] if part == "Training" else "image({})"
        _slice(out / part / label / f"{stem.format(turn + 1)}.jpg", rng, label, grey=number % 3 > 0)
    if quirks:
        _break(out, rng)


def _slice(path: Path, rng: np.random.Generator, label: str, *, grey: bool = True) -> None:
    shape = (int(rng.integers(56, 80)), int(rng.integers(52, 72)))
    lesion = lesion_slice(rng, shape, DEPTHS[label]) if label in DEPTHS else None
    pixels = head_slice(rng, shape, lesion)
    write_jpeg(path, pixels if grey else np.dstack([pixels] * 3))


def _break(out: Path, rng: np.random.Generator) -> None:
    training, nested = out / "Training", out / "brain_tumor" / "Training"
    for label in ("glioma_tumor", "meningioma_tumor"):
        _slice(training / label / "twice.jpg", np.random.default_rng(7), "glioma_tumor")
    for folder in (training, out / "Testing"):
        _slice(folder / "pituitary_tumor" / "p (900).jpg", np.random.default_rng(8), "no_tumor")
    for folder in (training, nested):
        _slice(folder / "no_tumor" / "image(901).jpg", np.random.default_rng(9), "no_tumor")
        _slice(folder / "no_tumor" / "image(902).jpg", rng, "no_tumor")
    _slice(out / "preview.jpg", rng, "no_tumor")
