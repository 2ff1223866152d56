"""Leaf columns of shards, on disk or behind a URL, without their images and signals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.errors import DatasetError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

#: Where a row is: its shard in manifest order and its row group in the shard.
PLACE = ("shard", "row_group")


def read_leaves(path: Path, columns: Sequence[str], *, shard: int) -> pa.Table:
    """The leaf `columns` (Parquet paths, such as `labels.list.element`) of one shard on disk.

    The table has a row a record in the shard's order, and the columns of `PLACE` (int32). Raises
    DatasetError when the shard is missing or damaged.
    """
    try:
        # Only this reader picks single leaves of nested columns, which spares images and signals.
        with pq.ParquetFile(path) as file:
            return _read(file, columns, shard)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        fix = "run `qoqdata validate`"
        raise DatasetError(f"cannot be read: {reason}", where=str(path), fix=fix) from error


def read_remote(
    system: AbstractFileSystem, source: str, size: int, columns: Sequence[str], *, shard: int
) -> pa.Table:
    """`read_leaves` over an fsspec file system: footer and column chunks asked for, no more.

    `size` is the shard's size in bytes by the manifest. Raises DatasetError when the file has
    another size, whatever its content.
    """
    stream = _ranges(system, source)
    if (length := getattr(stream, "size", size)) != size:
        stream.close()
        raise DatasetError(f"has {length} bytes, {size} by the manifest", where=source)
    with stream, pq.ParquetFile(stream, pre_buffer=True) as file:
        return _read(file, columns, shard)


def _ranges(system: AbstractFileSystem, source: str) -> Any:
    # Arrow coalesces its reads itself; a cache of whole blocks would only fetch more.
    return system.open(source, "rb", block_size=2**20, cache_type="none")


def _read(file: pq.ParquetFile, columns: Sequence[str], shard: int) -> pa.Table:
    table = file.read(columns=list(columns))
    groups = file.metadata.num_row_groups
    rows = [file.metadata.row_group(group).num_rows for group in range(groups)]
    places = np.full(table.num_rows, shard), np.repeat(np.arange(groups), rows)
    for name, place in zip(PLACE, places, strict=True):
        table = table.append_column(name, _int32(place))
    return table


def _int32(values: np.ndarray) -> pa.Array:
    # pa.array() of a NumPy array would import pandas, which takes longer than reading the leaves.
    buffer = pa.py_buffer(values.astype(np.int32))
    return pa.Array.from_buffers(pa.int32(), len(values), [None, buffer])
