"""A made-up copy of CPSC2018 as the Challenges have it: folders g1 to g7 of a thousand each."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np

from ..challenge_files import Made, write_tree

QUIRKS = {
    "bad_label": "a code that is none of the nine classes",
    "unreadable_file": "half a signal file",
    "missing_file": "a recording without its signal",
}
NORMAL = "426783006"
OTHERS = (
    "164889003",
    "270492004",
    "164909002",
    "59118001",
    "284470004",
    "164884008",
    "429622005",
    "164931005",
)
FAULTS = (
    Made(["164889003", "59118001"], fault="gap"),
    Made(["RBBB"], age="NaN"),  # as the first copies of 2020 word it
    Made([NORMAL, "164889003"]),
    Made(["164873001"]),
    Made([]),
    Made([NORMAL], fault="cut"),
    Made([NORMAL], fault="no_signal"),
)


def simulate(
    out: Path,
    n: int,
    *,
    seed: int = 0,
    quirks: bool = False,
    seconds: tuple[float, float] = (6, 20),
) -> None:
    """`n` recordings of so many `seconds`; with `quirks`, the last seven are odd or faulty.

    The longest real ones last 60 s.
    """
    rng = np.random.default_rng(seed)
    faults = FAULTS[:n] if quirks else ()
    recordings = [*(_draw(rng) for _ in range(n - len(faults))), *faults]
    names = (f"g{number // 1000 + 1}/A{number:04}" for number in count(1))
    write_tree(out / "training" / "cpsc_2018", names, recordings, rng, seconds=seconds)


def _draw(rng: np.random.Generator) -> Made:
    if rng.uniform() < 0.15:
        return Made([NORMAL])
    return Made([str(code) for code in rng.choice(OTHERS, rng.integers(1, 3), replace=False)])
