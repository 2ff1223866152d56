"""ShareGPT, as LLaVA and LLaMA-Factory read it: JSON lines beside image files.

A line holds `id`, `images` (relative paths), and two turns: the human's with an `<image>` for
each image, and the answer. Records with an ECG are left out: the format has no place for one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qoqdata.dataset import Dataset
from qoqdata.exports import jsonl
from qoqdata.exports.files import write_images
from qoqdata.exports.rows import Row, Tally, marks_are_free, shows_images, text
from qoqdata.exports.verl import MARKS, PLACEHOLDER


def write_sharegpt(dataset: Dataset, out: Path) -> Tally:
    """One JSONL file a split, and images/."""

    def convert(row: Row, tally: Tally) -> dict[str, Any] | None:
        if not (shows_images(row, tally) and marks_are_free(row, tally, MARKS)):
            return None
        images = write_images(row, out)
        marks = "".join(f"{PLACEHOLDER}\n" for _ in images)
        return {
            "id": row["id"],
            "images": images,
            "conversations": [
                {"from": "human", "value": marks + text(row)},
                {"from": "gpt", "value": row["answer"]},
            ],
        }

    return jsonl.write_jsonl(dataset, out, convert)
