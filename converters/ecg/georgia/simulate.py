"""A made-up copy of the Georgia recordings: folders g1, g2 and so on of a thousand each."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np

from ..challenge_files import Made, draw, write_tree

QUIRKS = {
    "unreadable_file": "a header of 2020 with the wrong gain; half a signal file",
    "missing_file": "a recording without its signal",
}
FAULTS = (
    Made(["59118001", "426177001"]),
    Made(["59118001", "426177001"], fault="twin"),  # as E07509 and E07510
    Made(["426783006"], fault="gain"),
    Made(["111975006", "428750005"], age="NaN", sex="Unknown"),  # no rhythm
    Made(["251268003", "251266004", "426627000", "39732003"]),  # two rhythms, an axis
    Made(["999999999", "164934002"]),  # a code that no table lists
    Made(["426783006"], sex="F"),
    Made([]),
    Made(["427084000"], fault="cut"),
    Made(["427084000"], fault="no_signal"),
)


def simulate(
    out: Path,
    n: int,
    *,
    seed: int = 0,
    quirks: bool = False,
    seconds: tuple[float, float] = (5, 10),
) -> None:
    """`n` recordings of so many `seconds`; with `quirks`, the last ten are odd or faulty."""
    rng = np.random.default_rng(seed)
    faults = FAULTS[:n] if quirks else ()
    recordings = [*(draw(rng) for _ in range(n - len(faults))), *faults]
    names = (f"g{number // 1000 + 1}/E{number:05}" for number in count(1))
    write_tree(out / "training" / "georgia", names, recordings, rng, seconds=seconds)
