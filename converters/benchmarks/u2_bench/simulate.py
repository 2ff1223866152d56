"""A made-up U2-Bench: tables of disease diagnosis, with images as base64."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from qoqdata.simulation import film, write_text

from ..hub_table import jpeg

SETS = (
    ("23", "breast", ["normal", "benign", "malignant"]),
    ("44", "lung", ["COVID-19", "healthy"]),
)
#: Rows of a table before the next one begins.
PER_TABLE = 20

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "bad_table", "duplicate_key", "missing_file", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` rows. With quirks: an image lost and one cut, a label that is no option, options that are
    no list, and a row twice.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, str]]] = {}
    for number in range(n):
        name, anatomy, options = SETS[number // PER_TABLE % len(SETS)]
        pixels = np.repeat(film(rng, (48, 40))[..., None], 3, axis=2)
        rows.setdefault(name, []).append(
            {
                "dataset_name": f"set {name}",
                "img_data": base64.b64encode(jpeg(pixels)).decode(),
                "anatomy_location": anatomy,
                "patient_id": f"p{number}",
                "options": str(options),
                "classification_task": f"{anatomy} diagnosis",
                "class_label": str(rng.choice(options)),
                "split": "test",
            }
        )
    if quirks:
        _break([row for own in rows.values() for row in own])
        for own in rows.values():
            own.append(dict(own[-1]))
    for name, own in rows.items():
        lines = ["\t".join(own[0]), *("\t".join(row.values()) for row in own)]
        write_text(out / f"disease_diagnosis/{name}.tsv", "\n".join(lines) + "\n")


def _break(rows: list[dict[str, str]]) -> None:
    """A fault in each of the first rows, as far as they go."""
    faults = (
        ("img_data", ""),
        ("img_data", rows[min(1, len(rows) - 1)]["img_data"][:400]),
        ("class_label", "cyst"),
        ("options", "normal; benign"),
    )
    for row, (column, value) in zip(rows, faults, strict=False):
        row[column] = value
