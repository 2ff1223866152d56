"""How often a slice policy shows what a label is about: `python -m benchmarks.slice_choice RAW`.

RAW holds the tables of LNDb in `lndb` and KiTS23 in `nifti/kits23`, as the tests' real files do.
Nodules lie anywhere in lungs of 300 slices of 1 mm, balls of the diameters that readers measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from qoqdata.converters.ct.kits23.bodies import TUMOUR
from qoqdata.converters.ct.lndb.findings import agreed, diameter_mm, read_scans

from qoqdata import console
from qoqdata.errors import QoqdataError
from qoqdata.readers import volume
from qoqdata.readers.volume import SlicePolicy
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job
from qoqdata.sources.rawtree import open_raw

SLICES = 300
COUNTS = (2, 4, 8, 16, 32)


def nodules_shown(raw: Path) -> tuple[int, dict[int, float]]:
    """How many agreed nodules the tables hold, and the share that so many uniform slices meet."""
    job = Job(find_source("lndb").card, open_raw(raw))
    diameters = [
        diameter_mm(finding)
        for _, scan in read_scans(job)
        if not isinstance(scan, QoqdataError)
        for finding in scan["findings"]
        if agreed(finding, scan["readers"])
    ]
    places = np.arange(SLICES)
    shares = {}
    for count in COUNTS:
        shown = np.array(volume.choose(SlicePolicy(count=count), SLICES))
        nearest = np.abs(places[:, None] - shown).min(axis=1)
        shares[count] = float(np.mean([np.mean(nearest <= size / 2) for size in diameters]))
    return len(diameters), shares


def tumours_shown(raw: Path) -> dict[int, list[int]]:
    """Slices through the tumour of each case's mask, of so many uniform ones; 0 are both ends."""
    found: dict[int, list[int]] = {count: [] for count in (0, *COUNTS[:3])}
    for path in sorted(raw.rglob("segmentation.nii.gz")):
        mask = volume.read_volume(path)
        axis = volume.axis_of_plane(mask.affine, "axial")
        tumour = np.moveaxis(mask.voxels == TUMOUR, axis, 0).any(axis=(1, 2))
        found[0].append(int(tumour[[0, -1]].sum()))
        for count in COUNTS[:3]:
            shown = volume.choose(SlicePolicy(count=count), len(tumour))
            found[count].append(int(tumour[list(shown)].sum()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path)
    raw = parser.parse_args().raw
    total, shares = nodules_shown(raw / "lndb")
    rows = [(str(count), f"{share:.1%}") for count, share in shares.items()]
    console.say(f"nodules of LNDb that most readers outlined: {total}")
    console.table(("uniform slices", "show a nodule"), rows)
    cases = [
        ("both ends" if count == 0 else str(count), ", ".join(map(str, slices)))
        for count, slices in tumours_shown(raw / "nifti" / "kits23").items()
    ]
    console.table(("uniform slices", "of which show the tumour, by case"), cases)


if __name__ == "__main__":
    main()
