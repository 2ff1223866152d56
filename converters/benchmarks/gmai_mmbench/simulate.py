"""A made-up GMAI-MMBench: the validation table, with images as base64."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from qoqdata.simulation import MARK, photograph, write_text

MODALITIES = ("Fundus Photography", "CT", "Histopathology", "Endoscopy")
WORDS = ("oedema", "bleeding", "fibrosis", "polyp", "nothing")

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "bad_table", "duplicate_key", "missing_file", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` rows, every fifth with several letters. With quirks: an image lost and one cut, an answer
    that is no option, an empty question, letters of which one is no option, an index twice.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        words = [str(word) for word in rng.permutation(WORDS)]
        row = {
            "index": str(100 + number),
            "image": base64.b64encode(_png(photograph(rng, (40, 44)))).decode(),
            "question": "What is to be seen within the picture?",
            **dict(zip("ABCD", words, strict=False)),
            "E": words[4] if number % 2 else "",
            "answer": ("AC", "B, D")[number % 2]
            if number % 5 == 4
            else "ABCD"[int(rng.integers(4))],
            "category": "Attribute",
            "clinical vqa task": "Disease Diagnosis",
            "department": "Ophthalmology",
            "perceptual granularity": "image",
            "modality": MODALITIES[number % len(MODALITIES)],
        }
        rows.append(row)
    if quirks:
        _break(rows)
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    write_text(out / "GMAI_mm_bench_VAL.tsv", "\n".join(lines) + "\n")


def _break(rows: list[dict[str, str]]) -> None:
    """A fault in each of the first rows, as far as they go."""
    faults = (
        ("image", ""),
        ("image", rows[min(1, len(rows) - 1)]["image"][:40]),
        ("answer", "F"),
        ("question", ""),
        ("answer", "AF"),
    )
    for row, (column, value) in zip(rows, faults, strict=False):
        row[column] = value
    rows.append(dict(rows[-1]))


def _png(pixels: np.ndarray) -> bytes:
    note, stream = PngInfo(), BytesIO()
    note.add_text("Comment", MARK)
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=note)
    return stream.getvalue()
