"""A made-up TBX11K: films in three folders, and two COCO files with the foci."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.simulation import write_png, write_text

from ..phantom import ZONES, chest_film
from .source import FILES, FILMS

CATEGORIES = ("ActiveTuberculosis", "ObsoletePulmonaryTuberculosis", "PulmonaryTuberculosis")
FOLDERS = {"health": "h", "sick": "s", "tb": "tb"}
#: Side of a film in pixels, and half of a box as a share of it.
SIDE, HALF = 64, 0.1
VALIDATION_EVERY = 5
QUIRKS = {
    "missing_file": "a film that is listed and not there",
    "missing_key": "a film that neither file lists",
    "bad_table": "a box on a healthy film",
    "duplicate_key": "a film that both files list",
    "unreadable_file": "a film that was cut",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` films, of the folders in turn, and one without label. With quirks each fault of QUIRKS,
    a film of tuberculosis without a box, and a focus of uncertain stage."""
    rng = np.random.default_rng(seed)
    images: dict[str, list[dict[str, Any]]] = {split: [] for split in FILES}
    boxes: dict[str, list[dict[str, Any]]] = {split: [] for split in FILES}
    for number in range(n):
        folder = list(FOLDERS)[number % len(FOLDERS)]
        split = "validation" if number % VALIDATION_EVERY == VALIDATION_EVERY - 1 else "train"
        name = f"{folder}/{FOLDERS[folder]}{number:04}.png"
        images[split].append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        count = 0 if folder == "health" else int(rng.integers(1, 3))
        zones = [str(zone) for zone in rng.permutation(list(ZONES))[:count]]
        for zone in zones if folder == "tb" else ():
            row, column = ZONES[zone]
            corner = [SIDE * (column - HALF), SIDE * (row - HALF), 2 * HALF * SIDE, 2 * HALF * SIDE]
            kind = int(rng.integers(1, 3))
            place = len(boxes[split]) + 1
            box = {"id": place, "image_id": number, "category_id": kind, "bbox": corner}
            boxes[split].append(box)
        write_png(out / FILMS / name, chest_film(rng, (SIDE, SIDE), dict.fromkeys(zones, 0.8)))
    write_png(out / FILMS / "test/x0001.png", chest_film(rng, (SIDE, SIDE), {}))
    if quirks:
        _break(out, images, boxes["train"])
    categories = [{"id": place, "name": name} for place, name in enumerate(CATEGORIES, 1)]
    for split, path in FILES.items():
        content = {"categories": categories, "images": images[split], "annotations": boxes[split]}
        write_text(out / path, json.dumps(content))


def _break(out: Path, images: dict[str, list[dict[str, Any]]], boxes: list[dict[str, Any]]) -> None:
    train = images["train"]

    def path(place: int) -> Path:
        return out / FILMS / str(train[place]["file_name"])

    path(0).unlink()
    path(1).write_bytes(path(1).read_bytes()[:300])
    write_png(out / FILMS / "sick/s9999.png", np.full((SIDE, SIDE), 120, np.uint8))
    boxes.append(boxes[0] | {"image_id": train[3]["id"]})
    images["validation"].append(dict(train[5]))
    bare = boxes[0]["image_id"]
    boxes[:] = [box for box in boxes if box["image_id"] != bare]
    boxes[0]["category_id"] = 3
