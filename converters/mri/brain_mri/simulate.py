"""Made-up slices of heads in the folders yes and no."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_jpeg, write_png

from ..phantom import head_slice, lesion_slice

#: File names as they come in the real set.
NAMES = {"yes": ("Y{}.jpg", "Y{}.JPG"), "no": ("{} no.jpeg", "N{}.JPG", "no {}.png", "No{}.jpg")}
QUIRKS = {"bad_label": "one file in both folders", "missing_key": "an image beside the folders"}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` slices, both labels in turn, grey or RGB, JPEG or PNG.

    With quirks: each fault of QUIRKS, a slice under two names, and everything of no once more in a
    nested folder.
    """
    rng = np.random.default_rng(seed)
    for number in range(max(n, 2)):
        label = ("yes", "no")[number % 2]
        names = NAMES[label]
        _slice(out / label / names[number // 2 % len(names)].format(number + 1), rng, label)
    if not quirks:
        return
    for path in sorted((out / "no").iterdir()):
        _copy(path, out / "brain_tumor_dataset" / "no" / path.name)
    _copy(out / "yes" / "Y1.jpg", out / "yes" / "Y901.jpg")
    for label in NAMES:
        _slice(out / label / "same.jpg", np.random.default_rng(7), "no")
    _slice(out / "overview.jpg", rng, "no")


def _slice(path: Path, rng: np.random.Generator, label: str) -> None:
    shape = (int(rng.integers(56, 80)), int(rng.integers(52, 72)))
    lesion = lesion_slice(rng, shape, rng.uniform(0.3, 0.9)) if label == "yes" else None
    pixels = head_slice(rng, shape, lesion)
    if rng.random() < 0.5:
        pixels = np.dstack([pixels] * 3)
    (write_png if path.suffix == ".png" else write_jpeg)(path, pixels)


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(path.read_bytes())
