"""Kept records by number: where each lies, and its row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.contract.manifest import Manifest, Shard
from qoqdata.errors import DatasetError
from qoqdata.remote.files import Files
from qoqdata.remote.integrity import FAULTS, FIX, require_row_group
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


def places_of(manifest: Manifest) -> pl.DataFrame:
    """Where the records of the manifest lie, in its order; columns of COLUMNS (Int32). No file is
    read."""
    groups = [
        (number, group, rows)
        for number, one in enumerate(manifest.shards)
        for group, rows in enumerate(one.row_groups)
    ]
    shard, group, rows = np.array(groups, np.int32).reshape(-1, 3).T
    first = np.repeat(np.cumsum(rows) - rows, rows)
    row = np.arange(rows.sum(), dtype=np.int32) - first.astype(np.int32)
    columns = np.repeat(shard, rows), np.repeat(group, rows), row
    return pl.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def kept_places(files: Files, manifest: Manifest) -> pl.DataFrame:
    """Where the records that no verdict drops lie, in manifest order; columns of COLUMNS (Int32).

    Annotation-only records are among them.
    """
    if not manifest.shards:
        return pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.Int32))
    return without_dropped(all_places(files), files.layout("curation")).select(COLUMNS)


def read_records(
    files: Files,
    manifest: Manifest,
    places: pl.DataFrame,
    columns: Sequence[str] | None = None,
    *,
    that_have: str | None = None,
) -> Iterator[dict[str, Any]]:
    """The records at `places`, in this order, as plain dictionaries of `columns` (None: of all).

    `that_have` names a column among them: records in which it is null are left out, which costs a
    hundredth of making them.
    A row group is read once for as many places in a row as lie in it; behind a URL the whole shard
    is fetched. Raises DatasetError when a shard cannot be read.
    """
    for number, ours in groupby(places.iter_rows(), key=lambda place: place[0]):
        shard = manifest.shards[number]
        opened: _Shard | None = None
        for group, part in groupby(ours, key=lambda place: place[1]):
            rows = [row for _, _, row in part]
            where = files.origin(shard.path)
            with files.holding(shard, judged=False) as path:
                opened = opened or _Shard(path, shard, columns, where)
                table = opened.row_group(group)
            if that_have is not None:
                there = table.column(that_have).is_valid().to_pylist()
                rows = [row for row in rows if there[row]]
            for row in rows:
                yield table.slice(row, 1).to_pylist()[0]


class _Shard:
    """A shard that is open for the row groups that are read of it: its footer costs more than a
    small one of them."""

    def __init__(self, path: Path, shard: Shard, columns: Sequence[str] | None, where: str) -> None:
        self._path, self._shard, self._where = path, shard, where
        self._columns = None if columns is None else list(columns)
        with _readable(where):
            self._footer = pq.read_metadata(path)
        self._leaves = _leaves(self._footer, columns)
        self._files: dict[tuple[str, ...], pq.ParquetFile] = {}

    def row_group(self, group: int) -> pa.Table:
        require_row_group(
            self._path, self._shard, self._footer, group, self._leaves, where=self._where
        )
        once = tuple(stored_once(self._footer, group, self._leaves))
        with _readable(self._where):
            if (file := self._files.get(once)) is None:
                file = self._files[once] = pq.ParquetFile(
                    self._path,
                    metadata=self._footer,
                    read_dictionary=list(once),
                    page_checksum_verification=True,
                )
            return file.read_row_group(group, columns=self._columns)


def _leaves(footer: pq.FileMetaData, columns: Sequence[str] | None) -> list[int]:
    """Numbers of the leaves of columns, and of columns that are leaves."""
    paths = enumerate(footer.schema.column(n).path for n in range(footer.num_columns))
    if columns is None:
        return [number for number, _ in paths]
    within = tuple(f"{name}." for name in columns)
    return [number for number, path in paths if f"{path}.".startswith(within)]


@contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except FAULTS as error:
        reason = str(error).splitlines()[0]
        raise DatasetError(f"cannot be read: {reason}", where=where, fix=FIX) from error
