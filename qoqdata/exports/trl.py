"""TRL: conversational prompts with images, for GRPOTrainer and `qoqtrain.adapters.trl`.

A row holds `prompt` (one user turn: a part for each image, then the text), `images`, the
`answer`, and what the reward and DRPO need: `id`, `domain`, `source`, `options`, `labels`,
`regions` as JSON. Records with an ECG are left out: TRL's processors have no input for one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from qoqdata.contract.features import feature
from qoqdata.contract.types import EncodedImage, ListOf
from qoqdata.dataset import Dataset
from qoqdata.exports import tables
from qoqdata.exports.rows import Row, Tally, shows_images, text

_PART = pa.struct([("type", pa.string()), ("text", pa.string())])
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_COLUMNS = {
    "prompt": pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(_PART))])),
    "images": pa.list_(_IMAGE),
    "id": pa.string(),
    "domain": pa.string(),
    "source": pa.string(),
    "answer": pa.string(),
    "options": pa.list_(pa.string()),
    "labels": pa.list_(pa.string()),
    "regions": pa.string(),
}


def schema() -> pa.Schema:
    """The columns, with the features by which `datasets` sees images."""
    described = {"images": feature(ListOf(EncodedImage()))}
    for name, kind in _COLUMNS.items():
        described.setdefault(name, _described(kind))
    info = json.dumps({"info": {"features": described}})
    return pa.schema(list(_COLUMNS.items()), metadata={"huggingface": info})


def write_trl(dataset: Dataset, out: Path) -> Tally:
    """One Parquet file a split."""
    return tables.write_tables(dataset, out, schema(), _convert)


def _convert(row: Row, tally: Tally) -> dict[str, Any] | None:
    if not shows_images(row, tally):
        return None
    images = row["images"] or []
    parts = [{"type": "image", "text": None} for _ in images]
    parts.append({"type": "text", "text": text(row)})
    return {
        "prompt": [{"role": "user", "content": parts}],
        "images": images,
        "id": row["id"],
        "domain": row["domain"],
        "source": row["source"],
        "answer": row["answer"],
        "options": row["options"],
        "labels": row["labels"],
        "regions": json.dumps(row["regions"]),
    }


def _described(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return {"feature": _described(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {member.name: _described(member.type) for member in kind}
    return {"dtype": str(kind), "_type": "Value"}
