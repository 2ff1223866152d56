"""The JSON lines of CLIMB and QoQ-Med: both sets of keys in one line.

`problem`, `answer`, `images`, `segmentation_path`, `bbox` and `demo` are what QoQ-Med reads;
`conversations` is what CLIMB writes. `time-series` names NumPy files of millivolts (lead, sample).
`bbox` holds one box, so a record with several boxes on its first image keeps them in `regions`
only, which the old readers ignore. The source `climb_jsonl` reads these files back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qoqdata.dataset import Dataset
from qoqdata.exports import jsonl
from qoqdata.exports.files import write_images, write_mask, write_signal
from qoqdata.exports.rows import Row, Tally, marks_are_free, text
from qoqdata.exports.verl import MARKS, PLACEHOLDER

SERIES = "<time-series>"


def write_climb(dataset: Dataset, out: Path) -> Tally:
    """`annotation_<split>.jsonl` with images/, masks/ and ecg/ beside it."""

    def convert(row: Row, tally: Tally) -> dict[str, Any] | None:
        if not marks_are_free(row, tally, (*MARKS, SERIES)):
            return None
        images, series = write_images(row, out), write_signal(row, out)
        marks = f"{PLACEHOLDER}\n" * len(images) + (f"{SERIES}\n" if series else "")
        problem = marks + text(row)
        line: dict[str, Any] = {
            "id": row["id"],
            "problem": problem,
            "answer": row["answer"],
            "images": images,
            "data_source": row["domain"],
            "dataset": row["source"],
            "conversations": [
                {"from": "human", "value": problem},
                {"from": "gpt", "value": row["answer"]},
            ],
        }
        if series:
            line["time-series"] = [series]
        if mask := write_mask(row, out):
            line["segmentation_path"] = mask
        line |= _boxes(row)
        if demo := _demo(row):
            line["demo"] = demo
        return line

    return jsonl.write_jsonl(dataset, out, convert, lambda split: f"annotation_{split}.jsonl")


def _boxes(row: Row) -> dict[str, Any]:
    regions = row["regions"]
    if not regions:
        return {}
    first = [region for region in regions if region["image"] == 0]
    edges = ("x_min", "y_min", "x_max", "y_max")
    single = {"bbox": [first[0][edge] for edge in edges]} if len(first) == 1 else {}
    return single | {"regions": regions}


def _demo(row: Row) -> str:
    said = []
    if row["sex"] is not None:
        said.append(f"sex: {row['sex'].capitalize()}")
    if row["age"] is not None:
        said.append(f"age: {row['age']}")
    return ", ".join(said)
