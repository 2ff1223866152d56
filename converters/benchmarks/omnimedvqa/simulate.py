"""A made-up OmniMedVQA: JSON files of questions by source, and images by source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from qoqdata.simulation import photograph, write_png, write_text

PLACES = (
    ("Open-access", "Made Up Fundus", "Fundus Photography", ("healthy", "retinopathy")),
    ("Open-access", "Made Up CT", "CT(Computed Tomography)", ("lung", "liver", "kidney", "bone")),
    ("Restricted-access", "Made Up Skin", "dermoscopy", ("naevus", "melanoma", "keratosis")),
)

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "duplicate_key", "missing_file", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` questions. With quirks: an image lost and one cut, an answer that is no option, an id
    twice, a modality in small letters.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, object]]] = {}
    for number in range(n):
        part, name, modality, words = PLACES[number % len(PLACES)]
        path = f"Images/{name}/{number:04}.png"
        write_png(out / path, photograph(rng, (48, 56)))
        options = [str(word) for word in rng.permutation(words)]
        rows.setdefault(f"QA_information/{part}/{name}.json", []).append(
            {
                "dataset": name,
                "question_id": f"{name}_{number:04}",
                "question_type": "Disease Diagnosis",
                "question": "What does this image show?",
                "gt_answer": str(rng.choice(options)),
                "image_path": path,
                **{f"option_{letter}": text for letter, text in zip("ABCD", options, strict=False)},
                "modality_type": modality,
            }
        )
    if quirks:
        _break(out, [row for own in rows.values() for row in own])
        for own in rows.values():
            own.append(dict(own[-1]))
    for file, own in rows.items():
        write_text(out / file, json.dumps(own))


def _break(out: Path, rows: list[dict[str, object]]) -> None:
    """A fault in each of the first rows, as far as they go."""
    path = out / str(rows[0]["image_path"])
    path.write_bytes(path.read_bytes()[:60])
    if len(rows) > 1:
        (out / str(rows[1]["image_path"])).unlink()
    if len(rows) > 2:
        rows[2]["gt_answer"] = "something else"
    if len(rows) > 3:
        rows[3]["modality_type"] = str(rows[3]["modality_type"]).lower()
