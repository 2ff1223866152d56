"""A made-up CHASE_DB1: photographs of both eyes, and two drawings of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_jpeg, write_png

from ..phantom import fundus

SIZE = 64
SIDES = {"L": "left", "R": "right"}
QUIRKS = {
    "missing_file": "a photograph without its second drawing",
    "missing_key": "a file of another name",
    "unreadable_file": "a photograph that was cut",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` photographs of n / 2 children; the second observer draws less. With quirks each fault of
    QUIRKS."""
    rng = np.random.default_rng(seed)
    for number in range(n):
        letter = "LR"[number % 2]
        stem = f"Image_{number // 2 + 1:02}{letter}"
        picture = fundus(rng, SIZE, side=SIDES[letter])
        red, green = picture[..., 0].astype(int), picture[..., 1].astype(int)
        # The vessels of the phantom: darker than the retina around them, and no black border.
        first = (red > 60) & (green < 0.4 * red)
        second = first & (rng.random(first.shape) < 0.9)
        write_jpeg(out / f"{stem}.jpg", picture)
        write_png(out / f"{stem}_1stHO.png", first)
        write_png(out / f"{stem}_2ndHO.png", second)
    if quirks:
        names = sorted(out.glob("*_2ndHO.png"))
        names[0].unlink()
        cut = names[1].with_name(names[1].name.replace("_2ndHO.png", ".jpg"))
        cut.write_bytes(cut.read_bytes()[:200])
        write_png(out / "mask_of_view.png", np.ones((SIZE, SIZE), bool))
