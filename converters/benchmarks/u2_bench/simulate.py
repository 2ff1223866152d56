"""A made-up U2-Bench: tables of disease diagnosis, with images as base64."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from qoqdata.simulation import film, write_text

from ..hub_table import jpeg

#: Number, anatomy and options of the sets, as the tables print them: lists, and mappings by task.
SETS: tuple[tuple[str, str, list[str] | list[int]], ...] = (
    ("21", "breast", ["benign", "malignant"]),
    ("23", "breast", ["normal", "benign", "malignant"]),
    ("25", "skin", ["benign", "malignant"]),
    ("28", "knee", ["No OA", "Mild OA", "Severe OA"]),
    ("32", "thyroid", ["benign", "malignant"]),
    ("40", "breast", ["2", "3", "4A", "4B", "4C", "5"]),
    ("42", "pancreas", ["non-pancreas cancer", "pancreas cancer"]),
    ("44", "lung", [0, 1, 2, 3]),
    ("57", "liver", [0, 1]),
    ("66", "breast", ["benign", "malignant"]),
    ("70", "thyroid", ["normal thyroid", "benign", "malignant"]),
    ("74", "ovary", ["Appears abnormal", "Appears normal"]),
    ("75", "ovary", ["infected", "noninfected"]),
)
#: Sets whose tables print options by task.
BY_TASK = ("28", "74")

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "bad_table", "duplicate_key", "missing_file", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` rows over the tables of all sets, at least one each. With quirks: an image lost and one
    cut, a label that is no option, options that are no list, a row twice, and the last set's table
    lost.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, str]]] = {}
    sets = SETS[:-1] if quirks else SETS
    for number in range(max(n, len(sets))):
        name, anatomy, options = sets[number % len(sets)]
        task = f"{anatomy} diagnosis"
        pixels = np.repeat(film(rng, (48, 40))[..., None], 3, axis=2)
        rows.setdefault(name, []).append(
            {
                "dataset_name": f"set {name}",
                "img_data": base64.b64encode(jpeg(pixels)).decode(),
                "anatomy_location": anatomy,
                "patient_id": f"p{number}",
                "options": str({task: options, "View": ["a", "b"]} if name in BY_TASK else options),
                "classification_task": task,
                "class_label": str(options[int(rng.integers(len(options)))]),
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
