"""A made-up copy of Chapman-Shaoxing-Ningbo: folders of 100 recordings, an index in each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from ..challenge_files import Made, draw, write_tree

QUIRKS = {
    "unreadable_file": "a header whose first two lines have run together; half a signal file",
    "missing_file": "a recording of which the signal, or all but its line in the index, was lost",
}
FAULTS = (
    # The two headers that are broken in the release.
    Made(["426177001"], fault="joined", place="01/019/JS01052"),
    Made(["426177001"], fault="joined", place="23/236/JS23074", record="S23074"),
    Made(["55827005", "59118001", "39732003"]),  # no rhythm, an axis
    Made(["426783006"], fault="twin"),  # its signal under another name, with other codes
    Made(["426783006", "164889003", "164934002"]),  # two rhythms
    Made(["426177001", "427393009"]),  # two rhythms, no finding
    Made(["426177001", "999999999", "164934002"]),  # a code that no table lists
    Made([]),
    Made(["427084000"], fault="gap", age="NaN", sex="Unknown"),
    Made(["426177001"], fault="cut"),
    Made(["426177001"], fault="no_signal"),
    Made(["426177001"], fault="lost"),
)


def simulate(
    out: Path, n: int, *, seed: int = 0, quirks: bool = False, seconds: float = 10
) -> None:
    """`n` recordings of `seconds`; with `quirks`, the last twelve have a fault each."""
    rng = np.random.default_rng(seed)
    faults = FAULTS[:n] if quirks else ()
    recordings = [*(draw(rng) for _ in range(n - len(faults))), *faults]
    write_tree(out / "WFDBRecords", _names(), recordings, rng, seconds=(seconds, seconds))


def _names() -> Iterator[str]:
    """Where recordings lie; the release has gaps, so it has a number a folder or two earlier."""
    fixed = {made.place.rpartition("/")[2] for made in FAULTS if made.place}
    for number in count(1):
        folder = (number - 1) // 100
        top, inner = folder // 10 + 1, folder % 10
        if (name := f"JS{number:05}") not in fixed:
            yield f"{top:02}/{top:02}{inner}/{name}"
