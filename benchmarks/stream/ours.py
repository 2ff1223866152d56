"""qoqdata as a contender: writing shards, reading them raw and decoded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.stream.image_files import read
from qoqdata import manifest as manifests
from qoqdata.contract.manifest import Manifest
from qoqdata.contract.record import RECORD
from qoqdata.dataset import open_dataset
from qoqdata.layout import Layout
from qoqdata.metadata import write_metadata
from qoqdata.pipeline.shards import write_shard
from qoqdata.records.rows import SCHEMA

#: Rows of a shard.
SHARD = 1000


def rows_of(images: Path) -> list[dict[str, Any]]:
    """The images as rows of the record schema, in memory."""
    return [_row(*record) for record in read(images)]


def write(rows: list[dict[str, Any]], out: Path, *, rows_a_shard: int = SHARD) -> None:
    """A data set of the rows, by the build's own writer."""
    shards = []
    for number, start in enumerate(range(0, len(rows), rows_a_shard)):
        path = out / "data" / "films" / f"train-{number:05d}.parquet"
        part = rows[start : start + rows_a_shard]
        shard = write_shard(path, part, source="films", split="train")
        assert shard is not None
        shards.append(shard)
    manifest = Manifest(
        name="benchmark",
        schema_version=RECORD.version,
        qoqdata_version="0",
        config_digest="0" * 64,
        salt_fingerprint="0" * 16,
        digest=manifests.shards_digest(shards),
        sources={},
        shards=tuple(shards),
        meta=write_metadata(out, shards),
    )
    manifests.write_manifest(Layout(out), manifest)


def write_plain(rows: list[dict[str, Any]], out: Path, *, durable: bool = False) -> None:
    """The same rows and columns by plain pyarrow with its own settings.

    `durable`: each file also reaches the disk and gets a sha256, as our shards do.
    """
    out.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(rows), SHARD)):
        table = pa.Table.from_pylist(rows[start : start + SHARD], schema=SCHEMA)
        path = out / f"{number:05d}.parquet"
        pq.write_table(table, path, row_group_size=100)
        if durable:
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
                hashlib.file_digest(stream, "sha256")


def raw(folder: Path, *, threads: int) -> Callable[[], int]:
    """One shuffled epoch of id, JPEG bytes and answer."""
    stream = open_dataset(folder).stream(
        columns=("id", "images", "answer"), workers=threads, epochs=1
    )
    return lambda: _count(stream)


def decoded(folder: Path, *, threads: int) -> Callable[[], int]:
    """One shuffled epoch of id, uint8 RGB array and answer."""
    stream = open_dataset(folder).stream(
        columns=("id", "images", "answer"), images="array", workers=threads, epochs=1
    )
    return lambda: _count(stream)


def _count(stream: Any) -> int:
    count = 0
    for record in stream:
        assert record["images"]
        count += 1
    return count


def _row(name: str, image: bytes, answer: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "width": 256,
        "height": 256,
        "original_width": 256,
        "original_height": 256,
    }
    facts |= dict.fromkeys(("view", "laterality", "window", "index", "spacing"))
    row: dict[str, Any] = dict.fromkeys(RECORD.names)
    return row | {
        "id": name,
        "source": "films",
        "domain": "chest_xray",
        "modality": "image_2d",
        "task": "diagnosis",
        "split": "train",
        "study": name,
        "images": [{"bytes": image, "path": f"{name}.jpg"}],
        "image_info": [facts],
        "question": "Which findings does this image show?",
        "options": ["No finding", "Opacity", "Effusion"],
        "answer": answer,
        "licence": "CC0",
        "redistribution": "allowed",
        "provenance": {
            "raw": [f"{name}.jpg"],
            "digest": name * 2,
            "converter": "films",
            "version": "1",
            "notes": [],
        },
    }
