"""Light metadata of kept records, as `Dataset.metadata` gives it."""

from __future__ import annotations

from typing import Any

import polars as pl

SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "source": pl.String,
    "domain": pl.String,
    "task": pl.String,
    "kind": pl.String,
    "split": pl.String,
    "patient": pl.String,
    "study": pl.String,
    "options": pl.List(pl.String),
    "answer": pl.String,
    "labels": pl.List(pl.String),
    "uncertain": pl.List(pl.String),
    "absent": pl.List(pl.String),
    "n_images": pl.Int64,
}


def record(number: int, *labels: str, **changes: Any) -> dict[str, Any]:
    """A training record of the source `a` that asserts `labels` of the options x, y and z, the
    only one about its study."""
    return {
        "id": f"r{number:03d}",
        "source": "a",
        "domain": "ct",
        "task": "diagnosis",
        "kind": "multi",
        "split": "train",
        "patient": f"p{number}",
        "study": f"s{number}",
        "options": ["x", "y", "z"],
        "answer": ", ".join(labels),
        "labels": list(labels),
        "uncertain": [],
        "absent": [],
        "n_images": 1,
    } | changes


def frame(*records: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(records), schema=SCHEMA)
