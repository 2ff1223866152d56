"""Made-up tiles in LC25000's folders: originals, each turned as well, with their group list."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import photograph, write_csv, write_jpeg

from .source import GROUPS

#: Folder and file stem of each class.
CLASSES = {
    "colon_aca": ("colon", "colonca"),
    "colon_n": ("colon", "colonn"),
    "lung_aca": ("lung", "lungaca"),
    "lung_n": ("lung", "lungn"),
    "lung_scc": ("lung", "lungscc"),
}
#: Tiles of one original; about 20 in the real source.
SIBLINGS = 2
QUIRKS = {"missing_file": "the group list names tiles that a copy lacks"}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` tiles of 48 x 48 pixels, the five classes in turn.

    With quirks the first tile, of which the group list tells, is not there, and the last tile of
    the second class is a copy of the one before it, as some of the real ones are.
    """
    rng = np.random.default_rng(seed)
    rows, group = [], 0
    for place, (label, (organ, stem)) in enumerate(CLASSES.items()):
        folder = out / "lung_colon_image_set" / f"{organ}_image_sets" / label
        count = len(range(place, n, len(CLASSES)))
        for number in range(count):
            if number % SIBLINGS == 0:
                group += 1
                original = photograph(rng, (48, 48))
            tile = np.rot90(original, 0 if quirks and place == 1 else number % SIBLINGS)
            name = f"{stem}{number + 1}.jpeg"
            if not (quirks and place == number == 0):
                write_jpeg(folder / name, np.ascontiguousarray(tile))
            row = {"stem": f"{stem}{number + 1}", "filename": name, "label": label}
            rows.append(row | {"tissue": organ, "local_cluster_label": group, "group_id": group})
    write_csv(out / GROUPS, rows)
