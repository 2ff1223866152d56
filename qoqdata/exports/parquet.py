"""Parquet files with images in the rows, one a split: TRL and verl. Records with an ECG are left
out: neither TRL's processors nor verl's rollout engines have an input for one.

TRL: conversational prompts, for GRPOTrainer and `qoqtrain.adapters.trl`. A row holds `prompt` (one
user turn: a part for each image, then the text, which ends with how to answer), `images`, the
`answer`, and what the reward and DRPO need: `id`, `domain`, `source`, `kind`, `question` in its own
words, `options`, `number`, `labels`, `regions` as JSON in pixels and `image_sizes` (width, height).

verl: RLHF files, for its trainers and `qoqtrain.adapters.verl`. A row holds `data_source`, `prompt`
(one user turn with an `<image>` for each image, and how to answer), `images`, `ability`,
`reward_model` (rule, ground truth), `domain`, and `extra_info`.

`qoqtrain.adapters.export_rewards` has the reward functions that read these rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.contract.features import feature
from qoqdata.contract.types import EncodedImage, ListOf
from qoqdata.dataset import Dataset
from qoqdata.exports.rows import (
    MARKS,
    PLACEHOLDER,
    Change,
    Row,
    Tally,
    by_split,
    image_sizes,
    instructed_text,
    marks_are_free,
    shows_images,
    unchanged,
)
from qoqdata.progress import ProgressCallback, silent

#: A row group is written at these: readers take one into memory whole.
ROW_GROUP = 100
ROW_GROUP_BYTES = 256 * 2**20

#: Tokens of Qwen models: in a text they would end a turn or stand for an image.
_TOKENS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
)

_PART = pa.struct([("type", pa.string()), ("text", pa.string())])
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_NUMBER = pa.struct([("value", pa.float64()), ("unit", pa.string()), ("tolerance", pa.float64())])
_SIZES = pa.list_(pa.list_(pa.int32()))
_TRL = {
    "prompt": pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(_PART))])),
    "images": pa.list_(_IMAGE),
    "id": pa.string(),
    "domain": pa.string(),
    "source": pa.string(),
    "kind": pa.string(),
    "question": pa.string(),
    "answer": pa.string(),
    "options": pa.list_(pa.string()),
    "number": _NUMBER,
    "labels": pa.list_(pa.string()),
    "regions": pa.string(),
    "image_sizes": _SIZES,
}

_VERL = pa.schema(
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
                    ("kind", pa.string()),
                    ("question", pa.string()),
                    ("options", pa.list_(pa.string())),
                    ("number", _NUMBER),
                    ("labels", pa.list_(pa.string())),
                    ("regions", pa.string()),
                    ("image_sizes", _SIZES),
                ]
            ),
        ),
    ]
)


def write_trl(
    dataset: Dataset, out: Path, change: Change = unchanged, progress: ProgressCallback = silent
) -> Tally:
    """`<split>.parquet`, whose schema tells `datasets` of the images."""
    return _write_tables(dataset, out, change, progress, _trl_schema(), _trl)


def write_verl(
    dataset: Dataset, out: Path, change: Change = unchanged, progress: ProgressCallback = silent
) -> Tally:
    """`<split>.parquet`."""
    return _write_tables(dataset, out, change, progress, _VERL, _verl)


def _trl(row: Row, tally: Tally) -> dict[str, Any] | None:
    if not (shows_images(row, tally) and marks_are_free(row, tally, _TOKENS)):
        return None
    images = row["images"] or []
    parts = [{"type": "image", "text": None} for _ in images]
    parts.append({"type": "text", "text": instructed_text(row)})
    return {
        "prompt": [{"role": "user", "content": parts}],
        "images": images,
        "id": row["id"],
        "domain": row["domain"],
        "source": row["source"],
        "kind": row["kind"],
        "question": row["question"],
        "answer": row["answer"],
        "options": row["options"],
        "number": row["number"],
        "labels": row["labels"],
        "regions": json.dumps(row["regions"]),
        "image_sizes": image_sizes(row),
    }


def _verl(row: Row, tally: Tally) -> dict[str, Any] | None:
    if not (shows_images(row, tally) and marks_are_free(row, tally, (*MARKS, *_TOKENS))):
        return None
    images = row["images"] or []
    content = PLACEHOLDER * len(images) + instructed_text(row)
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
            "kind": row["kind"],
            "question": row["question"],
            "options": row["options"],
            "number": row["number"],
            "labels": row["labels"],
            "regions": json.dumps(row["regions"]),
            "image_sizes": image_sizes(row),
        },
    }


def _trl_schema() -> pa.Schema:
    """The columns, with the features by which `datasets` sees images."""
    features = {"images": feature(ListOf(EncodedImage()))}
    for name, kind in _TRL.items():
        features.setdefault(name, _feature(kind))
    info = json.dumps({"info": {"features": features}})
    return pa.schema(list(_TRL.items()), metadata={"huggingface": info})


def _feature(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {member.name: _feature(member.type) for member in kind}
    return {"dtype": str(kind), "_type": "Value"}


def _write_tables(
    dataset: Dataset,
    out: Path,
    change: Change,
    progress: ProgressCallback,
    schema: pa.Schema,
    convert: Callable[[Row, Tally], dict[str, Any] | None],
) -> Tally:
    """Write each split's records as `convert` gives them, in row groups of bounded size; None
    leaves one out."""
    tally = Tally()
    out.mkdir(parents=True, exist_ok=True)
    for split, records in by_split(dataset, change, progress):
        rows = (row for record in records if (row := convert(record, tally)) is not None)
        with (
            replacing(out / f"{split}.parquet") as draft,
            pq.ParquetWriter(draft, schema, compression="zstd", write_page_index=True) as writer,
        ):
            for group in _row_groups(rows):
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                for _ in group:
                    tally.wrote(split)
    return tally


def _row_groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    weight = 0
    for row in rows:
        group.append(row)
        weight += sum(len(image["bytes"]) for image in row["images"])
        if len(group) == ROW_GROUP or weight >= ROW_GROUP_BYTES:
            yield group
            group, weight = [], 0
    if group:
        yield group
