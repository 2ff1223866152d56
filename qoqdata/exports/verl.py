"""verl: RLHF Parquet files, for its trainers and `qoqtrain.adapters.verl`.

A row holds `data_source`, `prompt` (one user turn with an `<image>` for each image), `images`,
`ability`, `reward_model` (rule, ground truth), `domain`, and `extra_info`. Records with an ECG are
left out: verl's rollout engines have no input for one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from qoqdata.dataset import Dataset
from qoqdata.exports import tables
from qoqdata.exports.rows import Row, Tally, marks_are_free, shows_images, text

PLACEHOLDER = "<image>"
#: verl splits prompts at these, wherever they stand.
MARKS = (PLACEHOLDER, "<video>", "<audio>")

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(_IMAGE)),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        ("domain", pa.string()),
        (
            "extra_info",
            pa.struct(
                [
                    ("split", pa.string()),
                    ("index", pa.string()),
                    ("task", pa.string()),
                    ("options", pa.list_(pa.string())),
                    ("labels", pa.list_(pa.string())),
                    ("regions", pa.string()),
                ]
            ),
        ),
    ]
)


def write_verl(dataset: Dataset, out: Path) -> Tally:
    """One Parquet file a split."""
    return tables.write_tables(dataset, out, SCHEMA, _convert)


def _convert(row: Row, tally: Tally) -> dict[str, Any] | None:
    if not (shows_images(row, tally) and marks_are_free(row, tally, MARKS)):
        return None
    images = row["images"] or []
    content = PLACEHOLDER * len(images) + text(row)
    return {
        "data_source": row["source"],
        "prompt": [{"role": "user", "content": content}],
        "images": images,
        "ability": row["task"],
        "reward_model": {"style": "rule", "ground_truth": row["answer"]},
        "domain": row["domain"],
        "extra_info": {
            "split": row["split"],
            "index": row["id"],
            "task": row["task"],
            "options": row["options"],
            "labels": row["labels"],
            "regions": json.dumps(row["regions"]),
        },
    }
