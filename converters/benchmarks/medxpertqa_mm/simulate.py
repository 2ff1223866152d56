"""A made-up MedXpertQA MM: JSON lines of questions, and their images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from qoqdata.simulation import film, write_jpeg, write_text

FINDINGS = ("a fracture", "an effusion", "a mass", "free air", "nothing abnormal", "a foreign body")

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "duplicate_key", "missing_file", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` questions, one in six of them for development. With quirks: an image lost and one cut, a
    label that is no option, a question twice, options as a mapping.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, object]]] = {"dev": [], "test": []}
    for number in range(n):
        images = []
        for letter in "abcdef"[: 1 + number % 3]:
            images.append(f"MM-{number}-{letter}.jpeg")
            pixels = np.repeat(film(rng, (64, 60))[..., None], 3, axis=2)
            write_jpeg(out / "images" / images[-1], pixels)
        contents = [str(one) for one in rng.permutation(FINDINGS)[:5]]
        printed = " ".join(f"({one}) {text}" for one, text in zip("ABCDE", contents, strict=True))
        asked = f"A person of {30 + number % 50} years has pain. What do the images show?"
        # Neither file is ever empty: that is what a lost one looks like.
        for_development = number % 6 == 5 or 0 < number == n - 1 < 5
        rows["dev" if for_development else "test"].append(
            {
                "id": f"MM-{number}",
                "question": f"{asked}\nAnswer Choices: {printed}",
                "options": [
                    {"letter": one, "content": text}
                    for one, text in zip("ABCDE", contents, strict=True)
                ],
                "label": "ABCDE"[int(rng.integers(5))],
                "images": images,
                "medical_task": "Diagnosis",
                "body_system": "Skeletal",
                "question_type": "Reasoning",
            }
        )
    if quirks:
        _break(out, rows["test"])
    for name, own in rows.items():
        write_text(out / f"MM/{name}.jsonl", "".join(f"{json.dumps(row)}\n" for row in own))


def _break(out: Path, rows: list[dict[str, object]]) -> None:
    """A fault in each of the first rows, as far as they go."""
    path = out / f"images/{rows[0]['id']}-a.jpeg"
    path.write_bytes(path.read_bytes()[:150])
    if len(rows) > 1:
        (out / f"images/{rows[1]['id']}-a.jpeg").unlink()
    if len(rows) > 2:
        rows[2]["label"] = "F"
    if len(rows) > 3:
        options = rows[3]["options"]
        assert isinstance(options, list)
        rows[3]["options"] = {one["letter"]: one["content"] for one in options}
        rows.append(dict(rows[3]))
