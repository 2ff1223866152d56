"""A source that asks every kind of question of its films: all that schema 2 can say, in one set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.contract.card import Card
from qoqdata.readers import encode
from qoqdata.records.content import Mask, Record, Region
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, ask_boxes, ask_choice, ask_number, ask_open
from qoqdata.sources.protocol import Job, Planned, Source, Unit
from qoqdata.yaml_document import parse_yaml

CARD = """
slug: findings
name: Films with findings
version: 1
domain: chest_xray
modality: image_2d
summary: Synthetic films.
licence: {name: CC0}
access: open
redistribution: allowed
citation: none
homepage: https://example.org
get: made by the test
layout: films/*.png
keys: {study: file name, patient: file name, group: file name}
tasks:
  findings:
    kind: multi
    question: Which findings does this film show?
    forms: ["What is to be seen on this film?", "Which of these findings are present?"]
    options: [Opacity, Effusion, Nodule, Fracture]
  lesion:
    kind: single
    question: Is the marked lesion malignant?
    options: [Benign, Malignant]
  place:
    kind: choice
    question: Where does it lie?
  size:
    kind: number
    question: How wide is the nodule?
    unit: mm
    tolerance: 0.5
  grade:
    kind: number
    question: How severe is it?
    options: [Absent, Mild, Moderate, Severe]
  boxes:
    kind: boxes
    question: Mark the nodule.
  report:
    kind: open
    question: Describe the film.
mask_codes: {1: nodule}
splits: {rule: hash, shares: {train: 0.0, validation: 0.0, test: 1.0}}
"""
SIDE = 96
FILMS = 12
#: Two questions of one task about one film: which lesion each marks, and what it is.
LESIONS = (
    ("left", (8.0, 8.0, 24.0, 24.0), "Benign"),
    ("right", (64.0, 48.0, 88.0, 80.0), "Malignant"),
)
OPTIONS = ("Upper lobe, left", "Lower lobe, right & medial", "Pleura and chest wall")


def write_films(raw: Path) -> None:
    """Films of noise that nothing compresses, below `raw`."""
    (raw / "films").mkdir(parents=True)
    for number in range(FILMS):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        (raw / "films" / f"{number:02d}.png").write_bytes(encode.png(pixels))


def plan(job: Job) -> Iterator[Planned]:
    """One unit a film."""
    for path in job.raw.files("*.png"):
        yield Unit(path, (path,), patient=path)


def convert(unit: Unit, job: Job) -> list[Record]:
    """Eight questions about one film."""
    card = job.card
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    masks = tuple(
        Mask(_disc(48, 48, radius), reader=reader) for reader, radius in (("r1", 10), ("r2", 12))
    )
    nodule = Region("nodule", 0, 38.0, 38.0, 59.0, 59.0, reader="r1")
    shared: dict[str, Any] = {"images": (image,), "masks": masks, "notes": notes}
    states = ask(card, "findings", ["Opacity"], uncertain=["Effusion"], absent=["Nodule"])
    return [
        Record(**states, **shared),
        *(
            Record(
                **ask(card, "lesion", [answer]),
                **shared,
                item=item,
                regions=(Region("lesion", 0, *corners, role="given"),),
            )
            for item, corners, answer in LESIONS
        ),
        Record(**ask_choice(card, "place", OPTIONS, OPTIONS[1]), **shared),
        Record(**ask_number(card, "size", 12.5, unit="mm"), **shared),
        Record(**ask(card, "grade", ["Moderate"]), **shared),
        Record(**ask_boxes(card, "boxes", [nodule]), **shared, regions=(nodule,)),
        Record(**ask_open(card, "report", "A nodule, and more."), **shared),
    ]


def source(folder: Path) -> Source:
    """This module as a source."""
    card = Card.model_validate(parse_yaml(CARD, where="card"))
    return Source(card, folder, __name__, plan, convert, None, "0" * 64, "0" * 64)


def _disc(row: int, column: int, radius: int) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return ((y - row) ** 2 + (x - column) ** 2 <= radius**2).astype(np.uint8)
