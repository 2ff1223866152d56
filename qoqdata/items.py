"""Kept records by number: where each lies, and its row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.contract.manifest import Manifest
from qoqdata.errors import DatasetError
from qoqdata.remote.files import Files
from qoqdata.remote.integrity import FAULTS, FIX
from qoqdata.remote.leaves import PLACE
from qoqdata.stream.row_groups import stored_once
from qoqdata.verdicts import without_dropped

#: Number of the shard in the manifest, of the row group in the shard, of the row in the group.
COLUMNS = (*PLACE, "row")


def all_places(files: Files) -> pl.DataFrame:
    """`id` and where its record lies, of all records in manifest order; columns of COLUMNS (Int32).

    Raises DatasetError when metadata cannot be read.
    """
    ids = pl.DataFrame(files.leaves(["id"]))
    return ids.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int32).over(PLACE))


def kept_places(files: Files, manifest: Manifest) -> pl.DataFrame:
    """Where the records that no verdict drops lie, in manifest order; columns of COLUMNS (Int32).

    Annotation-only records are among them.
    """
    if not manifest.shards:
        return pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.Int32))
    return without_dropped(all_places(files), files.layout("curation")).select(COLUMNS)


def read_records(
    files: Files, manifest: Manifest, places: pl.DataFrame, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The records at `places`, in this order, as plain dictionaries of `columns` (None: of all).

    A row group is read once for as many places in a row as lie in it; behind a URL the whole shard
    is fetched. Raises DatasetError when a shard cannot be read.
    """
    for (number, group), part in groupby(places.iter_rows(), key=lambda place: place[:2]):
        rows = [row for _, _, row in part]
        shard = manifest.shards[number]
        with files.holding(shard) as path:
            table = _row_group(path, group, columns, where=files.origin(shard.path))
        for row in rows:
            yield table.slice(row, 1).to_pylist()[0]


def _row_group(path: Path, group: int, columns: Sequence[str] | None, *, where: str) -> pa.Table:
    try:
        footer = pq.read_metadata(path)
        once = stored_once(footer, group)
        with pq.ParquetFile(
            path, metadata=footer, read_dictionary=once, page_checksum_verification=True
        ) as file:
            return file.read_row_group(group, columns=None if columns is None else list(columns))
    except FAULTS as error:
        reason = str(error).splitlines()[0]
        raise DatasetError(f"cannot be read: {reason}", where=where, fix=FIX) from error
