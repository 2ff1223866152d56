"""A made-up LNDb: chests with nodules, masks of up to three readers, and the challenge's tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.simulation import write_csv, write_metaimage

from ..phantom import Ball, chest, inside
from .findings import FOLD_NAMES, FOLDS, FOLLOW_UP, JOINED, MARKS, POINT_MM3, SCANS

SHAPE, SPACING = (36, 36, 18), (7.0, 7.0, 5.0)
ORIGIN = (-120.0, -130.0, -95.0)
#: A lung each: centres of findings in voxels.
PLACES = ((9.0, 18.0), (27.0, 18.0), (8.0, 14.0), (28.0, 22.0))
#: Findings of a scan, in turn: radius in mm (0 is a point), whether a nodule, grade of texture.
KINDS: tuple[tuple[tuple[float, bool, int], ...], ...] = (
    ((9.0, True, 5), (0.0, False, 0), (0.0, True, 5)),
    (),
    ((12.0, True, 1), (8.0, True, 3)),
    ((0.0, False, 0),),
    ((10.0, True, 4), (9.0, True, 2), (0.0, True, 4), (0.0, False, 0)),
)
QUIRKS = {
    "missing_file": "a scan or a mask that was not unpacked",
    "missing_key": "a scan that lost its row; a finding that only one table has",
    "duplicate_key": "a scan that lies there twice",
    "bad_table": "a finding of a reader whom the table of scans does not count",
    "bad_label": "a mask with a finding that no row names",
    "misaligned": "a mask that lies elsewhere than its row says",
}
#: What is wrong with a scan, by its number from the first; these have findings of all kinds.
FAULTS = (
    "scan missing",
    "mask missing",
    "row lost",
    "finding lost",
    "scan twice",
    "reader not counted",
    "mask of a stray finding",
    "mask elsewhere",
    "finding not drawn",
    "readers differ",
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` scans of 36 x 36 x 18 voxels, with quirks the first with FAULTS, in turn.

    Always: readers' own numbers of findings, one reader who misses what others see, scans without
    any finding, a scan of the challenge's test in ten, masks in a folder of their own name.
    """
    rng = np.random.default_rng(seed)
    tables: dict[str, list[dict[str, Any]]] = {
        name: [] for name in (SCANS, MARKS, JOINED, FOLLOW_UP)
    }
    for number in range(n):
        fault = FAULTS[number] if quirks and number < len(FAULTS) else "sound"
        _scan(out, number + 1, fault, rng, tables)
    for number in range(n, n + n // 10):
        _write(out / "data5" / f"LNDb-{number + 1:04}.mhd", chest(rng, SHAPE, SPACING))
    scans = [row["LNDbID"] for row in tables[SCANS]] + ([3] if quirks and n > 2 else [])
    folds = [scans[at : at + 4] for at in range(0, len(scans), 4)]
    for name, rows in tables.items():
        write_csv(out / "trainset_csv" / name, rows)
    rows = [
        dict(zip(FOLD_NAMES, [*fold, *[None] * (4 - len(fold))], strict=True)) for fold in folds
    ]
    write_csv(out / "trainset_csv" / FOLDS, rows)


def _scan(
    out: Path, scan: int, fault: str, rng: np.random.Generator, tables: dict[str, list[Any]]
) -> None:
    kinds = KINDS[(scan - 1) % len(KINDS)] if fault == "sound" else KINDS[0]
    readers = 1 + scan % 3 if fault != "readers differ" else 3
    masks = {reader: np.zeros(SHAPE, np.uint8) for reader in range(1, readers + 1)}
    balls, seen = [], dict.fromkeys(masks, 0)
    for place, (radius, nodule, texture) in enumerate(kinds):
        centre = (*PLACES[place], float(3 + 4 * place))
        balls.append(Ball(centre, radius or 4.0, 40 if texture > 3 else -300))
        joined: dict[str, list[Any]] = {"reader": [], "mark": [], "volume": [], "texture": []}
        for reader in masks:
            # The third reader sees only every other finding.
            if reader == 3 and place % 2:
                continue
            seen[reader] += 1
            if radius and fault != "finding not drawn":
                shift = -7.0 if fault == "mask elsewhere" else 0.0
                at = (centre[0], centre[1] + shift, centre[2])
                grown = Ball(at, radius + 2 * (reader - 1), 0)
                masks[reader][inside(grown, SHAPE, SPACING)] = seen[reader]
            own = texture if fault != "readers differ" or reader == 1 else 1
            volume = 4 / 3 * math.pi * (radius + reader - 1) ** 3 if radius else POINT_MM3
            world = [o + c * s for o, c, s in zip(ORIGIN, centre, SPACING, strict=True)]
            cells: dict[str, Any] = {"LNDbID": scan, "RadID": reader, "FindingID": seen[reader]}
            cells |= dict(zip("xyz", world, strict=True))
            cells |= {"Nodule": int(nodule), "Volume": volume, "Text": own}
            tables[MARKS].append(cells)
            for name, value in zip(joined, (reader, seen[reader], volume, own), strict=True):
                joined[name].append(value)
        row: dict[str, Any] = {"LNDbID": scan, "RadID": ",".join(map(str, joined["reader"]))}
        row |= {"RadFindingID": ",".join(map(str, joined["mark"])), "FindingID": place + 1}
        row |= dict(zip("xyz", world, strict=True))
        row |= {"AgrLevel": len(joined["reader"]) if nodule else 0, "Nodule": int(nodule)}
        row |= {
            "Volume": float(np.mean(joined["volume"])),
            "Text": float(np.mean(joined["texture"])),
        }
        tables[JOINED].append(row)
    if fault == "mask of a stray finding":
        masks[1][2:4, 2:4, 2] = 9
    if fault == "finding lost":
        tables[JOINED].pop()
    if fault != "row lost":
        counted = readers - 1 if fault == "reader not counted" else readers
        tables[SCANS].append({"LNDbID": scan, "RadN": counted})
    tables[FOLLOW_UP].append({"LNDbID": scan, "Fleischner": scan % 4})
    folders = ["data0", "data1"] if fault == "scan twice" else [f"data{scan % 6}"]
    for folder in folders if fault != "scan missing" else ():
        _write(out / folder / f"LNDb-{scan:04}.mhd", chest(rng, SHAPE, SPACING, balls))
    for reader, mask in masks.items():
        if fault != "mask missing" or reader > 1:
            _write(out / "masks" / "masks" / f"LNDb-{scan:04}_rad{reader}.mhd", mask)


def _write(path: Path, voxels: np.ndarray) -> None:
    compressed = voxels.dtype == np.uint8
    write_metaimage(path, voxels, spacing=SPACING, origin=ORIGIN, compressed=compressed)
