"""What all images and signals of a data set are recognised by: read from what the build left, taken
from the shards where that is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from qoqdata.contract.manifest import Shard
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.records.content import Ecg
from qoqdata.records.keypoints import BYTES
from qoqdata.records.likeness import CURVE, Likeness, image_likeness, signal_likeness
from qoqdata.records.likeness_table import SCHEMA, Shown, read_likeness, write_likeness
from qoqdata.stream.decode import Decoder
from qoqdata.threads import computed

#: Columns of the table of all that is shown. `record` counts the records of all shards in manifest
#: order; `shard` and `line` say where the thumbnail is; `first` and `second` are the digest.
SHOWN = {
    "record": pl.UInt32,
    "medium": pl.String,
    "place": pl.Int32,
    "first": pl.UInt64,
    "second": pl.UInt64,
    "bits": pl.UInt64,
    "deviation": pl.Float32,
    "dark": pl.Float32,
    "bright": pl.Float32,
    "shard": pl.UInt32,
    "line": pl.UInt32,
}
_LIGHT = [name for name in SCHEMA.names if name not in ("thumbnail", "keypoints")]
_DECODER = Decoder(images="array")
_COLUMNS = ["id", "images", "image_info", "ecg"]


def likenesses(dataset: Dataset, progress: ProgressCallback = silent) -> pl.DataFrame:
    """A row for each image and signal of each record in manifest order; columns of SHOWN.

    Records that a verdict drops are among them. `progress` hears of records and their total. What
    is missing beside a shard is taken from it and written there. Raises InputError, which names the
    record, for an image that cannot be decoded.
    """
    shards = dataset.manifest.shards
    total = sum(shard.rows for shard in shards)
    parts, before = [pl.DataFrame(schema=SHOWN)], 0
    tables = _of_shards(dataset, shards, _LIGHT)
    for number, (shard, table) in enumerate(zip(shards, tables, strict=True)):
        parts.append(_shown(table, before, number))
        before += shard.rows
        progress(before, total)
    return pl.concat(parts)


def thumbnails(dataset: Dataset, shown: pl.DataFrame) -> NDArray[np.uint8]:
    """The thumbnails (rows, 256) of some rows of the table of all that is shown, in their order."""
    return _cells(dataset, shown, "thumbnail", CURVE)


def keypoints_of(dataset: Dataset, shown: pl.DataFrame) -> NDArray[np.uint8]:
    """The bytes of the keypoints (rows, keypoints.BYTES) of images, zeros of one without."""
    return _cells(dataset, shown, "keypoints", BYTES)


def _cells(dataset: Dataset, shown: pl.DataFrame, name: str, width: int) -> NDArray[np.uint8]:
    out = np.empty((shown.height, width), np.uint8)
    wanted = shown.select("shard", "line").with_row_index("at")
    groups = wanted.partition_by("shard", maintain_order=True)
    shards = [dataset.manifest.shards[part["shard"][0]] for part in groups]
    for part, table in zip(groups, _of_shards(dataset, shards, [name]), strict=True):
        column = table[name].combine_chunks().fill_null(bytes(width))
        values = np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, width)
        out[part["at"].to_numpy()] = values[column.offset :][part["line"].to_numpy()]
    return out


def _of_shards(dataset: Dataset, shards: Sequence[Shard], columns: list[str]) -> Iterator[pa.Table]:
    layout = dataset.layout

    def left(shard: Shard) -> tuple[Path, pa.Table | None]:
        path = layout.likeness(shard.source, Path(shard.path).stem)
        return path, read_likeness(path, shard.sha256, columns)

    # One shard at a time is fetched and decoded, which takes all cores; what a build left is read.
    read = computed(left, shards)
    for shard, (path, table) in zip(shards, read, strict=True):
        if table is None:
            with dataset.files.holding(shard) as held:
                table = write_likeness(path, _taken(held), shard.sha256).select(columns)
        yield table


def _shown(table: pa.Table, before: int, number: int) -> pl.DataFrame:
    digests = table["digest"].combine_chunks()
    words = np.frombuffer(digests.buffers()[1], ">u8").reshape(-1, 2)[digests.offset :]
    words = words[: table.num_rows].astype(np.uint64)
    return pl.DataFrame(table.drop_columns(["digest"])).select(
        (pl.col("row").cast(pl.UInt32) + before).alias("record"),
        "medium",
        "place",
        pl.Series("first", words[:, 0]),
        pl.Series("second", words[:, 1]),
        "bits",
        "deviation",
        "dark",
        "bright",
        pl.lit(number, pl.UInt32).alias("shard"),
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("line"),
    )


def _taken(path: Path) -> Iterator[Shown]:
    """The likenesses of a shard's records, taken from their stored pixels and samples."""
    row = 0
    with pq.ParquetFile(path) as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in file.iter_batches(batch_size=100, columns=_COLUMNS):
            records = batch.to_pylist()
            for likenesses_ in pool.map(_of_record, records):
                yield from (Shown(row, *one) for one in likenesses_)
                row += 1


def _of_record(record: dict[str, Any]) -> list[tuple[str, int, Likeness]]:
    shown = _DECODER({name: record[name] for name in ("id", "images", "ecg")})
    found = []
    for place, pixels in enumerate(shown["images"] or () if "images" in shown else ()):
        lossy = record["image_info"][place]["stored_as"] == "training"
        encoded = record["images"][place]["bytes"] if lossy else None
        found.append(("image", place, image_likeness(pixels, encoded)))
    if (ecg := shown["ecg"]) is not None:
        signal, valid = np.asarray(ecg["signal"], np.float32), np.asarray(ecg["valid"], bool)
        signals = Ecg(tuple(ecg["leads"]), ecg["fs"], signal, valid)
        found.append(("ecg", 0, signal_likeness(signals)))
    return found
