"""Leaf columns of all records, from the metadata of their sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.contract.manifest import Manifest, MetadataFile
from qoqdata.errors import DatasetError
from qoqdata.remote import integrity
from qoqdata.threads import computed

if TYPE_CHECKING:
    from pathlib import Path

    from qoqdata.remote.files import Files

#: Where a row is: its shard in manifest order and its row group in the shard.
PLACE = ("shard", "row_group")

#: Reads leaf columns of one row group; those of the second argument, if any, as dictionaries.
ReadColumns = Callable[..., pa.Table]


def read_leaves(files: Files, manifest: Manifest, columns: Sequence[str]) -> pa.Table:
    """The leaf `columns` (Parquet paths, such as `labels.list.element`) of all records.

    The table has a row a record in manifest order, and the columns of `PLACE` (int32). Raises
    DatasetError when a source's metadata is missing, damaged, or of another number of records.
    """
    entries = {source: metadata_of(files, manifest, source) for source, _, _ in runs(manifest)}
    files.prefetch(list(entries.values()))
    read = computed(lambda entry: _read(files, entry, columns), entries.values())
    tables = dict(zip(entries, read, strict=True))
    parts = [tables[source].slice(first, rows) for source, first, rows in runs(manifest)]
    return with_places(pa.concat_tables(parts), files, manifest)


def with_places(table: pa.Table, files: Files, manifest: Manifest) -> pa.Table:
    """The table, a row a record in manifest order, with the columns of `PLACE` (int32).

    Raises DatasetError for a manifest whose row groups do not add up.
    """
    groups = [shard.row_groups for shard in manifest.shards]
    if torn := next((s for s in manifest.shards if sum(s.row_groups) != s.rows), None):
        what = f"{torn.path} has {torn.rows} rows, and {sum(torn.row_groups)} in its row groups"
        raise DatasetError(what, where=files.origin("manifest.json"), fix=integrity.FIX_METADATA)
    shard = np.repeat(np.arange(len(groups)), [sum(own) for own in groups])
    numbers = np.concatenate([np.arange(0), *(np.arange(len(own)) for own in groups)])
    group = np.repeat(numbers, [rows for own in groups for rows in own])
    for name, place in zip(PLACE, (shard, group), strict=True):
        table = table.append_column(name, _int32(place))
    return table


def row_groups(files: Files, manifest: Manifest, source: str) -> Iterator[ReadColumns]:
    """What reads the row groups of a source's metadata, one after another, in the source's order.

    So a pass needs the memory of a row group, and may look at one column before it asks for the
    next. Each is good until the next one is asked for, and raises as `read_leaves`.
    """
    entry = metadata_of(files, manifest, source)
    where = files.origin(entry.path)
    with files.holding(entry) as path, _readable(where):
        for number in range(pq.read_metadata(path).num_row_groups):
            yield partial(_read_group, path, number, where)


def runs(manifest: Manifest) -> Iterator[tuple[str, int, int]]:
    """Stretches of the manifest's order in one source: source, first row in it, number of rows."""
    taken: Counter[str] = Counter()
    for source, shards in groupby(manifest.shards, key=lambda shard: shard.source):
        rows = sum(shard.rows for shard in shards)
        yield source, taken[source], rows
        taken[source] += rows


def metadata_of(files: Files, manifest: Manifest, source: str) -> MetadataFile:
    """The manifest's entry of a source's metadata; raises DatasetError when it does not fit."""
    entry = manifest.meta.get(source)
    rows = sum(shard.rows for shard in manifest.shards if shard.source == source)
    if entry is None or entry.rows != rows:
        found = "names no metadata" if entry is None else f"names metadata of {entry.rows} rows"
        what = f"{found} of {source}, which has {rows} records"
        raise DatasetError(what, where=files.origin("manifest.json"), fix=integrity.FIX_METADATA)
    return entry


def _read(files: Files, entry: MetadataFile, columns: Sequence[str]) -> pa.Table:
    where = files.origin(entry.path)
    with (
        files.holding(entry) as path,
        _readable(where),
        # Only this reader picks single leaves of nested columns.
        pq.ParquetFile(path, page_checksum_verification=True) as file,
    ):
        return _whole(file.read(columns=list(columns)), where)


def _read_group(
    path: Path, number: int, where: str, columns: Sequence[str], coded: Sequence[str] = ()
) -> pa.Table:
    with _readable(where):
        try:
            with pq.ParquetFile(
                path, page_checksum_verification=True, read_dictionary=list(coded)
            ) as file:
                return _whole(file.read_row_group(number, columns=list(columns)), where)
        except pa.ArrowNotImplementedError:
            # Arrow cannot give every list as a dictionary; then it comes as it is.
            if not coded:
                raise
            return _read_group(path, number, where, columns)


def _whole(table: pa.Table, where: str) -> pa.Table:
    nulls = {name: table.column(name).null_count for name in table.column_names}
    integrity.require_values(nulls, where=where, fix=integrity.FIX_METADATA)
    return table


@contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except integrity.FAULTS as error:
        reason = str(error).splitlines()[0]
        fix = integrity.FIX_METADATA
        raise DatasetError(f"cannot be read: {reason}", where=where, fix=fix) from error


def _int32(values: np.ndarray) -> pa.Array:
    # pa.array() of a NumPy array would import pandas, which takes longer than reading the leaves.
    buffer = pa.py_buffer(values.astype(np.int32))
    return pa.Array.from_buffers(pa.int32(), len(values), [None, buffer])
